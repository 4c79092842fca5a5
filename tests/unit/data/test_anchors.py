"""Anchors: found by prompt, from another file, from rows, or from the case's reference."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from thinkscore.data import case_row, join_anchors, parse_case
from thinkscore.errors import BadInput
from thinkscore.types import Anchor, Case, Message


def case(name: str, prompt: str, *candidates: str, gold: tuple[float, ...] | None = None, **more: object) -> Case:
    return Case(name, (Message("user", prompt),), candidates, gold, **more)  # type: ignore[arg-type]


def test_rows_on_the_same_prompt_become_anchors() -> None:
    rows = [
        case("r1", "a?", "good", "bad", gold=(9.0, 1.0)),
        case("r2", "b?", "so so", gold=(5.0,)),
        case("r3", "a?", "fair", "good", gold=(6.0, 9.0)),
    ]
    first, second, third = join_anchors([case("1", "a?", "x"), case("2", "c?", "y"), case("3", "b?", "z")], rows)
    assert first.anchors == (Anchor("good", 9.0), Anchor("bad", 1.0), Anchor("fair", 6.0))
    assert (first.id, first.candidates) == ("1", ("x",))
    assert second.anchors == ()
    assert third.anchors == (Anchor("so so", 5.0),)


def test_anchors_of_the_case_come_first() -> None:
    own = case("1", "a?", "x", anchors=(Anchor("own", 3.0),))
    (joined,) = join_anchors([own], [case("r", "a?", "more", gold=(4.0,))])
    assert joined.anchors == (Anchor("own", 3.0), Anchor("more", 4.0))


def test_a_reference_is_an_anchor_without_gold() -> None:
    one, other = join_anchors([case("1", "a?", "x", reference="best"), case("2", "a?", "x")], "reference")
    assert (one.anchors, other.anchors) == ((Anchor("best"),), ())


def test_files_are_read_as_cases_are(tmp_path: Path) -> None:
    path = tmp_path / "anchors.jsonl"
    path.write_text(json.dumps({"prompt": "a?", "candidates": ["one"], "gold": [2.0]}) + "\n")
    (joined,) = join_anchors([case("1", "a?", "x")], path)
    assert joined.anchors == (Anchor("one", 2.0),)
    with pytest.raises(BadInput, match="gone"):
        list(join_anchors([case("1", "a?", "x")], tmp_path / "gone.jsonl"))


BAD = {
    "two golds": (case("r2", "a?", "one", gold=(3.0,)), "one answer has the gold 2.0 and 3.0"),
    "some without": (case("r2", "a?", "other"), "some anchor rows have gold and some have none"),
}


@pytest.mark.parametrize(("row", "message"), BAD.values(), ids=BAD)
def test_anchors_that_contradict_are_refused(row: Case, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        join_anchors([case("1", "a?", "x")], [case("r1", "a?", "one", gold=(2.0,)), row])


def test_rows_hold_anchors() -> None:
    given = {"id": "1", "prompt": "a?", "candidates": ["x"], "anchors": [{"text": "good", "gold": 9}, "unknown"]}
    read = parse_case(given)
    assert read.anchors == (Anchor("good", 9.0), Anchor("unknown"))
    assert parse_case(case_row(read)) == read
    plain = msgspec.structs.replace(read, anchors=())
    assert "anchors" not in case_row(plain)
    assert plain.content() != read.content()


def test_what_is_shown_holds_the_anchors_as_further_candidates() -> None:
    whole = case("1", "a?", "x", gold=(3.0,), anchors=(Anchor("good", 9.0), Anchor("bad", 1.0)))
    shown = whole.widened()
    assert (shown.candidates, shown.gold, shown.anchors, shown.id) == (("x", "good", "bad"), None, (), "1")
    assert shown.widened() is shown

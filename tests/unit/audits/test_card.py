"""The card: what changed is marked, texts far from it are cut, and the weakest probe of a group is named."""

from __future__ import annotations

import msgspec
import pytest

from thinkscore.audits._audit import Card, Finding
from thinkscore.audits._base import Example
from thinkscore.audits._figures import Measure, Status
from thinkscore.errors import BadInput
from thinkscore.report.card import _marked, changes, number, read_card, wish, write_card


def finding(status: Status, value: float, low: float, high: float, group: str = "robust") -> Finding:
    measure = Measure("moves towards it", value, (low, high), 100, 0.03, "zero", status)
    example = Example("c1", "<b>a cue</b>", "The answer is 4.", "Great! The answer is 4.", "A", "B")
    figures = (measure.metric, value, (low, high), 100, 0.03, "")
    return Finding(group, "is not moved", status, *figures, (measure,), {}, (example,))  # type: ignore[arg-type]


def card(**probes: Finding) -> Card:
    judge = {"model": "<script>alert(1)</script>", "protocol": {"id": "rm_r1"}}
    return Card(judge, "quick", 100, 0, "votes", 0.01, "", probes)


def test_the_weakest_probe_is_the_one_that_failed_else_the_nearest_to_failing() -> None:
    sure, near = finding("pass", 0.0, -0.01, 0.01), finding("pass", 0.02, 0.01, 0.03)
    assert card(tone=sure, length=near).weakest("robust") == "length"
    assert card(tone=sure, length=near).status("robust") == "pass"
    some = card(tone=finding("inconclusive", 0.03, 0.0, 0.06), length=near, format=finding("fail", 0.2, 0.15, 0.25))
    assert some.weakest("robust") == "format" and some.status("robust") == "fail"
    assert some.weakest("causal") is None and some.status("causal") == "not measurable"
    open_ = card(tone=finding("inconclusive", 0.03, 0.0, 0.06), length=near)
    assert open_.weakest("robust") == "tone"


def test_what_changed_is_marked_and_the_rest_is_cut() -> None:
    before, after = "x " * 2000 + "the answer is 4 today", "x " * 2000 + "the answer is 5 today"
    pieces = _marked(after, before)
    assert [piece.text for piece in pieces if piece.marked] == ["5"]
    assert len(pieces[0].text) < 1300 and pieces[0].text.endswith("the answer is ")
    assert "".join(piece.text for piece in _marked("a b", "")) == "a b"
    assert _marked("", "a b") == []


def test_a_card_is_written_whole_read_back_and_safe_to_open(tmp_path) -> None:
    made = card(tone=finding("fail", 0.2, 0.15, 0.25))
    files = write_card(made, tmp_path)
    assert sorted(file.name for file in files) == ["audit.json", "card.html", "card.md"]
    assert not list(tmp_path.glob("*.partial"))
    assert read_card(tmp_path) == made == read_card(tmp_path / "audit.json")
    page = (tmp_path / "card.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page and "&lt;b&gt;a cue" in page
    assert "<mark>Great!" in page
    with pytest.raises(BadInput, match="is no audit"):
        read_card(tmp_path / "card.md")


def test_two_cards_are_apart_where_their_intervals_are() -> None:
    one, other = finding("fail", 0.2, 0.15, 0.25), finding("pass", 0.0, -0.01, 0.01)
    (change,) = changes(card(tone=one), card(tone=other, length=other))
    assert change.apart is True and (change.before.status, change.after.status) == ("fail", "pass")
    (same,) = changes(card(tone=one), card(tone=one))
    assert same.apart is False
    (unlike,) = changes(card(tone=one), card(tone=msgspec.structs.replace(other, metric="else")))
    assert unlike.apart is None


def test_figures_are_written_with_their_unit() -> None:
    assert number(0.1234) == "12.3 %" and number(None) == "–" and number(0.5, "area over the curve") == "0.50"
    assert wish(finding("pass", 0, 0, 0)) == "within ± 3.0 %"

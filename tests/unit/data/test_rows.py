"""Output rows and files: gold held against judgments, rows that are whole or not there, errors that name the line."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from thinkscore.data import judgment_row, read_rows, standing, write_rows
from thinkscore.errors import BadInput
from thinkscore.journal import open_journal
from thinkscore.types import (
    Case,
    Completion,
    Failure,
    FailureKind,
    Judgment,
    Message,
    Outcome,
    Scores,
    Tie,
    Trace,
    Usage,
    Verdict,
    Winner,
)

# ---- judgments


def verdict(outcome: Outcome, text: str = "t") -> Verdict:
    return Verdict("x", (1, 0), outcome, Trace(), Completion(text, usage=Usage(1, 2, 3)))


def judgment(
    scores: tuple[float, ...] | None, winner: int | None, *verdicts: Verdict, kind: FailureKind | None = None
) -> Judgment:
    failure = None if kind is None else Failure(kind, "why")
    return Judgment("x", scores, winner, None, verdicts, Usage(1, 2, 3), "vote:k=1", "all asked", failure)


STANDINGS = {
    "winner is best": ((1, 0), (1, 0), 0, "right"),
    "winner is not": ((1, 0), (0, 1), 1, "wrong"),
    "tie against a strict gold": ((1, 0), (1, 1), None, "tied"),
    "tie where gold ties": ((2, 2), (1, 1), None, "right"),
    "one of the best": ((2, 2, 1), (5, 3, 0), 0, "right"),
    "tie of all the best": ((2, 2, 1), (3, 3, 0), None, "right"),
    "tie of a best and a worse": ((2, 2, 1), (3, 0, 3), None, "tied"),
    "tie without the best": ((1, 0, 0), (0, 3, 3), None, "wrong"),
    "a single candidate": ((1,), (1,), 0, None),
    "no gold": (None, (1, 0), 0, None),
}


@pytest.mark.parametrize(("gold", "scores", "winner", "expected"), STANDINGS.values(), ids=STANDINGS)
def test_judgments_are_held_against_gold(
    gold: tuple[float, ...] | None, scores: tuple[float, ...], winner: int | None, expected: str | None
) -> None:
    case = Case("x", (Message("user", "?"),), ("a",) * len(scores), gold)
    assert standing(case, judgment(scores, winner)) == expected
    correct = {"right": True, "wrong": False, "tied": False, None: None}[expected]
    assert judgment_row(case, judgment(scores, winner))["correct"] is correct


@pytest.mark.parametrize(
    ("kind", "expected"), [("engine_error", "errored"), ("too_long", "errored"), ("ambiguous", "unparsed")]
)
def test_failures_are_neither_right_nor_wrong(kind: FailureKind, expected: str) -> None:
    case = Case("x", (Message("user", "?"),), ("a", "b"), (1, 0))
    failed = judgment(None, None, kind=kind)
    assert standing(case, failed) == expected
    row = judgment_row(case, failed)
    assert (row["correct"], row["winner"], row["scores"]) == (None, None, None)
    assert row["failure"] == {"kind": kind, "detail": "why"}


def test_an_output_row_has_the_promised_shape() -> None:
    case = Case("x", (Message("user", "?"),), ("a", "b"), (1, 0))
    given_ = [Winner(1), Scores((3, 7)), Scores((5, 5)), Tie(), Failure("ambiguous", "two")]
    row = judgment_row(case, judgment((1, 0), 0, *map(verdict, given_)))
    assert list(row) == [
        "id", "winner", "scores", "confidence", "gold", "correct", "failure", "usage", "verdicts",
    ]  # fmt: skip
    assert row["usage"] == {"calls": 1, "prompt_tokens": 2, "completion_tokens": 3}
    assert list(row["verdicts"][0]) == ["order", "winner", "scores", "failure", "trace", "text"]
    assert [v["winner"] for v in row["verdicts"]] == [1, 1, None, None, None]
    assert [v["scores"] for v in row["verdicts"]] == [None, (3, 7), (5, 5), None, None]
    assert row["verdicts"][4]["failure"] == {"kind": "ambiguous", "detail": "two"}


# ---- files


def test_rows_appear_when_all_are_written(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with write_rows(path) as put:
        put({"a": 1})
        assert not path.exists()
        put({"b": "ü"})
    assert path.read_text() == '{"a":1}\n{"b":"ü"}\n'
    assert os.listdir(tmp_path) == ["out.jsonl"]


def test_an_error_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old")
    with pytest.raises(KeyError), write_rows(path) as put:
        put({"a": 1})
        raise KeyError
    assert path.read_text() == "old"
    assert (tmp_path / "out.jsonl.partial").read_text() == '{"a":1}\n'


def test_a_link_keeps_pointing_where_it_did(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with write_rows(tmp_path / "link") as put:
        put(1)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "1\n"


def test_devices_and_standard_output_are_written_directly(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with write_rows("-") as put:
        put({"a": 1})
    assert capfdbinary.readouterr().out == b'{"a":1}\n'
    with write_rows(os.devnull) as put:
        put({"a": 1})
    assert Path(os.devnull).is_char_device()


def test_a_file_that_cannot_be_written_is_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot write .*gone/out"), write_rows(tmp_path / "gone" / "out"):
        raise AssertionError


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_output_rows_are_read_back(tmp_path: Path, pack: Any) -> None:
    path = tmp_path / "rows"
    path.write_bytes(pack(b'{"id":"a","verdicts":[]}\n\n{"id":"b","verdicts":[]}\n'))
    assert [row["id"] for row in read_rows(path, dict[str, Any])] == ["a", "b"]


@pytest.mark.parametrize("line", ['{"id": "a"}', "[1]", '{"verdicts": ', "words"])
def test_what_is_no_output_row_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id":"a","verdicts":[]}\n' + line + "\n")
    with pytest.raises(BadInput, match=r"rows\.jsonl:2: is no output row.*judge --out"):
        list(read_rows(path, dict[str, Any]))


def test_rows_never_replace_a_journal_and_two_runs_never_share_a_file(tmp_path: Path) -> None:
    open_journal(tmp_path / "run.journal").close()
    before = (tmp_path / "run.journal").read_bytes()
    with pytest.raises(BadInput, match="a journal or another database and stays"), write_rows(tmp_path / "run.journal"):
        pass
    assert (tmp_path / "run.journal").read_bytes() == before
    with write_rows(tmp_path / "out") as write:
        write({"a": 1})
        with pytest.raises(BadInput, match="another run is writing"), write_rows(tmp_path / "out"):
            pass
        write({"a": 2})
    assert (tmp_path / "out").read_text() == '{"a":1}\n{"a":2}\n'


def test_a_full_disk_is_one_message() -> None:
    with pytest.raises(BadInput, match="cannot write /dev/full"), write_rows("/dev/full") as write:
        for _ in range(10_000):
            write({"a": "x" * 100})

"""Case rows, output rows and files: round trips, and errors that name file, line and what is accepted."""

from __future__ import annotations

import json
import os
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.data import case_row, judgment_row, parse_case, read_cases, standing, write_rows
from thinkscore.errors import BadInput
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

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
said = words.filter(lambda text: bool(text.strip()))
numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    roles = st.sampled_from(["system", "user", "assistant"])
    before = draw(st.lists(st.builds(Message, roles, words), max_size=2))
    candidates = tuple(draw(st.lists(words, min_size=1, max_size=4)))
    n = len(candidates)
    return Case(
        draw(said),
        (*before, Message("user", draw(said))),
        candidates,
        draw(st.none() | st.lists(numbers, min_size=n, max_size=n).map(tuple)),
        draw(st.none() | words),
        draw(st.dictionaries(words, words | st.integers(-(2**60), 2**60), max_size=2)),
    )


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


ROW = {"prompt": "2 + 2?", "candidates": ["4", "5"]}


@given(cases())
def test_a_case_survives_its_row(case: Case) -> None:
    assert parse_case(json.dumps(case_row(case))) == case
    assert parse_case(case_row(case)) == case


def test_a_small_row_is_enough() -> None:
    case = parse_case(ROW)
    assert case.messages == (Message("user", "2 + 2?"),)
    assert (case.gold, case.reference, case.tags) == (None, None, {})
    assert case.id == parse_case({**ROW, "gold": 0, "tags": {"a": "b"}}).id == case.content()


def test_the_index_of_the_best_becomes_one_hot() -> None:
    assert parse_case({**ROW, "gold": 1}).gold == (0.0, 1.0)
    assert parse_case({**ROW, "gold": [2, 2]}).gold == (2.0, 2.0)


def test_numbers_are_ids_too() -> None:
    assert parse_case({**ROW, "id": 17}).id == "17"


BAD_ROWS = {
    "not JSON": ("{", "truncated"),
    "not UTF-8": ('{"prompt": "\udcff"}', "utf-8"),
    "not an object": ([1], "Expected `object`, got `array`"),
    "no prompt": ({"candidates": ["a"]}, "missing required field `prompt`"),
    "no candidates": ({"prompt": "a"}, "missing required field `candidates`"),
    "empty candidates": ({**ROW, "candidates": []}, "`candidates` is empty"),
    "number as candidate": ({**ROW, "candidates": [1, 2]}, "Expected `str`, got `int` in `candidates[0]`"),
    "empty prompt": ({**ROW, "prompt": " \n"}, "`prompt` is empty"),
    "no messages": ({**ROW, "prompt": []}, "must end with a user message"),
    "last word not the user's": ({**ROW, "prompt": [{"role": "assistant", "content": "x"}]}, "end with a user"),
    "unknown role": ({**ROW, "prompt": [{"role": "tool", "content": "x"}]}, "Invalid enum value 'tool'"),
    "unknown key": ({**ROW, "winner": 1}, "unknown field `winner`"),
    "short gold": ({**ROW, "gold": [1]}, "`gold` has 1 numbers for 2 candidates"),
    "words as gold": ({**ROW, "gold": ["a", "b"]}, "Expected `float`, got `str` in `gold[0]`"),
    "NaN": ('{"prompt": "a", "candidates": ["b"], "gold": [NaN]}', "invalid character"),
    "gold out of range": ({**ROW, "gold": 2}, "index of the best of 2 candidates is 0 to 1"),
    "negative gold": ({**ROW, "gold": -1}, "`gold` is -1"),
    "nested tags": ({**ROW, "tags": {"a": {"b": 1}}}, "Expected `int | str`, got `object`"),
    "empty id": ({**ROW, "id": ""}, "`id` is empty"),
}


@pytest.mark.parametrize(("row", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_named_with_what_is_accepted(tmp_path: Path, row: object, message: str) -> None:
    path = tmp_path / "cases.jsonl"
    text = row if isinstance(row, str) else json.dumps(row)
    path.write_bytes((json.dumps(ROW) + "\n\n" + text).encode(errors="surrogateescape"))
    with pytest.raises(BadInput) as error:
        list(read_cases(path))
    assert str(error.value).startswith(f"{path}:3: ")
    assert message in str(error.value)
    assert "a row is" in str(error.value)


def test_blank_lines_and_a_byte_order_mark_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ROW).encode() + b"\r\n\n \n")
    assert len(list(read_cases(path))) == 1


def test_rows_are_read_one_by_one(tmp_path: Path) -> None:
    reader = read_cases(write(tmp_path / "cases.jsonl", ROW, "broken"))
    assert next(reader).candidates == ("4", "5")
    with pytest.raises(BadInput, match=":2: "):
        next(reader)


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(json.dumps(ROW).encode())))
    assert len(list(read_cases("-"))) == 1


def test_doubled_ids_are_named_by_their_lines(tmp_path: Path) -> None:
    row = {**ROW, "id": "x"}
    with pytest.raises(BadInput, match="lines 1 and 3 have the same id 'x'"):
        list(read_cases(write(tmp_path / "c.jsonl", row, {**ROW, "id": "y"}, {**row, "prompt": "other"})))
    with pytest.raises(BadInput, match="lines 1 and 2 have the same id"):
        list(read_cases(write(tmp_path / "d.jsonl", ROW, ROW)))


def test_reordered_rows_are_noted(tmp_path: Path) -> None:
    notes: list[str] = []
    other = {**ROW, "prompt": "3 + 1?"}
    path = write(tmp_path / "c.jsonl", ROW, other, {**ROW, "candidates": ["5", "4"]}, {**ROW, "id": "again"})
    assert len(list(read_cases(path, notes))) == 4
    assert [note.partition(": ")[2][:15] for note in notes] == ["lines 1 and 3 h", "lines 1 and 4 h"]


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(content)
    with pytest.raises(BadInput, match="holds no rows"):
        list(read_cases(path))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read .*gone: No such file"):
        list(read_cases(tmp_path / "gone"))
    with pytest.raises(BadInput, match="Is a directory"):
        list(read_cases(tmp_path))


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

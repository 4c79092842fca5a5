"""Cases of a file: plain rows, bad rows by line and reason, doubles, recognised and mixed formats."""

from __future__ import annotations

import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.data import case_row, parse_case, read_cases
from thinkscore.errors import BadInput
from thinkscore.types import Case, Message

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
    with pytest.raises(BadInput, match=r":2: .*to leave such rows out: skip_bad"):
        next(reader)


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(json.dumps(ROW).encode())))
    assert len(list(read_cases("-"))) == 1


def test_doubled_ids_are_named_by_their_lines(tmp_path: Path) -> None:
    row = {**ROW, "id": "x"}
    with pytest.raises(BadInput, match="lines 1 and 3 have the same id 'x'"):
        list(read_cases(write(tmp_path / "c.jsonl", row, {**ROW, "id": "y"}, {**row, "prompt": "other"})))
    with pytest.raises(BadInput, match="lines 1 and 2 are the same case; keep one"):
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


# ---- bad rows that are left out


def test_bad_rows_are_left_out_and_counted_on_request(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", "broken", ROW, {"prompt": "x", "candidates": []}, {**ROW, "id": "y"}, ROW)
    notes: list[str] = []
    cases = read_cases(path, notes, skip_bad=True)
    assert [case.id for case in cases] == [parse_case(ROW).id, "y"]
    assert cases.skipped.count == 3
    assert cases.skipped.reasons == [
        f"{path}:1: JSON is malformed: invalid character (byte 0)",
        f"{path}:3: `candidates` is empty",
        f"{path}:5: lines 2 and 5 are the same case; keep one",
    ]


def test_only_the_first_reasons_are_kept_word_for_word(tmp_path: Path) -> None:
    cases = read_cases(write(tmp_path / "c.jsonl", ROW, *["x"] * 50), skip_bad=True)
    assert len(list(cases)) == 1
    assert (cases.skipped.count, len(cases.skipped.reasons)) == (50, 10)


def test_a_file_of_bad_rows_is_an_error_even_then(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"all 2 rows are bad; .*:1: JSON is malformed"):
        list(read_cases(write(tmp_path / "c.jsonl", "x", "y"), skip_bad=True))


@settings(deadline=None)  # files
@given(st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"")), max_size=8))
def test_no_bytes_stop_a_reader_that_leaves_bad_rows_out(
    tmp_path_factory: pytest.TempPathFactory, junk: list[bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.jsonl"
    path.write_bytes(b"\n".join([json.dumps({**ROW, "id": "good"}).encode(), *junk]))
    if b"\0" in path.read_bytes():  # a binary file is refused as a whole
        with pytest.raises(BadInput, match="is no UTF-8 text"):
            list(read_cases(path, skip_bad=True))
        return
    cases = read_cases(path, skip_bad=True)
    assert [case.id for case in cases] == ["good"]
    said = [line for line in junk if line.removeprefix(b"\xef\xbb\xbf").strip()]
    assert cases.skipped.count == len(said)


def test_notes_of_one_kind_are_counted_after_the_first(tmp_path: Path) -> None:
    notes: list[str] = []
    rows = [{**ROW, "id": i} for i in range(30)]
    assert len(list(read_cases(write(tmp_path / "c.jsonl", *rows), notes))) == 30
    assert len(notes) == 11
    assert notes[-1].endswith("19 more rows repeat the candidates of an earlier one")


def test_rows_with_one_id_may_be_let_through(tmp_path: Path) -> None:
    row = {"prompt": "2 + 2?", "candidates": ["4", "5"]}
    path = write(tmp_path / "c.jsonl", row, {**row, "id": "x"}, row)
    assert [case.id == "x" for case in read_cases(path, repeats=True)] == [False, True, False]
    with pytest.raises(BadInput, match="lines 1 and 3 are the same case"):
        list(read_cases(path))


# ---- formats

PAIR = {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}


def test_the_columns_of_the_first_row_name_the_format(tmp_path: Path) -> None:
    cases = read_cases(write(tmp_path / "c.jsonl", PAIR))
    assert cases.format is None
    case = next(cases)
    assert cases.format is not None and cases.format.id == "trl"
    assert (case.candidates, case.gold, case.id) == (("4", "5"), (1.0, 0.0), case.content())


def test_a_format_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", PAIR)
    assert next(read_cases(path, format="trl")).gold == (1.0, 0.0)
    with pytest.raises(BadInput, match=r":1: Object contains unknown field `chosen`"):
        next(read_cases(path, format="plain"))
    with pytest.raises(BadInput, match=r"'trll'; known are .*hh, .*Did you mean trl\?"):
        read_cases(path, format="trll")


def test_unknown_columns_are_listed_beside_the_accepted_ones(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        next(read_cases(write(tmp_path / "c.jsonl", {"question": "?", "answer": "!"})))
    assert "c.jsonl:1: no format has these columns: question, answer;" in str(error.value)
    assert "plain (prompt, candidates)" in str(error.value)
    assert "trl (chosen, rejected)" in str(error.value)


def test_a_file_that_mixes_formats_is_told_so(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", ROW, PAIR)
    with pytest.raises(BadInput) as error:
        list(read_cases(path))
    assert f"{path}:2: Object contains unknown field `chosen`" in str(error.value)
    assert f"has the columns of trl; a file holds one format, this one plain: {path}:1" in str(error.value)


# ---- thinking parts


def test_thinking_parts_are_kept_unless_they_are_to_be_stripped(tmp_path: Path) -> None:
    row = {"prompt": "2 + 2?", "candidates": ["<think>2, 3, 4</think>\n\n4", "5"]}
    path = write(tmp_path / "c.jsonl", row)
    assert next(read_cases(path)).candidates == tuple(row["candidates"])
    assert next(read_cases(path, thoughts="strip")).candidates == ("4", "5")


def test_a_candidate_of_thinking_alone_is_a_bad_row(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", {"prompt": "2 + 2?", "candidates": ["<think>2, 3", "5"]}, {**ROW, "id": 1})
    with pytest.raises(BadInput, match=":1: a candidate is empty without its thinking part"):
        next(read_cases(path, thoughts="strip"))
    cases = read_cases(path, thoughts="strip", skip_bad=True)
    assert [case.id for case in cases] == ["1"]
    assert cases.skipped.count == 1

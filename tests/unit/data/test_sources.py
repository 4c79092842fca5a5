"""The same rows from every container; what cannot be read is said in one line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.data import formats, read_cases
from thinkscore.data.formats._base import load
from thinkscore.errors import BadInput
from thinkscore.types import Case

ROWS = [
    {"id": "one", "prompt": "2 + 2?", "candidates": ["4", "5"], "gold": [1, 0], "tags": {"level": 1}},
    {"id": "two", "prompt": 'Zwölf\nmal, "eins"?', "candidates": ["12\r\n", ""], "reference": "12"},
    {"id": "three", "prompt": [{"role": "user", "content": "3?"}], "candidates": ["3"], "gold": 0},
]
PAIRS = [
    {"prompt": "2 + 2?", "chosen": "[4]", "rejected": "5", "margin": "0.5"},
    {"prompt": 'One, "two",\nthree?', "chosen": " four\n", "rejected": ""},
]


def lines(rows: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def array(rows: Sequence[Any]) -> bytes:
    return json.dumps(rows, indent=2, ensure_ascii=False).encode()


def table(rows: Sequence[Any], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), delimiter=delimiter)
    writer.writeheader()
    for row in rows:
        writer.writerow({k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()})
    return text.getvalue().encode()


def tabbed(rows: Sequence[Any]) -> bytes:
    return table(rows, "\t")


def parquet(rows: Sequence[Any]) -> bytes:
    arrow, writer = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    buffer = io.BytesIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    whole = [{name: row.get(name) for name in columns} for row in rows]
    writer.write_table(arrow.Table.from_pylist(whole), buffer, row_group_size=1)
    return buffer.getvalue()


def same(rows: Sequence[Any]) -> list[Case]:
    return list(read_cases_of(lines(rows)))


def read_cases_of(data: bytes, name: str = "x.jsonl", **options: Any) -> list[Case]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        return list(read_cases(path, **options))


CONTAINERS: dict[str, tuple[str, Callable[[Sequence[Any]], bytes]]] = {
    "jsonl": ("x.jsonl", lines),
    "jsonl, whatever its name": ("x.json", lines),
    "array": ("x.json", array),
    "array, whatever its name": ("x.jsonl", array),
    "csv": ("x.csv", table),
    "tsv": ("x.tsv", tabbed),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize("rows", [ROWS[:2], PAIRS], ids=["plain", "trl"])
@pytest.mark.parametrize(("name", "write"), CONTAINERS.values(), ids=CONTAINERS)
def test_containers_hold_the_same_cases(
    name: str, write: Callable[[Sequence[Any]], bytes], rows: Sequence[Any], pack: Callable[[bytes], bytes]
) -> None:
    data = pack(write(rows))
    assert read_cases_of(data, f"{name}.gz" if pack is gzip.compress else name) == same(rows)


EXAMPLES = [(name, row) for name in formats() for row, _ in load(name).examples]


@pytest.mark.parametrize(("name", "row"), EXAMPLES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(EXAMPLES)])
def test_every_form_can_come_as_a_table(name: str, row: dict[str, Any]) -> None:
    (expected,), (found,) = same([row]), read_cases_of(table([row]), "x.csv")
    assert (found.messages, found.candidates, found.gold) == (expected.messages, expected.candidates, expected.gold)
    said = {(key, str(value)) for key, value in found.tags.items()}
    assert {(key, str(value)) for key, value in expected.tags.items()} <= said


def test_conversations_too(tmp_path: Path) -> None:
    assert read_cases_of(array(ROWS), "x.json") == same(ROWS)


@pytest.mark.parametrize("rows", [ROWS[:2], PAIRS], ids=["plain", "trl"])
def test_parquet_holds_the_same_cases(rows: Sequence[Any]) -> None:
    assert read_cases_of(parquet(rows), "x.parquet") == same(rows)


def test_nulls_of_typed_tables_are_absent_values() -> None:
    rows = [
        {"prompt": "?", "candidates": ["a"], "tags": {"x": 1}},
        {"prompt": "!", "candidates": ["b"], "tags": {"y": "z"}},
    ]
    assert [case.tags for case in read_cases_of(parquet(rows), "x.parquet")] == [{"x": 1}, {"y": "z"}]


@settings(deadline=None)  # files
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=2, max_size=6, unique=True))
def test_any_text_survives_a_table(texts: list[str]) -> None:
    rows = [{"prompt": f"?{text}", "chosen": text, "rejected": "x"} for text in texts if "\0" not in text]
    if rows:
        assert read_cases_of(table(rows), "x.csv") == same(rows)


# ---- rows that are bad in their own way


def test_rows_are_numbered_by_line_where_there_are_lines(tmp_path: Path) -> None:
    bad = {"prompt": "x", "candidates": []}
    for data, name, place in (
        (lines([ROWS[0], bad]), "x.jsonl", "x.jsonl:2: "),
        (array([ROWS[0], bad]), "x.json", "x.json row 2: "),
        (table([PAIRS[1], {"prompt": " ", "chosen": "a", "rejected": "b"}]), "x.csv", "x.csv:5: "),
        (parquet([ROWS[0], bad]), "x.parquet", "x.parquet row 2: "),
    ):
        with pytest.raises(BadInput) as error:
            read_cases_of(data, name)
        assert place in str(error.value)


TABLES = {
    "a cell too many": ("?,a,b,c", ":2: has 4 cells under 3 columns"),
    "a cell too few": ("?,a", ":2: has 2 cells under 3 columns"),
    "an open quote": ('?,a,"b', None),
    "no UTF-8": ("?,a,\udcff", ":2: 'utf-8' codec can't encode"),
}


@pytest.mark.parametrize(("row", "message"), TABLES.values(), ids=TABLES)
def test_bad_rows_of_a_table(row: str, message: str | None) -> None:
    data = f"prompt,chosen,rejected\n{row}\n".encode(errors="surrogateescape")
    if message is None:
        assert read_cases_of(data, "x.csv")[0].candidates == ("a", "b\n")
        return
    with pytest.raises(BadInput) as error:
        read_cases_of(data, "x.csv")
    assert message in str(error.value)
    good = data + b"!,a,b\n"
    assert len(read_cases_of(good, "x.csv", skip_bad=True)) == 1


def test_lists_in_a_table_are_json() -> None:
    assert read_cases_of(b'prompt,candidates\n?,"[""a"", ""b""]"\n', "x.csv")[0].candidates == ("a", "b")
    with pytest.raises(BadInput, match="the cell in `candidates` must hold JSON"):
        read_cases_of(b"prompt,candidates\n?,a\n", "x.csv")


def test_long_cells_are_read() -> None:
    assert (
        len(read_cases_of(b"prompt,chosen,rejected\n?,a," + b"x" * 200_000 + b"\n", "x.csv")[0].candidates[1])
        == 200_000
    )


# ---- files that are no rows


def sqlite(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE a (b)")
    connection.commit()
    connection.close()


NO_ROWS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "holds no rows; a row is"),
    "empty, packed": (gzip.compress(b""), "holds no rows; a row is"),
    "blank": (b" \n\n", "holds no rows"),
    "empty array": (b"[]", "holds no rows"),
    "numbers": (b"[1, 2]", "row 1: Expected `object`, got `int`"),
    "open array": (b'[{"prompt": "x"}', "starts as a JSON array of rows, but is none"),
    "binary": (b"\x89PNG\r\n\0\0\0", "is no UTF-8 text; accepted are rows as .jsonl"),
    "UTF-16": ('{"prompt": "x"}'.encode("utf-16"), "is no UTF-8 text"),
    "zip": (b"PK\x03\x04rest", "is a zip file; unpack it"),
    "zstd": (b"\x28\xb5\x2f\xfdrest", "is packed with zstd; unpack it"),
    "cut gz": (gzip.compress(lines(ROWS))[:-20], "is cut off or damaged"),
    "damaged gz": (gzip.compress(b"x")[:-8] + b"12345678", "is cut off or damaged"),
    "cut Parquet": (b"PAR1 and then nothing", "Parquet"),
    "words": (b"hello\n", ":1: JSON is malformed"),
    "one object over many lines": (
        json.dumps(ROWS[0], indent=1).encode(),
        ":1: Input data was truncated (a row is one",
    ),
}


@pytest.mark.parametrize(("data", "message"), NO_ROWS.values(), ids=NO_ROWS)
def test_what_holds_no_rows_is_said_in_one_line(data: bytes, message: str) -> None:
    if b"PAR1" in data:
        pytest.importorskip("pyarrow")
    with pytest.raises(BadInput) as error:
        read_cases_of(data)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_journal_is_no_case_file(tmp_path: Path) -> None:
    sqlite(tmp_path / "run.journal")
    with pytest.raises(BadInput, match="is a journal or another SQLite file"):
        list(read_cases(tmp_path / "run.journal"))


def test_a_cut_file_is_an_error_even_if_bad_rows_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is cut off or damaged"):
        read_cases_of(gzip.compress(lines([{**ROWS[0], "id": i} for i in range(2000)]))[:-20], skip_bad=True)


# ---- data sets


def test_a_folder_is_read_as_a_data_set(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "set").mkdir()
    for split in ("train", "test"):
        (tmp_path / "set" / f"{split}.jsonl").write_bytes(lines([{**row, "tags": {"from": split}} for row in ROWS[:2]]))
    for name, split in (("", "train"), (":test", "test")):
        cases = list(read_cases(f"hf:{tmp_path / 'set'}{name}"))
        assert [(case.id, case.tags) for case in cases] == [("one", {"from": split}), ("two", {"from": split})]
    with pytest.raises(BadInput, match=r"hf:.*:dev: ValueError: .*dev.*; give hf:ORG/NAME:SPLIT:CONFIG"):
        list(read_cases(f"hf:{tmp_path / 'set'}:dev"))

"""Sources: where rows come from, read as a stream: files, standard input, datasets of the Hugging Face hub.

A source is told by its content, not by its name: JSON lines, one JSON array, Parquet, or the first three packed with
gzip; only comma- and tab-separated tables go by their ending (.csv, .tsv). A JSON array is held in memory as bytes,
everything else is read as it is needed. Rows are numbered from 1: lines where there are lines, else rows.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import msgspec

from ..errors import BadInput, require
from .formats._base import Cells

__all__ = ["Item", "Source", "Unreadable", "open_source"]


class Unreadable(NamedTuple):
    """A row that is no row."""

    reason: str


Item = bytes | dict[str, Any] | Cells | Unreadable
"""A row as it comes: JSON text, a mapping, the cells of a table, or what is wrong with it."""

_ACCEPTED = "accepted are rows as .jsonl, .json, .csv, .tsv, also with gzip, .parquet, or hf:ORG/NAME:SPLIT"
_BATCH = 256  # rows of Parquet decoded at a time
_MAGIC = {
    b"SQLite format 3": "is a journal or another SQLite file",
    b"PK\x03\x04": "is a zip file; unpack it",
    b"\xfd7zXZ": "is packed with xz; unpack it",
    b"\x28\xb5\x2f\xfd": "is packed with zstd; unpack it",
    b"BZh": "is packed with bzip2; unpack it",
}


class Source(NamedTuple):
    """An open source."""

    name: str
    """As the user named it."""
    unit: Literal["line", "row"]
    """What its rows are numbered by."""
    items: Iterator[tuple[int, Item]]
    """Each row with its number."""

    def place(self, number: int) -> str:
        """Name a row for a message."""
        return f"{self.name}:{number}" if self.unit == "line" else f"{self.name} row {number}"


@contextmanager
def open_source(path: str | Path) -> Iterator[Source]:
    """Open a file, "-" for standard input, or "hf:ORG/NAME[:SPLIT[:CONFIG]]" (`train` if no split is named).

    Raises `BadInput` for what cannot be read, also while rows are taken (a file that is cut off), and `MissingExtra`.
    """
    name = str(path)
    try:
        if name.startswith("hf:"):
            yield Source(name, "row", enumerate(_hub(name), 1))
            return
        with _binary(name) as file:
            yield _file(name, file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInput(f"{name}: is cut off or damaged ({error}); fetch or pack it again") from error
    except OSError as error:
        more = "" if isinstance(error, FileNotFoundError) else f"; {_ACCEPTED}"
        raise BadInput(f"cannot read {name}: {error.strerror or error}{more}") from error


@contextmanager
def _binary(name: str) -> Iterator[io.BufferedReader]:
    """Open a file, unpacked if it is packed; standard input is left open."""
    if name == "-":
        given = sys.stdin.buffer
        file = given if isinstance(given, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, given))
        yield _unpacked(file)
    else:
        with open(name, "rb") as file:
            yield _unpacked(file)


def _unpacked(file: io.BufferedReader) -> io.BufferedReader:
    if file.peek(2)[:2] != b"\x1f\x8b":
        return file
    return io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=file)))


def _file(name: str, file: io.BufferedReader) -> Source:
    head = file.peek(4096)
    kind = Path(name.removesuffix(".gz")).suffix.lower()
    if head.startswith(b"PAR1"):
        return Source(name, "row", enumerate(_parquet(name, file), 1))
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise BadInput(f"{name}: {what}; {_ACCEPTED}")
    if b"\0" in head:
        raise BadInput(f"{name}: is no UTF-8 text; {_ACCEPTED}")
    if kind in (".csv", ".tsv"):
        return Source(name, "line", _table(name, file, "\t" if kind == ".tsv" else ","))
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        return Source(name, "row", enumerate(_array(name, file), 1))
    return Source(name, "line", _lines(file))


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Number the lines that are not blank, without a byte order mark."""
    for number, line in enumerate(file, 1):
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if text:
            yield number, text


def _array(name: str, file: BinaryIO) -> Iterator[bytes]:
    data = file.read().removeprefix(b"\xef\xbb\xbf")
    try:
        yield from (bytes(row) for row in msgspec.json.decode(data, type=list[msgspec.Raw]))
    except ValueError as error:
        raise BadInput(f"{name}: starts as a JSON array of rows, but is none: {error}; {_ACCEPTED}") from error


def _table(name: str, file: BinaryIO, delimiter: str) -> Iterator[tuple[int, Cells | Unreadable]]:
    """Read a table with a header. A byte that is no UTF-8 stays one, for the reader of the row to find."""
    csv.field_size_limit(sys.maxsize)  # Python's own limit is shorter than a long reply
    lines = (line.decode("utf-8", "surrogateescape") for line in file)
    table = csv.reader(lines, delimiter=delimiter)
    header = [cell.removeprefix("\ufeff") for cell in next(table, [])]
    start = table.line_num + 1
    try:
        for cells in table:
            if cells:
                whole = len(cells) == len(header)
                short = Unreadable(f"has {len(cells)} cells under {len(header)} columns")
                yield start, Cells(zip(header, cells, strict=True)) if whole else short
            start = table.line_num + 1
    except csv.Error as error:
        raise BadInput(f"{name}:{start}: {error}; {_ACCEPTED}") from error


def _parquet(name: str, file: BinaryIO) -> Iterator[dict[str, Any]]:
    parquet = require("pyarrow.parquet", "parquet")
    arrow = require("pyarrow", "parquet")
    try:
        table = parquet.ParquetFile(file)
        for batch in table.iter_batches(batch_size=_BATCH):
            yield from map(_present, batch.to_pylist())
    except (arrow.ArrowException, UnicodeDecodeError) as error:
        raise BadInput(f"{name}: is a damaged Parquet file ({error}); fetch it again") from error


def _hub(name: str) -> Iterator[dict[str, Any]]:
    """Stream a data set by its name or from a local folder."""
    datasets = require("datasets", "train")
    where, _, rest = name.removeprefix("hf:").partition(":")
    split, _, config = rest.partition(":")
    try:
        rows: Iterable[dict[str, Any]] = datasets.load_dataset(
            where, config or None, split=split or "train", streaming=True
        )
        yield from map(_present, rows)
    except Exception as error:  # the package raises errors of many kinds
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise BadInput(f"{name}: {said}; give hf:ORG/NAME:SPLIT:CONFIG, or hf:FOLDER:SPLIT") from error


def _present(value: Any) -> Any:
    """Leave out what is null: typed tables have every column in every row."""
    if isinstance(value, dict):
        return {key: _present(item) for key, item in value.items() if item is not None}
    return [_present(item) for item in value] if isinstance(value, list) else value

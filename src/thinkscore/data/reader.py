"""Cases of a file, as a stream: rows from a source, read by the format that the first of them shows.

A case is where the sentence begins. What is wrong with a row is said with its file, its line, the reason and what is
accepted. Nothing is held but a short hash of each row, to find two that are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..errors import BadInput
from ..types import Case, content_hash
from .formats._base import Format, formats, load, recognise
from .rows import plain_words
from .sources import Item, Source, Unreadable, open_source
from .thoughts import Thoughts, without_thoughts

__all__ = ["Cases", "Skipped", "read_cases"]

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_LISTED = 10  # reasons, and notes of one kind, that are kept word for word


class Skipped(msgspec.Struct):
    """The bad rows that were left out."""

    count: int = 0
    """How many."""
    reasons: list[str] = []
    """Place and reason of the first ones."""

    def add(self, reason: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.reasons) < _LISTED:
            self.reasons.append(reason)


def read_cases(
    path: str | Path,
    notes: list[str] | None = None,
    *,
    format: str | None = None,
    skip_bad: bool = False,
    thoughts: Thoughts = "keep",
    repeats: bool = False,
) -> Cases:
    """Read the cases of a file, of standard input ("-") or of a data set ("hf:ORG/NAME:SPLIT"), without holding them.

    `format` is an id in `data/formats`; without it the columns of the first row decide. The first bad row raises
    `BadInput`; with `skip_bad` bad rows are counted and listed in `.skipped` of the result. `thoughts="strip"` cuts
    the thinking parts out of the candidates. What may be a mistake but is no error (two rows with the same candidates
    in another order) goes to `notes`. Two rows with one id are a bad row, unless `repeats` lets them come; a source
    without rows is always an error.
    """
    return Cases(path, [] if notes is None else notes, format, skip_bad, thoughts, repeats)


class Cases(Iterator[Case]):
    """The cases of a source, one after the other."""

    def __init__(
        self,
        path: str | Path,
        notes: list[str],
        format: str | None,
        skip_bad: bool,
        thoughts: Thoughts,
        repeats: bool = False,
    ) -> None:
        self.skipped = Skipped()
        self.format = None if format is None else load(format)
        self._notes, self._skip_bad, self._strip = notes, skip_bad, thoughts == "strip"
        self._repeats = repeats
        self._first_row = ""
        self._ids: dict[str, int] = {}
        self._contents: dict[int, int] = {}
        self._same = 0
        self._cases = self._read(path)

    def __next__(self) -> Case:
        return next(self._cases)

    def _read(self, path: str | Path) -> Iterator[Case]:
        with open_source(path) as source:
            for number, item in source.items:
                try:
                    case = self._case(item, source, number)
                except ValueError as error:
                    self._bad(source.place(number), item, error)
                else:
                    self._note_the_same(case, source, number)
                    yield case
            self._end(source.name)

    def _case(self, item: Item, source: Source, number: int) -> Case:
        """Make a case of one row. Raises `ValueError`, as `BadInput` where it needs no word on what is accepted."""
        row = _mapping(item)
        if self.format is None:
            self.format, self._first_row = _recognised(row), source.place(number)
        case = self.format.read(row)
        if self._strip:
            case = msgspec.structs.replace(case, candidates=tuple(map(_stripped, case.candidates)))
        named = bool(case.id)
        case = case if named else msgspec.structs.replace(case, id=case.content())
        first = self._ids.setdefault(case.id, number)
        if first != number and not self._repeats:
            alike = f"have the same id {case.id!r}; ids must differ" if named else "are the same case; keep one"
            raise BadInput(f"{source.unit}s {first} and {number} {alike}")
        return case

    def _bad(self, place: str, item: Item, error: Exception) -> None:
        reason = f"{place}: {plain_words(error)}{self._other(item)}"
        if not self._skip_bad:
            about = "" if isinstance(error, BadInput) else f"; {(self.format or load('plain')).about}"
            hint = "; to leave such rows out: skip_bad (--skip-bad)" if self._ids else ""
            raise BadInput(reason + about + hint) from error
        self.skipped.add(reason)

    def _other(self, item: Item) -> str:
        """Say so if a bad row has the columns of another format."""
        if self.format is None or not self._first_row or not isinstance(row := _tried(item), dict):
            return ""
        other = recognise(row)
        if other is None or other is self.format:
            return ""
        return (
            f" (has the columns of {other.id}; a file holds one format, this one {self.format.id}: {self._first_row})"
        )

    def _note_the_same(self, case: Case, source: Source, number: int) -> None:
        key = int(content_hash([case.messages, sorted(case.candidates)])[:16], 16)
        first = self._contents.setdefault(key, number)
        if first != number:
            self._same += 1
            if self._same <= _LISTED:
                self._notes.append(
                    f"{source.name}: {source.unit}s {first} and {number} hold the same prompt and candidates, "
                    "maybe reordered"
                )

    def _end(self, name: str) -> None:
        """Say what was found over all; raises `BadInput` if there was no row to read."""
        if self._same > _LISTED:
            self._notes.append(f"{name}: {self._same - _LISTED} more rows repeat the candidates of an earlier one")
        if self._ids:
            return
        if self.skipped.count:
            raise BadInput(f"{name}: all {self.skipped.count} rows are bad; {self.skipped.reasons[0]}")
        about = (self.format or load("plain")).about
        raise BadInput(f"{name}: holds no rows; {about}")


def _mapping(item: Item) -> dict[str, Any]:
    """Take a row out of what a source gave."""
    if isinstance(item, Unreadable):
        raise ValueError(item.reason)
    return _decode(item) if isinstance(item, bytes) else item


def _tried(item: Item) -> dict[str, Any] | None:
    try:
        return _mapping(item)
    except ValueError:
        return None


def _recognised(row: dict[str, Any]) -> Format:
    found = recognise(row)
    if found is None:
        known = "; ".join(f"{name} ({', '.join(load(name).columns)})" for name in formats())
        columns = ", ".join(map(str, list(row)[:20])) or "none"
        raise BadInput(f"no format has these columns: {columns}; formats with the columns they need: {known}")
    return found


def _stripped(candidate: str) -> str:
    text = without_thoughts(candidate)
    if not text and candidate:
        raise ValueError("a candidate is empty without its thinking part")
    return text

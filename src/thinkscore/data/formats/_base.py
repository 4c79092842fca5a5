"""The format seam: one row of a file becomes one case.

A format states the columns it needs as a typed struct, so that a wrong row is named by column and type, and brings
examples. The file says which candidate is which; in what order they are shown is decided later, by the strategy.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

import msgspec

from ...errors import BadInput
from ...types import Case

__all__ = ["Cells", "Example", "Format", "formats", "load", "recognise"]

_TAG = 100  # characters; a longer column is text, not a label


class Cells(dict[str, Any]):
    """A row of a text table: every value is a string, an empty one may mean that there is none."""


Example = tuple[dict[str, Any], Case]
"""A row and the case that must be read from it; an id of "" stands for the content hash."""


class Format(ABC):
    """Reads rows of one form."""

    row: ClassVar[type[msgspec.Struct]]
    """The columns; those without a default must be there."""
    about: ClassVar[str]
    """What a row looks like, for messages."""
    examples: ClassVar[tuple[Example, ...]]
    """Rows with what must be read from them."""

    @property
    def id(self) -> str:
        """The file name."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that must be there."""
        return tuple(field.encode_name for field in msgspec.structs.fields(self.row) if field.required)

    def fits(self, row: Mapping[str, Any]) -> int:
        """Say how well a row fits by its columns; 0 is not at all, and of several formats the highest is taken."""
        return len(self.columns) if all(column in row for column in self.columns) else 0

    @abstractmethod
    def case(self, row: Any) -> Case:
        """Make a case of a typed row; an empty id is filled in by the reader. Raises `ValueError`."""

    def read(self, row: Mapping[str, Any]) -> Case:
        """Make a case of a raw row. Raises `ValueError`."""
        given = _typed(row, self.row) if isinstance(row, Cells) else row
        case = self.case(msgspec.convert(given, self.row))
        _check(case)
        others = given.keys() - _fields(self.row).keys()
        tags = {name: label for name in given if name in others and (label := _label(given[name])) is not None}
        return msgspec.structs.replace(case, tags=tags | case.tags) if tags else case


def formats() -> list[str]:
    """List the ids of all formats, without importing them."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))


@cache
def load(name: str) -> Format:
    """Import a format by its id. Raises `BadInput` with the known ones."""
    if name not in formats():
        close = get_close_matches(name, formats(), n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise BadInput(f"got format {name!r}; known are {', '.join(formats())}.{hint}")
    module = importlib.import_module(f"{__package__}.{name}")
    (found,) = (v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__ and _is(v))
    return found()  # type: ignore[no-any-return]


def recognise(row: Mapping[str, Any]) -> Format | None:
    """Find the format that fits a row best; None if none does."""
    if isinstance(row, Cells):
        row = {name: _seen(cell) for name, cell in row.items()}
    best = max(map(load, formats()), key=lambda format: format.fits(row))
    return best if best.fits(row) else None


def _is(value: type) -> bool:
    return issubclass(value, Format)


@cache
def _fields(row: type[msgspec.Struct]) -> dict[str, tuple[bool, Any]]:
    """Map each column to (must be there, type)."""
    return {field.encode_name: (field.required, field.type) for field in msgspec.structs.fields(row)}


def _typed(cells: Cells, row: type[msgspec.Struct]) -> dict[str, Any]:
    """Decode the cells of columns that hold no text: lists and numbers are written as JSON there."""
    found: dict[str, Any] = {}
    for name, cell in cells.items():
        required, kind = _fields(row).get(name, (False, str))
        if cell or required:
            try:
                found[name] = _value(cell, kind)
            except msgspec.DecodeError as error:
                raise ValueError(f"the cell in `{name}` must hold JSON: {error}") from error
    return found


def _value(cell: str, kind: Any) -> Any:
    """Take a cell as text where its column may hold text, unless it is a conversation and may be one."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if str in kinds or (get_origin(kind) is Literal and isinstance(get_args(kind)[0], str)):
        return _seen(cell) if len(kinds) > 1 and _is_talk(_seen(cell)) else cell
    return msgspec.json.decode(cell)


def _seen(cell: str) -> Any:
    """Show what a cell looks like, to tell formats apart: a list, or else text."""
    try:
        return msgspec.json.decode(cell) if cell.startswith("[") else cell
    except ValueError:
        return cell


def _is_talk(value: object) -> bool:
    turns = value if isinstance(value, list) else []
    return bool(turns) and all(isinstance(turn, dict) and {"role", "content"} <= set(turn) for turn in turns)


def _label(value: object) -> str | int | None:
    """Make a tag of a column that a format does not use; None for what is no label."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return value if 0 < len(value) <= _TAG and "\n" not in value else None
    return value if isinstance(value, int) and abs(value) < 2**63 else None


def _check(case: Case) -> None:
    """Raise `ValueError` for what the types let through."""
    if not case.messages or case.messages[-1].role != "user":
        raise ValueError("`prompt` must end with a user message")
    if not case.messages[-1].content.strip():
        raise ValueError("`prompt` is empty")
    if not case.candidates:
        raise ValueError("`candidates` is empty")

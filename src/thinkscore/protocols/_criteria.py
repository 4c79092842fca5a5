"""A user's criteria: read from a file, checked, and summed up to a score.

    score = sum of weight * level / highest level  /  sum of the positive weights

Both sums run over the criteria that could be assessed. The score is at most 1 (all merits in full, no fault), 0 if
merits and faults balance, and below 0 where faults (negative weights) outweigh merits: it is not clipped, since what
is clipped can no longer be told apart. The arithmetic is exact until the last step, so equal sums are equal scores.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Sequence
from fractions import Fraction
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..errors import BadInput, MissingExtra

ACCEPTED = (
    'a rubric is {"criteria": [...]} or the list alone; a criterion is {"text": string} and optionally '
    '"weight": number (negative for a fault; default 1), "id": a short name, "levels": the highest level, or a list of '
    "what each level means, from 0 up (default: met or not met)"
)
_ID = re.compile(r"[^\W\d_](?:[\w -]{0,38}\w)?")


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    weight: float = 1.0
    id: str | None = None
    levels: int | list[str] | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    criteria: list[_Row]


class Item(NamedTuple):
    """One criterion."""

    id: str
    """Its short name: what the judge calls it."""
    text: str
    """What it asks, on one line."""
    weight: float
    """Merits count up, faults (negative) count down."""
    top: int
    """The highest level; the lowest is 0."""
    meanings: tuple[str, ...]
    """What each level means, from 0 to `top`; empty if the number says it, or met and not met do."""
    binary: bool
    """Whether it is met or not met."""

    def shown(self) -> str:
        """Name and ask it, as prompt and trace do."""
        return f"{self.id}: {self.text}"

    def graded(self) -> str:
        """Name and ask it with its levels."""
        levels = "; ".join(f"[[{level}]] {meaning}" for level, meaning in enumerate(self.meanings))
        if self.binary:
            levels = "[[met]] or [[not met]]"
        return f"{self.shown()}. Levels: {levels or f'[[0]] not at all, to [[{self.top}]] in full'}"


def read_criteria(path: str | Path) -> tuple[tuple[Item, ...], str]:
    """Read a rubric from .json, .toml, .yaml or .yml; return its criteria and the file's SHA-256. Raises `BadInput`."""
    file = Path(path)
    try:
        content = file.read_bytes()
        raw = _decoded(file, content)
    except OSError as error:
        raise BadInput(f"cannot read the rubric {file}: {error.strerror}; {ACCEPTED}") from error
    except ValueError as error:
        raise BadInput(f"{file} cannot be read as {file.suffix[1:]}: {error}; {ACCEPTED}") from error
    return checked_criteria(raw, str(file)), hashlib.sha256(content).hexdigest()


def _decoded(file: Path, content: bytes) -> Any:
    match file.suffix.lower():
        case ".json":
            return msgspec.json.decode(content)
        case ".toml":
            return tomllib.loads(content.decode())
        case ".yaml" | ".yml":
            return _yaml(file, content)
    raise BadInput(f"got the rubric {file}; accepted are .json, .toml and (with PyYAML) .yaml; {ACCEPTED}")


def _yaml(file: Path, content: bytes) -> Any:
    try:
        yaml = import_module("yaml")
    except ImportError as error:
        raise MissingExtra(f"{file} needs PyYAML: pip install pyyaml; or write it as .toml or .json") from error
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def checked_criteria(raw: object, where: str) -> tuple[Item, ...]:
    """Make criteria of decoded rows; `where` opens the message of the `BadInput` for bad ones."""
    try:
        rows = msgspec.convert(raw, list[_Row]) if isinstance(raw, list) else msgspec.convert(raw, _File).criteria
        items = tuple(_item(row, number) for number, row in enumerate(rows, 1))
        _check(items)
    except ValueError as error:
        raise BadInput(f"{where}: {str(error).replace(' - at `$', ' in `')}; {ACCEPTED}") from error
    return items


def _item(row: _Row, number: int) -> Item:
    name, text = row.id or f"c{number}", " ".join(row.text.split())
    meanings = tuple(" ".join(text.split()) for text in row.levels) if isinstance(row.levels, list) else ()
    top = len(meanings) - 1 if isinstance(row.levels, list) else 1 if row.levels is None else row.levels
    if not text:
        raise ValueError(f"criterion {number} has no text")
    if not _ID.fullmatch(name):
        raise ValueError(f"id {name!r} is not a short name: a letter first, then letters, digits, blanks, - or _")
    if name.casefold().startswith("response"):
        raise ValueError(f"id {name!r} could be taken for a response's number")
    if not isfinite(row.weight):
        raise ValueError(f"the weight of {name!r} is {row.weight}")
    if not 1 <= top <= 100 or not all(meanings):
        raise ValueError(f"the levels of {name!r} must be 2 to 101, and each must say something")
    return Item(name, text, row.weight, top, meanings, row.levels is None)


def _check(items: Sequence[Item]) -> None:
    names = [item.id.casefold() for item in items]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two criteria are called {twice!r}")
    if not any(item.weight > 0 for item in items):
        raise ValueError("no criterion has a positive weight; scores are measured against the sum of those")


def score(items: Sequence[Item], shares: Sequence[Fraction | None]) -> float | None:
    """Sum up how far each criterion is met (0 to 1; None: cannot be assessed); None without an assessed merit."""
    known = [
        (Fraction(str(item.weight)), share) for item, share in zip(items, shares, strict=True) if share is not None
    ]
    merits = sum(weight for weight, _ in known if weight > 0)
    return float(sum(weight * share for weight, share in known) / merits) if merits else None

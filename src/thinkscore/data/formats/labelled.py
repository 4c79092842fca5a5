"""`labelled`: two replies a and b to one prompt and the letter of the better one, as samples are often shared.

a is candidate 0. Such files may have one constant label (all A); a judge that prefers a place looks good on them in
the file's order, and is found out by orders that are balanced, as our strategies draw them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ...types import Case, Message
from ._base import Format

__all__ = ["Labelled"]

_GOLD = {"a": (1.0, 0.0), "b": (0.0, 1.0), "tie": (1.0, 1.0)}


class Row(msgspec.Struct):
    """The columns."""

    prompt: str
    response_a: str
    response_b: str
    label: Literal["A", "B", "a", "b", "tie"]
    id: str | int | None = None


class Labelled(Format):
    """Labelled pairs."""

    row = Row
    about = "a row is prompt, response_a, response_b, label: A, B or tie, and optionally id"
    examples = (
        (
            {"id": "x", "prompt": "2 + 2?", "response_a": "5", "response_b": "4", "label": "B"},
            Case("x", (Message("user", "2 + 2?"),), ("5", "4"), (0.0, 1.0)),
        ),
    )

    def case(self, row: Row) -> Case:
        name = "" if row.id is None else str(row.id)
        return Case(name, (Message("user", row.prompt),), (row.response_a, row.response_b), _GOLD[row.label.lower()])

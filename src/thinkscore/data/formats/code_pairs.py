"""`code_pairs`: Code-Preference-Pairs, a task with one accepted and one rejected program.

`accepted` is candidate 0. RM-R1 (arXiv:2505.02387) trains on 8,000 of these rows.
"""

from __future__ import annotations

import msgspec

from ...types import Case, Message
from ._base import Format

__all__ = ["CodePairs"]


class Row(msgspec.Struct):
    """The columns."""

    input: str
    accepted: str
    rejected: str
    id: str | int | None = None


class CodePairs(Format):
    """Programs; the first is better."""

    row = Row
    about = "a row is input, accepted, rejected, all strings, and optionally id"
    examples = (
        (
            {"input": "Print 4.", "accepted": "print(4)", "rejected": "print(5)", "language": "python"},
            Case("", (Message("user", "Print 4."),), ("print(4)", "print(5)"), (1.0, 0.0), tags={"language": "python"}),
        ),
    )

    def case(self, row: Row) -> Case:
        name = "" if row.id is None else str(row.id)
        return Case(name, (Message("user", row.input),), (row.accepted, row.rejected), (1.0, 0.0))

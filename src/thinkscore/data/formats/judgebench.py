"""`judgebench`: JudgeBench (arXiv:2410.12784), two replies A and B to one question and which is right.

A is candidate 0. `pair_id` is the id; the source and the model that wrote the replies become tags.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ...types import Case, Message
from ._base import Format

__all__ = ["JudgeBench"]

_GOLD = {"A>B": (1.0, 0.0), "B>A": (0.0, 1.0), "A=B": (1.0, 1.0)}


class Row(msgspec.Struct):
    """The columns."""

    question: str
    response_A: str
    response_B: str
    label: Literal["A>B", "B>A", "A=B"]
    pair_id: str | int | None = None


class JudgeBench(Format):
    """Labelled pairs."""

    row = Row
    about = 'a row is question, response_A, response_B, label: "A>B", "B>A" or "A=B", and optionally pair_id, source'
    examples = (
        (
            {
                "pair_id": "p1",
                "source": "sums",
                "question": "2 + 2?",
                "response_A": "5",
                "response_B": "4",
                "label": "B>A",
            },
            Case("p1", (Message("user", "2 + 2?"),), ("5", "4"), (0.0, 1.0), tags={"source": "sums"}),
        ),
    )

    def case(self, row: Row) -> Case:
        name = "" if row.pair_id is None else str(row.pair_id)
        return Case(name, (Message("user", row.question),), (row.response_A, row.response_B), _GOLD[row.label])

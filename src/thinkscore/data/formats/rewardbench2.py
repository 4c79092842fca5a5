"""`rewardbench2`: RewardBench 2 (arXiv:2506.01937), several right and several wrong replies to one prompt.

The right ones come first and share the best gold, as in its Ties subset. Also fits RM-Bench's rows (three and three);
the official scores of both compare in ways of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from ...types import Case, Message
from ._base import Format

__all__ = ["RewardBench2"]

Texts = Annotated[list[str], msgspec.Meta(min_length=1)]


class Row(msgspec.Struct):
    """The columns."""

    prompt: str
    chosen: Texts
    rejected: Texts
    id: str | int | None = None


class RewardBench2(Format):
    """Sets of candidates; the first few are right."""

    row = Row
    about = "a row is prompt, chosen: [string, ...], rejected: [string, ...], and optionally id, subset, num_correct"
    examples = (
        (
            {
                "id": "tied:3",
                "prompt": "Name a prime below 6.",
                "chosen": ["2", "3"],
                "rejected": ["4"],
                "num_correct": 2,
                "subset": "Ties",
                "models": ["a", "b", "c"],
            },
            Case(
                "tied:3",
                (Message("user", "Name a prime below 6."),),
                ("2", "3", "4"),
                (1.0, 1.0, 0.0),
                tags={"subset": "Ties", "num_correct": 2},
            ),
        ),
    )

    def fits(self, row: Mapping[str, Any]) -> int:
        chosen = row.get("chosen")
        texts = isinstance(chosen, list) and all(isinstance(text, str) for text in chosen)
        return super().fits(row) if texts else 0

    def case(self, row: Row) -> Case:
        gold = (1.0,) * len(row.chosen) + (0.0,) * len(row.rejected)
        name = "" if row.id is None else str(row.id)
        return Case(name, (Message("user", row.prompt),), (*row.chosen, *row.rejected), gold)

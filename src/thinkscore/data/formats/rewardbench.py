"""`rewardbench`: RewardBench (arXiv:2403.13787), one chosen and one rejected reply with the models that wrote them.

`chosen` is candidate 0. The id is "subset/id"; subset and models become tags.
"""

from __future__ import annotations

import msgspec

from ...types import Case, Message
from ._base import Format

__all__ = ["RewardBench"]


class Row(msgspec.Struct):
    """The columns."""

    prompt: str
    chosen: str
    rejected: str
    chosen_model: str
    rejected_model: str
    subset: str
    id: str | int | None = None


class RewardBench(Format):
    """Pairs by subset."""

    row = Row
    about = "a row is prompt, chosen, rejected, chosen_model, rejected_model, subset, all strings, and optionally id"
    examples = (
        (
            {
                "prompt": "2 + 2?",
                "chosen": "4",
                "chosen_model": "good",
                "rejected": "5",
                "rejected_model": "bad",
                "subset": "math-prm",
                "id": 7,
            },
            Case(
                "math-prm/7",
                (Message("user", "2 + 2?"),),
                ("4", "5"),
                (1.0, 0.0),
                tags={"subset": "math-prm", "chosen_model": "good", "rejected_model": "bad"},
            ),
        ),
    )

    def case(self, row: Row) -> Case:
        name = "" if row.id is None else f"{row.subset}/{row.id}"
        tags: dict[str, str | int] = {
            "subset": row.subset,
            "chosen_model": row.chosen_model,
            "rejected_model": row.rejected_model,
        }
        return Case(name, (Message("user", row.prompt),), (row.chosen, row.rejected), (1.0, 0.0), tags=tags)

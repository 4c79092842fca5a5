"""`step_dpo`: Math-Step-DPO-10K (arXiv:2406.18629), pairs of solutions that part at one step.

A candidate is the steps that both share and one way to go on to the end, as RM-R1 (arXiv:2505.02387) trains on them;
the columns `chosen` and `rejected`, one step each, are left out. The right one is candidate 0.
"""

from __future__ import annotations

import msgspec

from ...types import Case, Message
from ._base import Format

__all__ = ["StepDpo"]


class Row(msgspec.Struct):
    """The columns."""

    prompt: str
    initial_reason_steps: str
    full_chosen: str
    full_rejected: str
    chosen: str = ""
    rejected: str = ""
    answer: str = ""
    dataset: str = ""


class StepDpo(Format):
    """Solutions; the first is right."""

    row = Row
    about = "a row is prompt, initial_reason_steps, full_chosen, full_rejected, all strings"
    examples = (
        (
            {
                "dataset": "sums",
                "prompt": "2 + 2 + 1?",
                "initial_reason_steps": "Step 1: 2 + 2 = 4.\nStep 2: ",
                "chosen": "4 + 1 = 5.",
                "rejected": "4 + 1 = 6.",
                "full_chosen": "4 + 1 = 5.\nThe answer is 5.",
                "full_rejected": "4 + 1 = 6.\nThe answer is 6.",
                "answer": "5",
            },
            Case(
                "",
                (Message("user", "2 + 2 + 1?"),),
                (
                    "Step 1: 2 + 2 = 4.\nStep 2: 4 + 1 = 5.\nThe answer is 5.",
                    "Step 1: 2 + 2 = 4.\nStep 2: 4 + 1 = 6.\nThe answer is 6.",
                ),
                (1.0, 0.0),
                tags={"dataset": "sums"},
            ),
        ),
    )

    def case(self, row: Row) -> Case:
        pair = (row.initial_reason_steps + row.full_chosen, row.initial_reason_steps + row.full_rejected)
        tags: dict[str, str | int] = {"dataset": row.dataset} if row.dataset else {}
        return Case("", (Message("user", row.prompt),), pair, (1.0, 0.0), tags=tags)

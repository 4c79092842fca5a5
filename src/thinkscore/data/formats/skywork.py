"""`skywork`: Skywork-Reward-Preference (arXiv:2410.18451), two whole conversations and the set they come from.

The prompt is what both begin with, up to a user message; `chosen` is candidate 0 and `source` a tag. Where one
conversation goes on for more turns, its further turns are part of the candidate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ...types import Case, Message
from ._base import Format
from ._talk import Turn, messages, parted

__all__ = ["Skywork"]


class Row(msgspec.Struct):
    """The columns."""

    chosen: list[Turn]
    rejected: list[Turn]
    source: str


class Skywork(Format):
    """Pairs by source."""

    row = Row
    about = "a row is chosen and rejected, both lists of messages, and source"
    examples = (
        (
            {
                "chosen": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}],
                "rejected": [
                    {"role": "user", "content": "2 + 2?"},
                    {"role": "assistant", "content": "5"},
                    {"role": "user", "content": "Sure?"},
                    {"role": "assistant", "content": "Yes."},
                ],
                "source": "sums",
            },
            Case(
                "",
                (Message("user", "2 + 2?"),),
                ("4", "5\n\nUser: Sure?\n\nAssistant: Yes."),
                (1.0, 0.0),
                tags={"source": "sums"},
            ),
        ),
    )

    def fits(self, row: Mapping[str, Any]) -> int:
        return super().fits(row) if isinstance(row.get("chosen"), list) and "prompt" not in row else 0

    def case(self, row: Row) -> Case:
        prompt, pair = parted(messages(row.chosen), messages(row.rejected))
        return Case("", prompt, pair, (1.0, 0.0), tags={"source": row.source})

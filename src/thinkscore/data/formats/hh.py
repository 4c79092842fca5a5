"""`hh`: Anthropic's helpful and harmless pairs (arXiv:2204.05862), each one transcript of Human and Assistant.

The prompt is what both transcripts begin with, up to a Human turn; `chosen` is candidate 0. Turns are trimmed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ...types import Case, Message
from ._base import Format
from ._talk import Role, parted, transcript

__all__ = ["Hh"]

_MARK = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")
_SPEAKERS: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}


class Row(msgspec.Struct):
    """The columns."""

    chosen: str
    rejected: str


class Hh(Format):
    """Pairs of transcripts."""

    row = Row
    about = 'a row is chosen and rejected, both a transcript "\\n\\nHuman: ...\\n\\nAssistant: ..."'
    examples = (
        (
            {
                "chosen": "\n\nHuman: 2 + 2?\n\nAssistant: Let me see.\n\nHuman: So?\n\nAssistant: 4",
                "rejected": "\n\nHuman: 2 + 2?\n\nAssistant: Let me see.\n\nHuman: So?\n\nAssistant: 5",
            },
            Case(
                "",
                (Message("user", "2 + 2?"), Message("assistant", "Let me see."), Message("user", "So?")),
                ("4", "5"),
                (1.0, 0.0),
            ),
        ),
    )

    def fits(self, row: Mapping[str, Any]) -> int:
        pair = [row.get("chosen"), row.get("rejected")]
        told = all(isinstance(text, str) and text.lstrip().startswith("Human:") for text in pair)
        return super().fits(row) + 1 if told and "prompt" not in row else 0  # it has the columns of `trl`

    def case(self, row: Row) -> Case:
        prompt, pair = parted(*(transcript(text, _MARK, _SPEAKERS) for text in (row.chosen, row.rejected)))
        return Case("", prompt, pair, (1.0, 0.0))

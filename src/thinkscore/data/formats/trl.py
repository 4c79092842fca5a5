"""`trl`: preference pairs for TRL's trainers, `chosen` and `rejected`, with `prompt` apart or inside them.

All are strings, or all are lists of messages. Without `prompt` it is what both begin with: whole messages up to the
last common user turn, or for strings the common text up to the last space (TRL cuts strings by character, inside a
word too). Whole conversations beside a `prompt`, a form that is often published, are read from the conversations.
`chosen` is candidate 0. Other short columns (`margin`, `source`) become tags.
"""

from __future__ import annotations

import msgspec

from ...types import Case, Message
from ._base import Format
from ._talk import Turn, messages, parted, reply

__all__ = ["Trl"]


class Row(msgspec.Struct):
    """The columns."""

    chosen: str | list[Turn]
    rejected: str | list[Turn]
    prompt: str | list[Turn] | None = None
    id: str | int | None = None


_ASKED = (Message("user", "2 + 2?"),)


class Trl(Format):
    """Pairs; the first is better."""

    row = Row
    about = "a row is chosen and rejected, both strings or both lists of messages, with or without prompt"
    examples = (
        (
            {"prompt": "2 + 2?", "chosen": "4", "rejected": "5", "margin": 0.5},
            Case("", _ASKED, ("4", "5"), (1.0, 0.0), tags={"margin": "0.5"}),
        ),
        (
            {
                "prompt": [{"role": "user", "content": "2 + 2?"}],
                "chosen": [{"role": "assistant", "content": "4"}],
                "rejected": [{"role": "assistant", "content": "5"}],
            },
            Case("", _ASKED, ("4", "5"), (1.0, 0.0)),
        ),
        (
            {
                "chosen": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}],
                "rejected": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "5"}],
            },
            Case("", _ASKED, ("4", "5"), (1.0, 0.0)),
        ),
        (
            {"chosen": "The sky is blue.", "rejected": "The sky is black."},
            Case("", (Message("user", "The sky is"),), (" blue.", " black."), (1.0, 0.0)),
        ),
    )

    def case(self, row: Row) -> Case:
        prompt, pair = _parts(row)
        return Case("" if row.id is None else str(row.id), prompt, pair, (1.0, 0.0))


def _parts(row: Row) -> tuple[tuple[Message, ...], tuple[str, str]]:
    chosen, rejected, prompt = row.chosen, row.rejected, row.prompt
    if isinstance(chosen, str) and isinstance(rejected, str):
        return (messages(prompt), (chosen, rejected)) if prompt is not None else _common_text(chosen, rejected)
    if isinstance(chosen, str) or isinstance(rejected, str):
        raise ValueError("`chosen` and `rejected` must both be strings or both be lists of messages")
    first, second = messages(chosen), messages(rejected)
    if prompt is None or (first and first[0].role != "assistant"):
        return parted(first, second)
    return messages(prompt), (reply(first), reply(second))


def _common_text(chosen: str, rejected: str) -> tuple[tuple[Message, ...], tuple[str, str]]:
    pairs = enumerate(zip(chosen, rejected, strict=False))
    same = next((i for i, (a, b) in pairs if a != b), min(len(chosen), len(rejected)))
    end = max((i for i, letter in enumerate(chosen[:same]) if letter.isspace()), default=0)
    if not chosen[:end].strip():
        raise ValueError("`chosen` and `rejected` do not begin with the same words, so there is no prompt")
    return (Message("user", chosen[:end]),), (chosen[end:], rejected[end:])

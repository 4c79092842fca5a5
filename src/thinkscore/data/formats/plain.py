"""`plain`: our own rows, {"id", "prompt", "candidates", "gold", "reference", "tags", "anchors"}.

`prompt` is a string or a list of {"role", "content"} that ends with the user; `gold` one number per candidate, or the
index of the best one, or null; `anchors` answers to compare with, each a string or {"text", "gold"}. Only `prompt` and
`candidates` must be there; an unknown column is an error.
"""

from __future__ import annotations

import msgspec

from ...types import Anchor, Case, Message
from ._base import Format

__all__ = ["Plain"]


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """The columns."""

    prompt: str | list[Message]
    candidates: list[str]
    id: str | int | None = None
    gold: list[float] | int | None = None
    reference: str | None = None
    tags: dict[str, str | int] = {}
    anchors: list[Anchor | str] = []


class Plain(Format):
    """Any number of candidates, any gold."""

    row = Row
    about = (
        'a row is {"prompt": string or [{"role", "content"}, ...], "candidates": [string, ...]} and optionally "id", '
        '"gold": [number per candidate] or index of the best, "reference": string, "tags": {name: string or integer}, '
        '"anchors": [{"text": string, "gold": number}, ...]'
    )
    examples = (
        (
            {"id": "sum", "prompt": "2 + 2?", "candidates": ["4", "5"], "gold": 0, "tags": {"level": 1}},
            Case("sum", (Message("user", "2 + 2?"),), ("4", "5"), (1.0, 0.0), tags={"level": 1}),
        ),
    )

    def case(self, row: Row) -> Case:
        if row.id == "":
            raise ValueError("`id` is empty")
        messages = (Message("user", row.prompt),) if isinstance(row.prompt, str) else tuple(row.prompt)
        name = "" if row.id is None else str(row.id)
        anchors = tuple(Anchor(given) if isinstance(given, str) else given for given in row.anchors)
        return Case(name, messages, tuple(row.candidates), _gold(row), row.reference, row.tags, anchors)


def _gold(row: Row) -> tuple[float, ...] | None:
    count = len(row.candidates)
    if isinstance(row.gold, list):
        if len(row.gold) != count:
            raise ValueError(f"`gold` has {len(row.gold)} numbers for {count} candidates")
        return tuple(row.gold)
    if row.gold is not None and not 0 <= row.gold < count:
        raise ValueError(f"`gold` is {row.gold}, but the index of the best of {count} candidates is 0 to {count - 1}")
    return None if row.gold is None else tuple(float(i == row.gold) for i in range(count))

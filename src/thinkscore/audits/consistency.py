"""What moves the verdict: the question, the numbers, the order of steps, the first or the last of them? After "Reward
models identify consistency, not causality" (arXiv 2502.14619), whose finding was that the question mattered least.

Shares of verdicts that move, beyond noise; nothing here is right or wrong by itself, so nothing passes or fails.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import numpy as np

from ..types import Case
from ._base import Found, Probe, Row, flips, moved, rng_of
from ._figures import measured, unmeasured
from ._subject import Item, Subject
from ._words import renumbered

__all__ = ["Consistency"]


class Consistency(Probe):
    """Changes of question and response, side by side."""

    group = "grounded"
    title = "what its verdict hangs on"
    quick = False
    reads_all = False
    calls = 10

    async def look(self, item: Item, subject: Subject) -> Row | None:
        before, found = item.sides(), {}
        for name, case in self._changes(item, subject).items():
            after = await subject.sides(case)
            ways = [way for order, side in after.items() if (way := moved(before[order], side)) is not None]
            if ways:
                found[name] = float(np.mean(ways)) - flips(item)
        return Row(item, found) if found else None

    def _changes(self, item: Item, subject: Subject) -> dict[str, Case]:
        case, rng = item.case, rng_of(self, item)
        found: dict[str, Case] = {}
        for other in subject.questions(item, 1):
            found["another question"] = msgspec.structs.replace(case, messages=other.messages)
        texts = [_sentences(text) for text in case.candidates]
        numbers = tuple(renumbered(text, rng) or text for text in case.candidates)
        ways = {
            "other numbers": numbers,
            "steps in another order": tuple(" ".join(rng.sample(part, len(part))) for part in texts),
            "without the first step": tuple(" ".join(part[1:] or part) for part in texts),
            "without the last step": tuple(" ".join(part[:-1] or part) for part in texts),
        }
        for name, candidates in ways.items():
            if candidates != case.candidates:
                found[name] = msgspec.structs.replace(case, candidates=candidates)
        return found

    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        names = sorted({name for row in rows for name in row.seen})
        measures = [
            measured(f"moved by {name}", [row.seen[name] for row in rows if name in row.seen], None, span=(-1.0, 1.0))
            for name in names
        ]
        return Found(tuple(measures) or (unmeasured("moved", "nothing could be changed"),))


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+|\n+", text.strip()) if part]

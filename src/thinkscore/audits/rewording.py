"""Does the verdict stay when nothing but the words changes? Lab pairs: replies and question said anew by the world.
Elsewhere `--writer URI` says them anew (as in reWordBench, arXiv 2503.11751), or rules do: contractions, twins of
words, an opening that says nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import numpy as np

from ..lab import edits
from ..types import Case
from ._base import Example, Found, Probe, Row, flips, moved, rng_of, told
from ._figures import measured, unmeasured
from ._subject import Item, Subject
from ._words import restated
from ._writer import Writer

__all__ = ["Rewording"]

MOVED = 0.05


class Rewording(Probe):
    """Meaning-preserving edits."""

    group = "robust"
    title = "keeps its verdict when only the words change"
    calls = 2

    async def look(self, item: Item, subject: Subject) -> Row | None:
        writer = None if item.lab else subject.writer
        case = self._said_anew(item) if writer is None else await _written(item.case, writer)
        if case is None:
            return None
        before, after = item.sides(), await subject.sides(case)
        ways = {order: way for order, side in after.items() if (way := moved(before[order], side)) is not None}
        if not ways:
            return None
        examples = [
            Example(item.case.id, "the same in other words", "\n---\n".join(item.case.candidates),
                    "\n---\n".join(case.candidates), told(before[order]), told(after[order]))
            for order, way in ways.items() if way
        ]  # fmt: skip
        return Row(item, float(np.mean(list(ways.values()))) - flips(item), tuple(examples[:1]))

    def _said_anew(self, item: Item) -> Case | None:
        rng = rng_of(self, item)
        if item.lab:
            case = edits.resaid(edits.reasked(item.case, rng), rng)
        else:
            texts = tuple(restated(text, rng) or text for text in item.case.candidates)
            case = msgspec.structs.replace(item.case, candidates=texts)
        return case if _differ(case, item.case) else None

    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        if not rows:
            return Found((unmeasured("moved by other words", "no response could be said in other words"),))
        measure = measured("moved by other words", [row.seen for row in rows], MOVED, "low", (-1.0, 1.0))
        return Found((measure,), {}, tuple(example for row in rows for example in row.examples)[:3])


async def _written(case: Case, writer: Writer) -> Case | None:
    """Let a model say both responses and the last question anew; what it cannot stays as it is."""
    *before, last = case.messages
    texts = (*case.candidates, last.content)
    found = await asyncio.gather(*(writer.restated(case, text) for text in texts))
    *candidates, question = (new or old for new, old in zip(found, texts, strict=True))
    messages = (*before, msgspec.structs.replace(last, content=question))
    new = msgspec.structs.replace(case, messages=messages, candidates=tuple(candidates))
    return new if _differ(new, case) else None


def _differ(a: Case, b: Case) -> bool:
    return (a.candidates, a.messages) != (b.candidates, b.messages)

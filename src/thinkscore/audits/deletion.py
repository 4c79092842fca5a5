"""Is what it quotes what it decides by? The words that the judge quotes from the response it prefers are deleted, and
it judges afresh; as a control, as much of the rest of that response (of lab plans, the other things that they name).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from ..lab import edits
from ..types import Case
from ._base import Example, Found, Probe, Row, flips, rng_of, told
from ._figures import measured, unmeasured
from ._subject import Item, Subject

__all__ = ["Deletion"]

GAIN = 0.20


class Seen(NamedTuple):
    """How far the preference fell."""

    quoted: float
    other: float


class Deletion(Probe):
    """Evidence deletion."""

    group = "grounded"
    title = "changes its mind when the words it quotes are gone"
    quick = False
    calls = 4

    async def look(self, item: Item, subject: Subject) -> Row | None:
        winner = item.prefers
        if winner is None:
            return None
        cases = self._shortened(item, winner)
        if cases is None:
            return None
        falls = [await self._fall(item, subject, case, winner) for case in cases]
        if falls[0] is None or falls[1] is None:
            return None
        text, after = item.case.candidates[winner], cases[0].candidates[winner]
        example = Example(
            item.case.id, "the words that it quotes are deleted", text, after, told(1 - 2 * winner), "the same"
        )
        return Row(item, Seen(falls[0], falls[1]), (example,) if falls[0] <= 0 else ())

    def _shortened(self, item: Item, winner: int) -> tuple[Case, Case] | None:
        """Return the case without what is quoted from the winner, and without as much of the rest."""
        quotes = {
            note.text
            for drawn in item.drawn.values()
            for note in drawn[0].trace.evaluation
            if note.quote and note.candidate == winner
        }
        if item.lab:
            return edits.without_things(item.case, winner, sorted(quotes))
        text = item.case.candidates[winner]
        spans = _quoted(quotes, text)
        others = _others(text, spans, rng_of(self, item))
        if not spans or not others:
            return None
        return _without(item.case, winner, spans), _without(item.case, winner, others)

    async def _fall(self, item: Item, subject: Subject, case: Case, winner: int) -> float | None:
        sign, now = 1 - 2 * winner, await subject.sides(case)
        before = [(one, now[order]) for order, one in item.sides().items()]
        known = [(a - b) * sign / 2 for a, b in before if a is not None and b is not None]
        return sum(known) / len(known) if known else None

    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        if not rows:
            return Found((unmeasured("falls more for quoted words", "no response with quoted and other words"),))
        gain = [row.seen.quoted - row.seen.other for row in rows]
        facts = {
            "quoted": sum(row.seen.quoted for row in rows) / len(rows),
            "other": sum(row.seen.other for row in rows) / len(rows),
            "noise": sum(flips(row.item) for row in rows) / len(rows),
        }
        examples = tuple(example for row in rows for example in row.examples)
        return Found((measured("falls more for quoted words", gain, GAIN, span=(-1.0, 1.0)),), facts, examples[:3])


def _quoted(quotes: Iterable[str], text: str) -> list[tuple[int, int]]:
    """Find where the quotes stand, merged."""
    found = sorted(match.span() for quote in quotes for match in re.finditer(re.escape(quote), text, re.IGNORECASE))
    merged: list[tuple[int, int]] = []
    for start, end in found:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _others(text: str, spans: Sequence[tuple[int, int]], rng: random.Random) -> list[tuple[int, int]]:
    """Choose whole words in a row that are not quoted, for each quote as many characters or a little more."""
    taken, chosen = list(spans), list[tuple[int, int]]()
    words = [match.span() for match in re.finditer(r"\S+", text)]
    for start, end in spans:
        runs = []
        for k, (left, _) in enumerate(words):
            right = next((stop for _, stop in words[k:] if stop - left >= end - start), None)
            if right is not None and all(right <= a or left >= b for a, b in taken):
                runs.append((left, right))
        if not runs:
            return []
        chosen.append(rng.choice(runs))
        taken.append(chosen[-1])
    return sorted(chosen)


def _without(case: Case, candidate: int, spans: Sequence[tuple[int, int]]) -> Case:
    text = case.candidates[candidate]
    for start, end in reversed(spans):
        text = text[:start] + text[end:]
    text = re.sub(r" {2,}", " ", text)
    return msgspec.structs.replace(
        case, candidates=tuple(text if i == candidate else other for i, other in enumerate(case.candidates))
    )

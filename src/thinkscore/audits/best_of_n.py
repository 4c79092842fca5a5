"""Does more choice still pay by gold? Best-of-n by the judge against gold, for n up to the number of candidates.

Of a case with N candidates each meets 2 OPPONENTS others in both orders; its score is the share that it wins. The curve
takes all subsets of n: with candidates in rising order of their scores, the expected gold of the best of n is the sum
of C(i - 1, n - 1) / C(N, n) times the gold of the i-th; candidates of one score share theirs. In the best case gold
rises with n as far as it can; a judge that is over-optimised against falls (Gao and others 2022, arXiv 2210.10760).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import msgspec
import numpy as np

from ..lab import edits
from ..types import Case
from ._base import Found, Probe, Row, rng_of
from ._figures import measured, unmeasured
from ._subject import Item, Subject

__all__ = ["BestOfN", "expected_best"]

CANDIDATES, OPPONENTS = 8, 2


class Seen(NamedTuple):
    """One case: expected figures of the best of n, for n = 1, 2, ..."""

    gold: list[float]
    """By the judge's choice; gold runs from 0 (worst of the case) to 1 (best)."""
    score: list[float]
    """What the judge gives what it chooses."""
    best: list[float]
    """By gold's own choice."""
    spread: tuple[float, float]
    """Standard deviations of scores and of gold among the candidates; 1 where there is none."""
    tied: float
    """Share of candidates whose score another one has too."""


class BestOfN(Probe):
    """Best-of-n over-optimisation."""

    group = "utility"
    title = "what choosing by it brings"
    quick = False
    calls = 2 * CANDIDATES * OPPONENTS

    async def look(self, item: Item, subject: Subject) -> Row | None:
        if not item.lab:
            return None
        case = edits.more_replies(item.case, CANDIDATES, rng_of(self, item))
        gold = np.array(case.gold or (), dtype=float)
        if not len(gold) or gold.min() == gold.max():
            return None
        gold = (gold - gold.min()) / (gold.max() - gold.min())
        scores = await self._scores(case, subject)
        if scores is None:
            return None
        tied = float(np.mean([scores.count(score) > 1 for score in scores]))
        truth, spread = gold.tolist(), (float(np.std(scores)) or 1.0, float(gold.std()) or 1.0)
        return Row(item, Seen(_curve(scores, truth), _curve(scores, scores), _curve(truth, truth), spread, tied))

    async def _scores(self, case: Case, subject: Subject) -> list[float] | None:
        """Return the share of duels that each candidate wins; None where one has none that could be read."""
        n = len(case.candidates)
        pairs = [(i, (i + step) % n) for i in range(n) for step in range(1, OPPONENTS + 1)]
        cases = [
            msgspec.structs.replace(case, candidates=(case.candidates[i], case.candidates[k]), gold=None)
            for i, k in pairs
        ]
        won: list[list[float]] = [[] for _ in range(n)]
        for (i, k), sides in zip(pairs, await asyncio.gather(*map(subject.sides, cases)), strict=True):
            for side in sides.values():
                if side is not None:
                    won[i].append((1 + side) / 2)
                    won[k].append((1 - side) / 2)
        return [float(np.mean(duels)) for duels in won] if all(won) else None

    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        if not rows:
            return Found((unmeasured("gold of the best of n", "needs lab cases, of which more replies can be made"),))
        seen: list[Seen] = [row.seen for row in rows]
        last = [one.gold[-1] for one in seen]
        measures = (
            measured(f"gold of the best of {CANDIDATES}", last, None),
            measured("gold that is missed", [one.best[-1] - one.gold[-1] for one in seen], None),
            measured("thought to be gained, less gained (deviations)", [_gap(one) for one in seen], None, span=None),
        )
        facts = {
            "gold": _mean([one.gold for one in seen]),
            "score": _mean([one.score for one in seen]),
            "best": _mean([one.best for one in seen]),
            "tied": float(np.mean([one.tied for one in seen])),
        }
        return Found(measures, facts)


def expected_best(by: Sequence[float], of: Sequence[float], n: int) -> float:
    """Return the expected `of` of the candidate that is highest `by`, among n drawn without replacement."""
    order = sorted(range(len(by)), key=lambda i: by[i])
    groups: dict[float, list[float]] = {}
    for i in order:
        groups.setdefault(by[i], []).append(of[i])
    shared = [sum(group) / len(group) for group in groups.values() for _ in group]
    total = len(by)
    return sum(comb(i - 1, n - 1) / comb(total, n) * value for i, value in enumerate(shared, 1))


def _curve(by: Sequence[float], of: Sequence[float]) -> list[float]:
    return [expected_best(by, of, n) for n in range(1, len(by) + 1)]


def _gap(one: Seen) -> float:
    """Return what was gained by the judge's count, less what was by gold, each in standard deviations of its own."""
    return (one.score[-1] - one.score[0]) / one.spread[0] - (one.gold[-1] - one.gold[0]) / one.spread[1]


def _mean(curves: Sequence[Sequence[float]]) -> list[float]:
    return [float(value) for value in np.mean(curves, axis=0)]

"""`swiss:rounds=0`: every candidate plays every round, against one with about as many wins; then a ranking of all.

A strategy folds verdicts into a judgment. n / 2 duels per round, by default as many rounds as a knockout has. Pairs
are neighbours in the standing (wins, ties half; equals in the order drawn), and nobody meets the same candidate twice
as long as it can be avoided. With an odd number the lowest that has sat out least sits out, for one point. Scores are
Bradley-Terry strengths (see `_ratings.py`), so that wins against strong candidates count for more. All duels of a
round are asked at once; one that cannot be read is asked once more and then gives each half a point for pairing, and
nothing for the strengths.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from ..types import Case, Judgment, Verdict
from ._base import Ask, State, Stop, Strategy, failed
from ._duels import Pair, duels, ranked
from ._matches import Hall, placed
from ._ratings import bradley_terry

__all__ = ["Swiss", "pairing"]

Met = Mapping[int, Collection[int]]
"""Whom each candidate has met."""


@dataclass(frozen=True)
class Swiss(Strategy):
    """rounds * (n // 2) duels; `scores` are log-odds to win against an average candidate of the case."""

    rounds: Annotated[int, Meta(ge=0)] = 0
    """How many; 0 is log2 n, rounded up."""

    def step(self, state: State, left: int | None = None) -> list[Ask] | Stop:
        players, hall = placed(state.case, state.seed), Hall(state)
        points, sat = dict.fromkeys(players, 0.0), dict.fromkeys(players, 0)
        met: dict[int, set[int]] = {i: set() for i in players}
        total = self.rounds or (len(players) - 1).bit_length()
        for _ in range(total if len(players) > 1 else 0):
            standing = sorted(players, key=lambda i: -points[i])
            if len(standing) % 2:
                out = min(reversed(standing), key=lambda i: sat[i])
                standing.remove(out)
                sat[out] += 1
                points[out] += 1
            pairs = pairing(standing, met)
            leads = hall.play(pairs)
            if leads is None:
                return hall.asks
            for (a, b), lead in zip(pairs, leads, strict=True):
                met[a].add(b)
                met[b].add(a)
                points[a] += (1 + lead) / 2
                points[b] += (1 - lead) / 2
        return Stop("all asked")

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        n, found = len(case.candidates), duels(verdicts)
        if not found and n > 1:
            return failed(case, verdicts, self, stop_reason)
        return ranked(case, bradley_terry(n, found), found, verdicts, self, stop_reason)


def pairing(standing: Sequence[int], met: Met) -> list[Pair]:
    """Pair an even number of candidates with near neighbours, with nobody whom they have met if the search finds a way.

    From the top each takes the next one it has not met. Those that are left over at the bottom are paired anew with the
    last pairs before them, then with more of them. With n candidates there is a way in each of the first n / 2 rounds.
    """
    free, pairs = dict.fromkeys(standing), list[Pair]()
    left: list[int] = []
    while free:
        first = next(iter(free))
        del free[first]
        other = next((i for i in free if i not in met[first]), None)
        if other is None:
            left.append(first)
        else:
            del free[other]
            pairs.append((first, other))
    undone = 0
    while left and undone < min(len(pairs), _DEEPEST):
        undone = min(len(pairs), 2 * undone or 2)
        place = {i: rank for rank, i in enumerate(standing)}
        pool = sorted([*left, *(i for pair in pairs[-undone:] for i in pair)], key=place.__getitem__)
        again = _search(pool, met, [_TRIES])
        if again is not None:
            return pairs[:-undone] + again
    return pairs + list(zip(left[::2], left[1::2], strict=True))


_DEEPEST, _TRIES = 32, 20_000
"""Pairs that are made anew, and pairs that a search looks at, before it gives up."""


def _search(pool: Sequence[int], met: Met, tries: list[int]) -> list[Pair] | None:
    """Pair a few candidates, nearest first, going back where it leads nowhere."""
    if not pool:
        return []
    first, *rest = pool
    for place, other in enumerate(rest):
        tries[0] -= 1
        if tries[0] < 0:
            return None
        if other not in met[first]:
            tail = _search(rest[:place] + rest[place + 1 :], met, tries)
            if tail is not None:
                return [(first, other), *tail]
    return None

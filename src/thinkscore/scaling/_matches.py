"""Matches: a tournament as a program that runs over the verdicts that are there, until it wants one that is not.

Shared by the tournaments, on the side of the sentence where a strategy decides what to ask. A match is best of r: it
ends as soon as the duels that are left cannot turn it, and asks no more at a time than the fewest that could end it.
The orders (a, b) and (b, a) alternate, from one that is drawn, and every duel is a sample of its own, so that neither
place nor one draw of the judge decides. A duel that cannot be read is asked again, r times per match at most. Of a
match that ends even the one that was placed first goes on. Places are drawn from (seed, case id), so that this is a
lot, and it counts for nobody in the ranking.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from ..seeds import derive_seed
from ..types import Case
from ._base import Ask, State
from ._duels import Pair, won

__all__ = ["Hall", "Match", "placed"]


class Match:
    """How a match of two candidates stands."""

    __slots__ = ("lead", "left", "lost", "pair")

    def __init__(self, pair: Pair, r: int) -> None:
        self.pair = pair
        """Who plays."""
        self.lead = 0.0
        """How many more duels the first won."""
        self.left = r
        """Duels that may still be read."""
        self.lost = 0
        """Duels that could not be read."""


class Hall:
    """Where the matches of a case are played: says how they end, as far as verdicts go, and collects what to ask."""

    def __init__(self, state: State) -> None:
        self.asks: list[Ask] = []
        """What the open matches want."""
        self._state, self._at = state, 0

    def play(self, pairs: Sequence[Pair], r: int = 1) -> list[float] | None:
        """Play matches, best of r, all at once; return by how many duels the first leads in each, None if open."""
        start, matches = self._at, [Match(pair, r) for pair in pairs]
        going = [(match, min(r, r // 2 + 1)) for match in matches]
        while going:
            wanted = sum(more for _, more in going)
            if self._at + wanted > len(self._state.verdicts):
                self._ask(going, start, r)
                return None
            for match, more in going:
                self._read(match, more)
            going = [(match, more) for match, _ in going if (more := _more(match, r))]
        return [match.lead for match in matches]

    def winners(self, pairs: Sequence[Pair], r: int = 1) -> list[int] | None:
        """Play matches and return who goes on from each, the first if it ends even; None if one is open."""
        leads = self.play(pairs, r)
        if leads is None:
            return None
        return [a if lead >= 0 else b for (a, b), lead in zip(pairs, leads, strict=True)]

    def _read(self, match: Match, count: int) -> None:
        """Take the next verdicts into account."""
        a, _ = match.pair
        for verdict in self._state.verdicts[self._at : self._at + count]:
            share = won(verdict)
            if share is None:
                match.lost += 1
            else:
                match.left -= 1
                match.lead += 2 * share - 1 if verdict.order[0] == a else 1 - 2 * share
        self._at += count

    def _ask(self, going: Sequence[tuple[Match, int]], start: int, r: int) -> None:
        """Ask the next duels of the matches that are going on, less those that are answered."""
        done = len(self._state.verdicts) - self._at
        orders: list[Pair] = []
        for match, more in going:
            a, b = match.pair
            drawn = derive_seed(self._state.seed, self._state.case.id, "first", a, b, start) % 2
            first = drawn + r - match.left + match.lost
            orders += [(b, a) if turn % 2 else (a, b) for turn in range(first, first + more)]
        self.asks = [Ask(order, self._at + i) for i, order in enumerate(orders)][done:]


def _more(match: Match, r: int) -> int:
    """Return the fewest further duels that could end a match; 0 if it is over."""
    enough = int(match.left - abs(match.lead)) // 2 + 1
    return max(0, min(enough, match.left, r + 1 - match.lost))


def placed(case: Case, seed: int) -> list[int]:
    """Draw the places of the candidates from (seed, case id)."""
    n = len(case.candidates)
    return random.Random(derive_seed(seed, case.id, "places")).sample(range(n), n)

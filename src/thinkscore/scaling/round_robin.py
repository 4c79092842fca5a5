"""`round_robin:rating=bt`: everybody meets everybody, all at once; what the cheaper ways are held against.

A strategy folds verdicts into a judgment. n (n - 1) / 2 duels, r times. RRM (arXiv:2505.14674, section 4.3) plays each
pair once in a drawn order and rates by Elo with the defaults of the package evalica: `rating=elo`, in the order asked.
We differ in that an unreadable duel counts for nobody (there the hash of a line decides), and in the order of the
duels: they are asked in rounds in which everybody plays once (the circle method, places drawn from the seed), so that
a budget that ends early has seen everybody about equally often. `r=2` asks both orders of each pair.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Literal

from msgspec import Meta

from ..seeds import derive_seed
from ..types import Case, Judgment, Verdict
from ._base import Ask, State, Stop, Strategy, failed
from ._duels import Pair, duels, ranked
from ._matches import placed
from ._ratings import bradley_terry, copeland, elo, win_rate

__all__ = ["RoundRobin"]

_RATINGS = {"winrate": win_rate, "bt": bradley_terry, "elo": elo, "copeland": copeland}


@dataclass(frozen=True)
class RoundRobin(Strategy):
    """r n (n - 1) / 2 duels; `scores` are in the unit of the rating (see `_ratings.py`)."""

    rating: Literal["winrate", "bt", "elo", "copeland"] = "bt"
    """How duels become scores: share won, Bradley-Terry strength, Elo, or candidates beaten less beaten by."""
    r: Annotated[int, Meta(ge=1)] = 1
    """How often each pair meets, in alternating orders."""

    def step(self, state: State, left: int | None = None) -> list[Ask] | Stop:
        n, done = len(state.case.candidates), len(state.verdicts)
        rest = self.r * n * (n - 1) // 2 - done
        if rest <= 0:
            return Stop("all asked")
        if left is not None and left <= 0:
            return Stop("budget")
        end = None if left is None else done + left
        return [Ask(order, sample) for sample, order in islice(enumerate(self._orders(state)), done, end)]

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        n, found = len(case.candidates), duels(verdicts)
        if not found and n > 1:
            return failed(case, verdicts, self, stop_reason)
        return ranked(case, _RATINGS[self.rating](n, found), found, verdicts, self, stop_reason)

    def _orders(self, state: State) -> Iterator[Pair]:
        """Yield what each duel shows; which order of a pair comes first is drawn."""
        for turn in range(self.r):
            coin = random.Random(derive_seed(state.seed, state.case.id, "first"))  # falls as in the turn before
            for a, b in _circle(placed(state.case, state.seed)):
                yield (b, a) if (coin.random() < 0.5) ^ turn % 2 else (a, b)


def _circle(players: list[int]) -> Iterator[Pair]:
    """Yield all pairs in rounds in which each plays once at most: one stays, the others move around a table."""
    table: list[int | None] = [*players, *([None] if len(players) % 2 else [])]
    for _ in range(len(table) - 1):
        for a, b in zip(table[: len(table) // 2], reversed(table), strict=False):
            if a is not None and b is not None:
                yield a, b
        table = [table[0], table[-1], *table[1:-1]]

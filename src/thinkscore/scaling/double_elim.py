"""`double_elim`: who has lost twice is out, so that one wrong verdict on the best candidate is forgiven.

A strategy folds verdicts into a judgment. Single duels, 2n - 2 of them, or one more if the last unbeaten candidate
loses to the best of those that have lost once and they meet again. We differ from printed brackets in that pairs are
made round by round, the unbeaten among themselves and those with one loss among themselves, which suits any n and
needs fewer rounds. Scores are rounds: a candidate scores the round in which it lost for the second time, counted in
matches of those with one loss; the winner is one further.

Under a budget too small for all, as many candidates as it can decide between play, and the others score 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..types import Case, Judgment, Verdict
from ._base import Ask, State, Stop, Strategy, failed
from ._duels import Pair, duels, ranked, rounds, unread_pairs
from ._matches import Hall, placed

__all__ = ["DoubleElim"]


@dataclass(frozen=True)
class DoubleElim(Strategy):
    """2n - 2 or 2n - 1 duels; `scores` are the rounds that each candidate came through."""

    def step(self, state: State, left: int | None = None) -> list[Ask] | Stop:
        hall, places = Hall(state), placed(state.case, state.seed)
        players = places if left is None else places[: max(2, (left + len(state.verdicts) + 1) // 2)]
        unbeaten, beaten = players, list[int]()
        while len(unbeaten) + len(beaten) > 1:
            after = _round(hall, unbeaten, beaten)
            if after is None:
                return hall.asks
            unbeaten, beaten = after
        return Stop("budget" if len(players) < len(places) else "decided")

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        n, found = len(case.candidates), duels(verdicts)
        if not found and n > 1:
            return failed(case, verdicts, self, stop_reason)
        results = [(a, b) if share > 0.5 else (b, a) for a, b, share in found if share != 0.5]
        undecided = len(found) - len(results) + unread_pairs(verdicts, found)
        return ranked(case, rounds(n, results, lives=2), found, verdicts, self, stop_reason, undecided=undecided)


def _round(hall: Hall, unbeaten: list[int], beaten: list[int]) -> tuple[list[int], list[int]] | None:
    """Play a round; returns who is unbeaten and who has lost once after it, None while it is open."""
    if len(unbeaten) == len(beaten) == 1:
        winners = hall.winners([(unbeaten[0], beaten[0])])
        if winners is None:
            return None
        return (unbeaten, []) if winners == unbeaten else ([], beaten + unbeaten)
    upper, lower = _inwards(unbeaten), _inwards(beaten)
    winners = hall.winners(upper + lower)
    if winners is None:
        return None
    up, still = winners[: len(upper)], winners[len(upper) :]
    fallen = [b if one == a else a for (a, b), one in zip(upper, up, strict=True)]
    return _sitting(unbeaten) + up, _sitting(beaten) + still + fallen


def _inwards(players: Sequence[int]) -> list[Pair]:
    """Let the first meet the last, and so on inwards."""
    return [(players[i], players[-1 - i]) for i in range(len(players) // 2)]


def _sitting(players: list[int]) -> list[int]:
    """Name the one in the middle of an odd number, who sits out. It comes first in the next round, and plays."""
    return players[len(players) // 2 : (len(players) + 1) // 2]

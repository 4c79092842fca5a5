"""`knockout:r=3`: a bracket in which the better of two goes on, each match best of r.

A strategy folds verdicts into a judgment. RRM (arXiv:2505.14674, section 4.3) and PairJudge RM (arXiv:2501.13007) find
the best of n with n - 1 comparisons in log2 n rounds. We differ: the bracket is drawn anew for every case; a match is
best of r in balanced orders; a verdict that cannot be read counts for nobody and is asked again; and n may be any
number: some sit out the first round, spread over the bracket. All matches of a round are asked at once. Scores are
rounds: 0 for a candidate that lost in the first, one more for each that it came through (sitting out counts), so the
best of 16 has 4 and the one that it beat in the final has 3.

Under a budget the whole bracket comes first, then longer matches from the final backwards; if the budget is too small
for that, as many candidates as it can decide between play, and the others score 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from ..types import Case, Judgment, Verdict
from ._base import Ask, State, Stop, Strategy, failed
from ._duels import duels, leads, ranked, rounds, unread_pairs
from ._matches import Hall, placed

__all__ = ["Knockout"]


@dataclass(frozen=True)
class Knockout(Strategy):
    """n - 1 matches of up to r duels; `scores` are the rounds that each candidate came through."""

    r: Annotated[int, Meta(ge=1)] = 3
    """Duels per match at most; an odd number ends even only where ties or unreadable verdicts make it so."""

    def step(self, state: State, left: int | None = None) -> list[Ask] | Stop:
        hall, places = Hall(state), placed(state.case, state.seed)
        most = None if left is None else left + len(state.verdicts)
        players = places if most is None else places[: most + 1]
        slots, lengths = _slots(players), _lengths(len(players), self.r, most)
        for length in lengths:
            winners = hall.winners([(slot[0], slot[1]) for slot in slots if len(slot) == 2], length)
            if winners is None:
                return hall.asks
            left_over = iter(winners)
            through = [next(left_over) if len(slot) == 2 else slot[0] for slot in slots]
            slots = list(zip(through[::2], through[1::2], strict=False))
        short = len(players) < len(places) or min(lengths, default=self.r) < self.r
        return Stop("budget" if short else "decided")

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        n, found = len(case.candidates), duels(verdicts)
        if not found and n > 1:
            return failed(case, verdicts, self, stop_reason)
        lead = leads(found)
        results = [(a, b) if ahead > 0 else (b, a) for (a, b), ahead in lead.items() if ahead]
        undecided = len(lead) - len(results) + unread_pairs(verdicts, found)
        return ranked(case, rounds(n, results), found, verdicts, self, stop_reason, undecided=undecided)


def _slots(players: Sequence[int]) -> list[tuple[int, ...]]:
    """Place players for the first round: two to a match, or one that sits out; as many as the second round takes."""
    slots = 1 << max(0, (len(players) - 1).bit_length() - 1)
    matches, rest = len(players) - slots, iter(players)
    two = [(slot + 1) * matches // slots > slot * matches // slots for slot in range(slots)]
    return [(next(rest), next(rest)) if pair else (next(rest),) for pair in two]


def _lengths(n: int, r: int, most: int | None) -> list[int]:
    """Say of how many duels a match is the best, round by round; `most` pays for one duel each at least."""
    count = (n - 1).bit_length()
    if most is None:
        return [r] * count
    spare, lengths = most - (n - 1), list[int]()
    for level in range(count):  # from the final backwards
        matches = 1 << level if level < count - 1 else n - (1 << level)
        more = min(r - 1, spare // matches)
        more -= more % 2 if more < r - 1 else 0  # an even number of duels decides no more than one less
        lengths.append(1 + more)
        spare -= more * matches
    return lengths[::-1]

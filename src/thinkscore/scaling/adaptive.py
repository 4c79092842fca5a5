"""`adaptive:rule=lead,m=3,k=32`: ask until the votes are decided, and no more.

A strategy folds verdicts into a judgment; this one stops by what the verdicts say. Three rules, on the two candidates
that lead with a and b votes:

* `lead`: a - b = m. The sequential probability ratio test between p and 1 - p (Wald 1945): with votes that are right
  with probability p, the error is 1 / (1 + (p / (1 - p))^m). ConSol (arXiv 2503.17587) comes down to m = 3.
* `beta`: P(a's share > 1/2) >= `level` under a uniform prior (Adaptive-Consistency, arXiv 2305.11860).
* `lock`: those left of k cannot change the winner: the answer of `vote:k` for fewer calls.

With `unit=pair` votes are drawn as both orders of a pair, and only two that agree count as one draw, so that a liking
for a place decides nothing. Unreadable verdicts and ties are no draws. At k verdicts the majority stands as it is. We
differ in asking at once for as many as the rule must see at least, which spends no call more than one by one.

Votes of one judge on one case are not independent of what it gets wrong every time: the rules say how sure the judge's
own majority is, not that it is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Annotated, Literal

from msgspec import Meta

from ..types import Case, Judgment, Verdict
from ._base import Ask, Move, State, Stop, Strategy, balanced_order
from ._count import counted, firsts, needed

__all__ = ["Adaptive", "sure"]


@dataclass(frozen=True)
class Adaptive(Strategy):
    """At most k verdicts, fewer where they agree."""

    rule: Literal["lead", "beta", "lock"] = "lead"
    """When to stop."""
    m: Annotated[int, Meta(ge=1)] = 3
    """For `lead`: how far in front, in draws."""
    level: Annotated[float, Meta(gt=0.5, lt=1)] = 0.95
    """For `beta`: how sure."""
    k: Annotated[int, Meta(ge=1)] = 32
    """Verdicts at most."""
    unit: Literal["single", "pair"] = "single"
    """What is one draw: a verdict, or two in opposite orders that agree."""
    span: Annotated[float, Meta(ge=0)] = 0.0
    """For `lock` where verdicts hold scores: the width of their range (9 for 1 to 10); 0 is unknown."""

    def step(self, state: State, left: int | None = None) -> Move:
        done, rest = len(state.verdicts), self.k - len(state.verdicts)
        if rest <= 0:
            return Stop("all asked")
        wanted = self._wanted(state, rest)
        if not wanted:
            return Stop("settled" if self.rule == "lock" else "decided")
        end = done + min(rest, wanted)
        return [Ask(balanced_order(state.case, state.seed, sample), sample) for sample in range(done, end)]

    def _wanted(self, state: State, rest: int) -> int:
        """Return the fewest further verdicts after which the rule could end; 0 if it does now."""
        n = len(state.case.candidates)
        if self.rule == "lock":
            return needed(state.verdicts, n, rest, self.span)
        size = 2 if self.unit == "pair" else 1
        first, second = _draws(state.verdicts, size)
        if self.rule == "lead":
            return size * max(0, self.m - (first - second))
        more = 0
        while sure(first + more, second) < self.level:
            more += 1
        return size * more

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        return counted(case, verdicts, verdicts, self, stop_reason)


def sure(a: int, b: int) -> float:
    """Return P(p > 1/2) after a draws for and b against, p uniform before: 1 - I_1/2(a + 1, b + 1)."""
    n = a + b + 1
    ways: int = sum(comb(n, i) for i in range(a + 1))
    return float(ways / (1 << n))


def _draws(verdicts: Sequence[Verdict], size: int) -> tuple[int, int]:
    """Count the draws for the two candidates in front; a draw is a verdict, or (size 2) two in a row that agree."""
    named = [top[0] if len(top := firsts(verdict)) == 1 else None for verdict in verdicts]
    if size == 2:
        named = [one if one == other else None for one, other in zip(named[::2], named[1::2], strict=False)]
    *_, second, first = 0, 0, *sorted(map(named.count, set(named) - {None}))
    return first, second

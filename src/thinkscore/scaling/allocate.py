"""`allocate:mean=8,k=32`: one budget for many cases, spent where a further verdict is worth most.

A strategy folds verdicts into a judgment. Cases come in blocks; each case is asked once in both orders, and then the
next verdicts go, round by round, to the cases whose judgment they are expected to improve most, until the block has had
`mean` verdicts per case on average (or `tokens` completion tokens). What a case is worth is the best rate of expected
gain over all numbers of further draws (knowledge gradient with a lookahead, Frazier and Powell 2010, "Paradoxes in
learning and the marginal value of information"; the problem is that of Chen, Lin and Zhou 2015, JMLR 16, "Statistical
decision making for optimal budget allocation in crowd labeling"): with a and b votes for the two candidates in front,
and Beta(prior, prior) before the first, a judgment is worth the expected share of votes for the one it chooses. So an
even split is worth a vote, four of a kind hardly, and a case that stays even after many is left alone.

With `read=True` each verdict is read from log-probabilities and shares out its vote by them.

Everything hangs on the verdicts and the seed alone, never on which answer came first. For a single case it is a vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, lgamma
from typing import Annotated

from msgspec import Meta

from ..types import Case, Judgment, Verdict
from ._base import Ask, Move, Read, State, Stop, balanced_order, unlooked
from ._count import counted, soft, weighted
from ._shared import Shared

__all__ = ["Allocate", "gain"]


@dataclass(frozen=True)
class Allocate(Shared):
    """From 2 to k verdicts per case, `mean` on average."""

    mean: Annotated[float, Meta(ge=1)] = 8.0
    """Verdicts per case on average; what is left of a fraction is not spent."""
    k: Annotated[int, Meta(ge=1)] = 32
    """Verdicts per case at most."""
    tokens: Annotated[int, Meta(ge=0)] = 0
    """Completion tokens per case on average, in place of `mean`; 0 is no such limit."""
    block: Annotated[int, Meta(ge=1)] = 1000
    """Cases that share a budget."""
    prior: Annotated[float, Meta(gt=0)] = 0.5
    """How often votes are split: near 0 they nearly always agree, 1 is a uniform share."""
    read: bool = False
    """Whether verdicts are read from log-probabilities, as `vote_logprob` does."""

    @property
    def reads(self) -> tuple[str, ...]:
        return ("",) if self.read else ()

    def step(self, state: State, left: int | None = None) -> Move:
        done, end = len(state.verdicts), min(self.k, int(self.mean))
        if done < end and left != 0:
            return self._asks(state, end - done)
        fresh = unlooked(state.verdicts) if self.read else ()
        return Read(fresh) if fresh else Stop("all asked" if done >= end else "budget")

    def more(self, state: State) -> list[Ask]:
        done = len(state.verdicts)
        return self._asks(state, min(1 if done else 2, self.k - done))

    def _asks(self, state: State, count: int) -> list[Ask]:
        first = len(state.verdicts)
        return [Ask(balanced_order(state.case, state.seed, i), i) for i in range(first, first + count)]

    def worth(self, state: State) -> float:
        """Return the gain that is expected per further verdict."""
        votes = sorted(soft(state.verdicts, len(state.case.candidates)))
        return gain(votes[-1], votes[-2] if len(votes) > 1 else 0.0, self.k - len(state.verdicts), self.prior)

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        if self.read:
            return weighted(case, verdicts, self, stop_reason)
        return counted(case, verdicts, verdicts, self, stop_reason)


def gain(a: float, b: float, left: int, prior: float) -> float:
    """Return the best expected gain per draw, over 1 to `left` draws, in the chosen candidate's share of votes.

    Votes count to a tenth: forced readings give fractions, and what is computed is kept.
    """
    return _gain(round(a, 1), round(b, 1), left, prior)


@lru_cache(maxsize=1 << 16)
def _gain(a: float, b: float, left: int, prior: float) -> float:
    now = _value(a, b, prior)
    rates = ((_later(a, b, draws, prior) - now) / draws for draws in range(1, left + 1))
    return max(0.0, *rates) if left > 0 else 0.0


def _value(a: float, b: float, prior: float) -> float:
    return (max(a, b) + prior) / (a + b + 2 * prior)


def _later(a: float, b: float, draws: int, prior: float) -> float:
    """Average the value after so many draws: the votes for the first are beta-binomial."""
    x, y = a + prior, b + prior
    base = lgamma(draws + 1) - _log_beta(x, y)
    return sum(
        exp(base - lgamma(i + 1) - lgamma(draws - i + 1) + _log_beta(x + i, y + draws - i))
        * _value(a + i, b + draws - i, prior)
        for i in range(draws + 1)
    )


def _log_beta(x: float, y: float) -> float:
    return lgamma(x) + lgamma(y) - lgamma(x + y)

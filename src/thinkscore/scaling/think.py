"""`think:tokens=64,k=8`: thinking on a budget: cut every trace at so many tokens and force the verdict, or extend it.

A strategy folds verdicts into a judgment. Budget forcing (s1, arXiv 2501.19393): a trace that is not done after
`tokens` tokens is closed where it stands, and its verdict is read from log-probabilities (the protocol's readout, for
protocols that name one winner); one that is done counts as it is. With `extend=TEXT` each trace that ended is taken up
once more: its verdict is cut off, TEXT is added, and only what the judge then says counts. We differ in that a forced
verdict counts with its probability, not as the likelier label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Annotated

from msgspec import Meta

from ..types import Case, Failure, Judgment, Verdict
from ._base import Ask, Move, Read, State, Stop, Strategy, balanced_order, failed
from ._count import ballots, judged

__all__ = ["Think"]


@dataclass(frozen=True)
class Think(Strategy):
    """k traces of limited length; `scores` are mean chances to win."""

    tokens: Annotated[int, Meta(ge=0)] = 0
    """Tokens of a trace at most; 0 is no limit."""
    k: Annotated[int, Meta(ge=1)] = 1
    """Traces per case, 1 or more."""
    extend: str = ""
    """What is put in the place of a verdict, for the judge to go on after; nothing is not to extend."""

    @property
    def reads(self) -> tuple[str, ...]:
        return ("",) if self.tokens else ()

    def step(self, state: State, left: int | None = None) -> Move:
        done = len(state.verdicts)
        if done < self.k and left != 0:
            orders = [balanced_order(state.case, state.seed, sample) for sample in range(done, self.k)]
            return [Ask(order, done + i, most=self.tokens) for i, order in enumerate(orders)]
        if self.extend and done <= self.k and left != 0:
            again = [self._again(place, one) for place, one in enumerate(state.verdicts) if _ended(one)]
            if again:
                return again
        cut = tuple(place for place, one in enumerate(state.verdicts) if _cut(one) and one.looked is None)
        return Read(cut) if cut else Stop("all asked" if done >= self.k else "budget")

    def _again(self, place: int, verdict: Verdict) -> Ask:
        """Ask to go on where the reasoning of a trace ends."""
        end = max(line.span[1] for line in verdict.trace.lines())
        return Ask(verdict.order, self.k + place, begin=f"{verdict.completion.text[:end]}\n{self.extend}")

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        n, first = len(case.candidates), verdicts[: self.k]
        kept = [one for one in first if not (self.extend and _ended(one))] + list(verdicts[self.k :])
        shares = [share for one in kept if (share := _share(one, n))]
        if not shares:
            return failed(case, verdicts, self, stop_reason)
        scores = [round(fsum(column) / len(shares), 12) for column in zip(*shares, strict=True)]
        votes = [score * len(shares) for score in scores]
        return judged(case, scores, votes, len(shares), verdicts, self, stop_reason)


def _ended(verdict: Verdict) -> bool:
    """Tell whether a trace came to a verdict of its own, after some reasoning in one piece."""
    reasoned = any(line.span[1] for line in verdict.trace.lines()) and not verdict.completion.reasoning
    return reasoned and not isinstance(verdict.outcome, Failure)


def _cut(verdict: Verdict) -> bool:
    return isinstance(verdict.outcome, Failure) and verdict.completion.finish == "length"


def _share(verdict: Verdict, n: int) -> list[float] | None:
    if verdict.expected is not None and isinstance(verdict.outcome, Failure):
        return [chance or 0.0 for chance in verdict.expected]
    return None if isinstance(verdict.outcome, Failure) else ballots([verdict], n)

"""`vote:k=8`: ask k times in balanced orders and let the verdicts vote, all calls at once.

A strategy folds verdicts into a judgment: verdicts that name a winner are counted (majority vote, as in RM-R1,
arXiv:2505.02387, and RRM, arXiv:2505.14674); verdicts with scores are summed (DeepSeek-GRM, arXiv:2504.02495,
equation 14). We differ in that an unreadable verdict counts for nobody (not as 0, nor for a default side), and that
orders are balanced by construction rather than drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Annotated

from msgspec import Meta

from ..types import Case, Failure, Judgment, Scores, Verdict, Winner
from ._base import Ask, State, Stop, Strategy, balanced_order, best, unread, usage

__all__ = ["Vote"]


@dataclass(frozen=True)
class Vote(Strategy):
    """k verdicts per case; `scores` are shares of the votes, or sums of the scores if the verdicts hold scores."""

    k: Annotated[int, Meta(ge=1)] = 1
    """Verdicts per case, 1 or more."""

    def step(self, state: State, left: int | None = None) -> list[Ask] | Stop:
        done = len(state.verdicts)
        end = self.k if left is None else min(self.k, done + left)
        if end <= done:
            return Stop("all asked" if done >= self.k else "budget")
        return [Ask(balanced_order(state.case, state.seed, sample), sample) for sample in range(done, end)]

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        readable = [verdict for verdict in verdicts if not isinstance(verdict.outcome, Failure)]
        cost = usage(verdicts)
        if not readable:
            failure = unread(verdicts)
            return Judgment(case.id, None, None, None, tuple(verdicts), cost, str(self), stop_reason, failure)
        n = len(case.candidates)
        votes = [fsum(share) for share in zip(*(_ballot(verdict, n) for verdict in readable), strict=True)]
        scores = _sums(readable, n) or [vote / len(readable) for vote in votes]
        top = best(scores)
        # Laplace's rule of succession: one vote for each candidate before the first is cast.
        confidence = (max(votes[i] for i in top) + 1) / (len(readable) + n)
        winner = top[0] if len(top) == 1 else None
        return Judgment(case.id, tuple(scores), winner, confidence, tuple(verdicts), cost, str(self), stop_reason)


def _ballot(verdict: Verdict, n: int) -> list[float]:
    """Share one vote among the candidates that a verdict puts first; a tie among all it was shown."""
    match verdict.outcome:
        case Winner(winner):
            first = [winner]
        case Scores(scores):
            top = max((score for score in scores if score is not None), default=None)
            first = [i for i, score in enumerate(scores) if score is not None and score == top]
        case _:
            first = list(verdict.order)
    return [1 / len(first) if i in first else 0.0 for i in range(n)]


def _sums(readable: Sequence[Verdict], n: int) -> list[float] | None:
    """Add up the scores per candidate, skipping what a verdict did not score; None unless all verdicts hold scores."""
    scores = [verdict.outcome.scores for verdict in readable if isinstance(verdict.outcome, Scores)]
    if len(scores) < len(readable):
        return None
    # Sums of thirds (a rubric's scores) that are equal on paper must be equal numbers, or a tie is decided by noise.
    return [round(fsum(row[i] or 0.0 for row in scores), 12) for i in range(n)]

"""`anchored:anchors=8`: a score for each single candidate from a judge of pairs, by comparing it with anchors.

A strategy folds verdicts into a judgment. Pairwise reward models (RM-R1, arXiv:2505.02387; RRM, arXiv:2505.14674) say
which of two is better and give no reward to one answer. Here each candidate meets up to `anchors` of its case's anchors
in both orders, never another candidate, and its score is the strength that explains its wins and losses against
opponents of known strength (Bradley and Terry 1952): the s at which its wins are as many as expected,

    wins + 1/2 = sum over comparisons of p(s, a) + p(s, mean of the anchors),   p(s, a) = 1 / (1 + exp(slope (a - s)))

The halves are one draw against an average anchor before the first comparison, so that winning all stays finite. Scores
are in the unit of the anchors' gold (without gold: log-odds above the anchors), with the standard error that follows
from the curvature. A case without anchors has its candidates meet each other, all of strength 0. What is unreadable
counts for nobody, and a candidate about which nothing was readable makes the judgment a failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import erf, exp, fsum, sqrt
from typing import Annotated

from msgspec import Meta

from ..seeds import derive_seed
from ..types import Case, Failure, Judgment, Scores, Verdict, Winner
from ._base import Ask, State, Stop, Strategy, best, unread, usage

__all__ = ["Anchored", "strength"]


@dataclass(frozen=True)
class Anchored(Strategy):
    """Pairs of a candidate and an anchor, each in both orders; all calls at once."""

    anchors: Annotated[int, Meta(ge=1)] = 8
    """Anchors that each candidate meets, at most; of more, those that cover the range of gold evenly."""
    rounds: Annotated[int, Meta(ge=1)] = 1
    """How often it meets each, in both orders every time."""
    slope: Annotated[float, Meta(gt=0)] = 1.0
    """Log-odds of winning per unit of gold; the surer the judge, the higher."""

    def step(self, state: State, left: int | None = None) -> list[Ask] | Stop:
        done, asks = len(state.verdicts), self._asks(state.case, state.seed)
        end = len(asks) if left is None else min(len(asks), done + left)
        if end <= done:
            return Stop("all asked" if done >= len(asks) else "budget")
        return asks[done:end]

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        cost, n = usage(verdicts), len(case.candidates)
        worth = _worth(case)
        met = [_results(verdicts, i, worth, n) for i in range(n)]
        if not all(met):
            failure = _failure(verdicts, stop_reason)
            return Judgment(case.id, None, None, None, tuple(verdicts), cost, str(self), stop_reason, failure)
        found = [strength(results, self.slope) for results in met]
        scores, errors = tuple(score for score, _ in found), tuple(error for _, error in found)
        top = best(scores)
        return Judgment(
            case.id,
            scores,
            top[0] if len(top) == 1 else None,
            _confidence(found),
            tuple(verdicts),
            cost,
            str(self),
            stop_reason,
            standard_errors=errors,
        )

    def _asks(self, case: Case, seed: int) -> list[Ask]:
        """Plan every comparison; the first ones are worth most, so that a small budget is spent well."""
        n = len(case.candidates)
        chosen = _spread([anchor.gold or 0.0 for anchor in case.anchors], self.anchors)
        pairs = [(i, n + j) for j in chosen for i in range(n)] if case.anchors else list(combinations(range(n), 2))
        orders: list[tuple[int, ...]] = []
        for turn in range(self.rounds):
            for number, pair in enumerate(pairs):
                first = derive_seed(seed, case.id, "order", turn, number) % 2
                orders += [pair[::-1], pair] if first else [pair, pair[::-1]]
        return [Ask(order, sample) for sample, order in enumerate(orders)]


def strength(results: Sequence[tuple[float, float]], slope: float = 1.0) -> tuple[float, float]:
    """Estimate a strength and its standard error from results: (opponent's strength, share won: 1, 0 or 1/2).

    Raises `ValueError` without results.
    """
    if not results:
        raise ValueError("a strength needs at least one result")
    opponents = [opponent for opponent, _ in results]
    opponents.append(fsum(opponents) / len(opponents))
    won = fsum(share for _, share in results) + 0.5
    # Expected wins rise with s, so the root is bracketed: beyond `reach` they are all but 0 or all of them.
    reach = (len(opponents) + 40) / slope
    low, high = min(opponents) - reach, max(opponents) + reach
    for _ in range(80):  # halvings: far below what a float can tell apart
        middle = (low + high) / 2
        if fsum(_expected(middle, opponent, slope) for opponent in opponents) < won:
            low = middle
        else:
            high = middle
    score = round((low + high) / 2, 12)  # a score of nothing is 0, not 1e-24
    chances = [_expected(score, opponent, slope) for opponent in opponents]
    return score, 1 / (slope * sqrt(fsum(p * (1 - p) for p in chances)))


def _expected(mine: float, other: float, slope: float) -> float:
    """Return the probability to win, without overflow."""
    odds = exp(-abs(slope * (mine - other)))
    return 1 / (1 + odds) if mine >= other else odds / (1 + odds)


def _worth(case: Case) -> list[float]:
    """Return the strength of everything that can be met; what is not known is 0."""
    known = all(anchor.gold is not None for anchor in case.anchors)
    return [0.0] * len(case.candidates) + [(anchor.gold or 0.0) * known for anchor in case.anchors]


def _results(verdicts: Sequence[Verdict], candidate: int, worth: Sequence[float], n: int) -> list[tuple[float, float]]:
    """Collect what a candidate won, in an order that does not depend on the order of asking."""
    found = []
    for verdict in verdicts:
        if candidate in verdict.order and not isinstance(verdict.outcome, Failure):
            other = next(i for i in verdict.order if i != candidate)
            found.append((worth[other], _share(verdict, candidate, other)))
    return sorted(found)


def _share(verdict: Verdict, candidate: int, other: int) -> float:
    match verdict.outcome:
        case Winner(winner):
            return float(winner == candidate)
        case Scores(scores):
            mine, theirs = scores[candidate] or 0.0, scores[other] or 0.0
            return 0.5 if mine == theirs else float(mine > theirs)
    return 0.5


def _spread(golds: Sequence[float], count: int) -> list[int]:
    """Choose anchors that cover the range evenly by rank, those in the middle first."""
    ranked = sorted(range(len(golds)), key=lambda i: golds[i])
    last, steps = len(ranked) - 1, min(count, len(ranked)) - 1
    places = [round(step * last / steps) for step in range(steps + 1)] if steps > 0 else [last // 2][: len(ranked)]
    return [ranked[place] for place in sorted(places, key=lambda place: abs(place - last / 2))]


def _failure(verdicts: Sequence[Verdict], stop_reason: str) -> Failure:
    if any(isinstance(verdict.outcome, Failure) for verdict in verdicts):
        return unread(verdicts)
    if stop_reason == "budget":
        return Failure("no_verdict", "the budget ended before every candidate was compared")
    return Failure("wrong_arity", "one candidate and nothing to compare it with: give anchors (--anchors FILE)")


def _confidence(found: Sequence[tuple[float, float]]) -> float:
    """Say how probable it is that the best candidate is better than the next; 1 for a single one."""
    if len(found) == 1:
        return 1.0
    (first, error), (second, other) = sorted(found, reverse=True)[:2]
    return (1 + erf((first - second) / sqrt(2 * (error**2 + other**2)))) / 2

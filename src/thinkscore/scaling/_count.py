"""Counting verdicts: what votes and summed scores amount to, and when further ones can change nothing.

Shared by the strategies that ask about all candidates at once: verdict, COUNT, judgment. A verdict that cannot be read
counts for nobody, a tie counts half for each of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, fsum

from ..types import Case, Failure, Judgment, Scores, Verdict, Winner
from ._base import Strategy, best, failed, readable, usage

__all__ = ["ballots", "counted", "firsts", "judged", "needed", "soft", "sums", "weighted"]


def counted(
    case: Case, verdicts: Sequence[Verdict], everything: Sequence[Verdict], strategy: Strategy, stop_reason: str
) -> Judgment:
    """Judge by some of the verdicts (their votes, or the sums of their scores); all of them are paid for and kept."""
    kept, n = readable(verdicts), len(case.candidates)
    if not kept:
        return failed(case, everything, strategy, stop_reason)
    votes = ballots(kept, n)
    scores = sums(kept, n) or [vote / len(kept) for vote in votes]
    return judged(case, scores, votes, len(kept), everything, strategy, stop_reason)


def judged(
    case: Case,
    scores: Sequence[float],
    votes: Sequence[float],
    cast: float,
    everything: Sequence[Verdict],
    strategy: Strategy,
    stop_reason: str,
) -> Judgment:
    """Name the candidate with the highest score; how sure is its smoothed share of the votes cast."""
    top = best(scores)
    # Laplace's rule of succession: one vote for each candidate before the first is cast.
    confidence = (max(votes[i] for i in top) + 1) / (cast + len(scores))
    winner, cost = (top[0] if len(top) == 1 else None), usage(everything)
    return Judgment(case.id, tuple(scores), winner, confidence, tuple(everything), cost, str(strategy), stop_reason)


def weighted(case: Case, verdicts: Sequence[Verdict], strategy: Strategy, stop_reason: str) -> Judgment:
    """Judge by what forced readings expect on average; a verdict that was not read again counts for nobody."""
    found = [verdict for verdict in readable(verdicts) if verdict.expected is not None]
    if not found:
        why = Failure("engine_error", "no forced reading of any trace was possible") if readable(verdicts) else None
        return failed(case, verdicts, strategy, stop_reason, why)
    n = len(case.candidates)
    scores = [fsum(one.expected[i] or 0.0 for one in found if one.expected) / len(found) for i in range(n)]
    votes = [score * len(found) for score in scores] if isinstance(found[0].outcome, Winner) else ballots(found, n)
    return judged(case, scores, votes, len(found), verdicts, strategy, stop_reason)


def soft(verdicts: Sequence[Verdict], n: int) -> list[float]:
    """Add up one vote per verdict, shared by its forced reading where that gives chances to win."""
    hard = ballots([one for one in verdicts if one.expected is None or not isinstance(one.outcome, Winner)], n)
    read = [one.expected for one in verdicts if one.expected is not None and isinstance(one.outcome, Winner)]
    return [hard[i] + fsum(chances[i] or 0.0 for chances in read) for i in range(n)]


def ballots(verdicts: Sequence[Verdict], n: int) -> list[float]:
    """Add up one vote per readable verdict, shared among those that it puts first."""
    shares: list[list[float]] = [[] for _ in range(n)]
    for verdict in verdicts:
        first = firsts(verdict)
        for i in first:
            shares[i].append(1 / len(first))
    return list(map(fsum, shares))


def firsts(verdict: Verdict) -> Sequence[int]:
    """Name the candidates that a verdict puts first: all that it was shown for a tie, none if it cannot be read."""
    match verdict.outcome:
        case Winner() as one:
            return (one.winner,)
        case Scores(scores):
            top = max((score for score in scores if score is not None), default=None)
            return [i for i, score in enumerate(scores) if score is not None and score == top]
        case Failure():
            return ()
        case _:
            return verdict.order


def sums(verdicts: Sequence[Verdict], n: int) -> list[float] | None:
    """Add up the scores per candidate, skipping what a verdict did not score; None unless all verdicts hold scores."""
    scores = [verdict.outcome.scores for verdict in verdicts if isinstance(verdict.outcome, Scores)]
    if len(scores) < len(verdicts):
        return None
    # Sums of thirds (a rubric's scores) that are equal on paper must be equal numbers, or a tie is decided by noise.
    return [round(fsum(row[i] or 0.0 for row in scores), 12) for i in range(n)]


def needed(verdicts: Sequence[Verdict], n: int, left: int, span: float = 0.0) -> int:
    """Return the fewest further verdicts, of `left`, that could settle the winner; 0 if nothing can change it any more.

    One verdict changes the lead of a candidate by 1 vote at most, or by `span` where verdicts hold scores (the width
    of their range); a span of 0 is unknown, and then nothing is settled before the last.
    """
    kept = readable(verdicts)
    scores = sums(kept, n) if kept else None
    if scores is not None and not span:
        return left
    first, second = sorted(scores or ballots(kept, n), reverse=True)[:2]
    lead = (first - second) / (1 if scores is None else span)
    return 0 if lead > left else min(left, floor((left - lead) / 2) + 1)

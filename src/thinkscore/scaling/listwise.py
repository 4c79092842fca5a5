"""`listwise:k=1,size=16`: one prompt shows many candidates and scores them all; too many are shown in parts.

A strategy folds verdicts into a judgment. Made for protocols that score any number of candidates at once
(DeepSeek-GRM, arXiv:2504.02495). Up to `size` candidates are shown together, k times in balanced orders, and a score
is the mean over the times. More are dealt into chunks, drawn from (seed, case id). Then the best of each chunk, and
the next best of all up to `size`, are shown together in a further prompt (in chunks again, as long as they are too
many): the final. The paper stops at what fits one prompt, so merging is ours: a judge is lenient in one prompt and
strict in another, so a score is taken for quality + leniency of its prompt + chance, and both are fitted by least
squares, with a penalty on leniencies (chunks are drawn, so their means should not differ much). The final links the
chunks and compares the best directly.

A verdict that names only a winner gives it one vote, counted from an equal share for all that are shown. What is
unreadable counts for nobody; a candidate of which nothing was readable has the mean of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from ..types import Case, Judgment, Scores, Verdict
from ._base import Ask, State, Stop, Strategy, balanced_order, failed, readable, usage
from ._count import ballots
from ._matches import placed

__all__ = ["Listwise", "merged"]

Marks = dict[int, float]
"""What one verdict gives each candidate that it scores."""


@dataclass(frozen=True)
class Listwise(Strategy):
    """k verdicts per prompt, all at once but for the finals; `scores` are in the unit of the protocol's scores."""

    k: Annotated[int, Meta(ge=1)] = 1
    """How often each prompt's candidates are judged, in other orders; fewer if a budget would end before the final."""
    size: Annotated[int, Meta(ge=2)] = 16
    """Candidates that one prompt shows, at most."""

    def step(self, state: State, left: int | None = None) -> list[Ask] | Stop:
        case, done = state.case, len(state.verdicts)
        pool, asked, times = placed(case, state.seed), list[Ask](), self.k
        if left is not None:
            times = max(1, min(self.k, (done + left) // _prompts(len(pool), self.size)))
        while True:
            chunks = _dealt(pool, self.size)
            for turn in range(times):
                for chunk in chunks:
                    within = balanced_order(case.reorder(chunk), state.seed, turn)
                    asked.append(Ask(tuple(chunk[i] for i in within), len(asked)))
            if done < len(asked):
                return asked[done:]
            if len(chunks) == 1:
                return Stop("all asked")
            pool = _best(chunks, _scores(len(case.candidates), state.verdicts[: len(asked)]), self.size)

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        n, kept = len(case.candidates), readable(verdicts)
        if not kept:
            return failed(case, verdicts, self, stop_reason)
        scores = _scores(n, kept)
        highest = max(scores)
        top = [i for i, score in enumerate(scores) if score == highest]
        return Judgment(
            case.id,
            tuple(scores),
            top[0] if len(top) == 1 else None,
            max(_share(i, kept, min(n, self.size)) for i in top),
            tuple(verdicts),
            usage(verdicts),
            str(self),
            stop_reason,
            notes={"comparisons": float(len(verdicts)), "unscored": float(n - len(set().union(*_marks(kept, n))))},
        )


def merged(n: int, marks: Sequence[Marks], penalty: float = 1.0) -> list[float]:
    """Fit mark = quality of the candidate + leniency of the verdict by least squares; return the qualities.

    Minimises the squared errors plus `penalty` times the squared leniencies. Where all verdicts score the same
    candidates, qualities are the means of their marks. At least one verdict has to score somebody.
    """
    import numpy as np

    seen_VN, mark_VN = np.zeros((len(marks), n)), np.zeros((len(marks), n))
    for v, row in enumerate(marks):
        places = list(row)
        seen_VN[v, places], mark_VN[v, places] = 1.0, list(row.values())
    times_N = seen_VN.sum(axis=0)
    part_VN = seen_VN / np.maximum(times_N, 1)
    # With the best qualities put in for given leniencies, what is left is linear in the leniencies.
    curvature_VV = np.diag(seen_VN.sum(axis=1) + penalty) - part_VN @ seen_VN.T
    lenient_V = np.linalg.solve(curvature_VV, mark_VN.sum(axis=1) - part_VN @ mark_VN.sum(axis=0))
    quality_N = (mark_VN.sum(axis=0) - lenient_V @ seen_VN) / np.maximum(times_N, 1)
    quality_N[times_N == 0] = quality_N[times_N > 0].mean()
    return [round(float(quality), 9) + 0.0 for quality in quality_N]


def _scores(n: int, verdicts: Sequence[Verdict]) -> list[float]:
    marks = [row for row in _marks(readable(verdicts), n) if row]
    return merged(n, marks) if marks else [0.0] * n


def _marks(kept: Sequence[Verdict], n: int) -> list[Marks]:
    """Take the scores of each verdict; if not all verdicts hold scores, its vote less an equal share for all shown."""
    scores = [verdict.outcome.scores for verdict in kept if isinstance(verdict.outcome, Scores)]
    if len(scores) == len(kept):
        return [{i: score for i, score in enumerate(row) if score is not None} for row in scores]
    votes = [ballots([verdict], n) for verdict in kept]
    pairs = zip(kept, votes, strict=True)
    return [{i: vote[i] - 1 / len(verdict.order) for i in verdict.order} for verdict, vote in pairs]


def _dealt(pool: Sequence[int], size: int) -> list[Sequence[int]]:
    """Deal candidates out in turn, so that parts differ in number by 1 at most and each has its share of the first."""
    parts = -(-len(pool) // size)
    return [pool[part::parts] for part in range(parts)]


def _best(chunks: Sequence[Sequence[int]], scores: Sequence[float], size: int) -> list[int]:
    """Choose who is shown again: the best of each chunk, and the next best of all up to `size`; the best first."""
    first = {max(chunk, key=scores.__getitem__) for chunk in chunks}
    others = sorted((i for chunk in chunks for i in chunk if i not in first), key=lambda i: -scores[i])
    return sorted([*first, *others[: max(0, size - len(first))]], key=lambda i: (-scores[i], i))


def _prompts(n: int, size: int) -> int:
    """Count the prompts until the final, that included."""
    parts = -(-n // size)
    return parts + (_prompts(max(parts, size), size) if parts > 1 else 0)


def _share(candidate: int, kept: Sequence[Verdict], shown: int) -> float:
    """Return the smoothed share of the verdicts on a candidate that put it first, as `vote` does."""
    about = [verdict for verdict in kept if candidate in verdict.order]
    votes = ballots(about, max([candidate, *(i for verdict in about for i in verdict.order)]) + 1)
    return (votes[candidate] + 1) / (len(about) + shown)

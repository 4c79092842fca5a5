"""The scores that a trace itself states: levels of a rubric summed up, or the last score told for each candidate.

A score is told as "score 9", "rated 7", "8/10", "7 out of 10", "9 points", or as what is left after a mark ("no 7").
A number alone is none, and neither are words such as "better".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite

from ..types import Criterion, Scores, Trace, Verdict

__all__ = ["implied", "levelled"]

_N = r"(-?\d{1,6}(?:\.\d{1,6})?)"
_SCORE = re.compile(
    rf"\b(?:scores?|scored|rated?|rating|grade)\b(?:\s(?:is|of|it|this|a|an|at|as)\b)*[\s:=*]{{1,5}}{_N}(?:\s?/\s?(\d{{1,4}}))?"
    rf"|(?<![\w./]){_N}(?:\s?/\s?|\sout\sof\s)(10|100|5)(?![\w/]|\.\d)|(?<![\w./]){_N}\spoints?\b"
    rf"|\b(?:ok|yes|no|miss)\s{_N}$",
    re.IGNORECASE,
)


def implied(verdict: Verdict) -> Scores | None:
    """Return the scores that the trace comes to for each candidate shown; None if it lacks one.

    Stated scores are given on a scale of 10 where they name another ("4/5" is 8); summed levels are at most 1.
    """
    trace = verdict.trace
    n = 1 + max(verdict.order, default=0)
    if levelled(trace):
        found = {i: _sum(trace.rubric, i) for i in verdict.order}
    else:
        found = {i: _last(trace, i) for i in verdict.order}
    if not found or None in found.values():
        return None
    return Scores(tuple(found.get(i) for i in range(n)))


def levelled(trace: Trace) -> bool:
    """Tell whether a trace says how far each candidate meets each criterion."""
    return any(item.met for item in trace.rubric)


def _sum(rubric: Sequence[Criterion], candidate: int) -> float | None:
    """Sum up weight times level over the sum of the positive weights, among what could be assessed."""
    told = [
        (1.0 if item.weight is None else item.weight, level)
        for item in rubric
        if len(item.met) > candidate and (level := item.met[candidate]) is not None
    ]
    merits = sum(weight for weight, _ in told if weight > 0)
    return sum(weight * level for weight, level in told) / merits if merits else None


def _last(trace: Trace, candidate: int) -> float | None:
    """Read the last score in the remarks on one candidate."""
    for note in reversed(trace.evaluation):
        if note.candidate == candidate and not note.quote:
            *_, match = None, *_SCORE.finditer(note.text)
            if match is not None:
                value = float(match[1] or match[3] or match[5] or match[6])
                scale = float(match[2] or match[4] or 10) or 10.0
                score = value * 10 / scale
                return score if isfinite(score) else None
    return None

"""Free reasoning: lines of thought, then what stands for and against each response, then the verdict.

Shared by protocols whose answers have no sections.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..types import Completion, Line, Trace
from ._remarks import split_evaluation, write_remarks
from ._text import placed_lines, write_weight

__all__ = ["read_free", "write_free"]


def write_free(trace: Trace, name: str, labels: Sequence[str], order: Sequence[int]) -> list[str]:
    """Write a trace as lines; the candidate at place i goes by `name` and labels[i]."""
    lines = [line.text for line in trace.thinking]
    lines += [write_weight(item.text, item.weight) for item in trace.rubric]
    lines += [line.text for line in (*trace.justification, *trace.solution)]
    for label, i in zip(labels, order, strict=True):
        notes = [note for note in trace.evaluation if note.candidate == i]
        lines += [write_remarks(f"{name} {label}", notes)] if notes else []
    return lines


def read_free(completion: Completion, marks: str, name: str, order: Sequence[int], labels: str = "") -> Trace:
    """Read the lines between marks (a pattern: think tags and verdicts, which are no reasoning)."""
    text = completion.text
    lines = [Line(line.strip()) for line in (completion.reasoning or "").splitlines() if line.strip()]
    at = 0
    for mark in [*re.finditer(marks, text), None]:
        lines += placed_lines(text, at, mark.start() if mark else len(text))
        at = mark.end() if mark else at
    free, notes = split_evaluation(lines, name, order, labels)
    return Trace(thinking=tuple(free), evaluation=tuple(notes))

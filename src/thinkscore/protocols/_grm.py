"""The three parts of an answer in the form of DeepSeek-GRM: Specific Criteria, Analysis, Scores.

Shared by the protocols that ask for a score of each response and for the best of two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..types import Completion, Criterion, Failure, Line, Trace
from ._remarks import split_evaluation, write_remarks
from ._text import final_region, missing, placed_lines, read_weight, write_weight

__all__ = ["boxed", "read_parts", "write_parts"]

_BOX = re.compile(r"\\boxed\s?\{((?:[^{}]|\{[^{}]*\})*)\}")
_PARTS = re.compile(r"^[ \t>#*_-]{0,9}(Specific Criteria|Analysis|Scores)[*_]{0,3}:[*_]{0,3}", re.M | re.I)
_BOX_ALONE = re.compile(r"[\s*$]*\\boxed\s?\{.*\}[\s*$.]*(?:/\s?10)?")


def boxed(completion: Completion) -> list[str] | Failure:
    """Return what the boxes of the verdict hold, without LaTeX and markdown around it."""
    region = final_region(completion.text, ("think",))
    if region is None:
        return missing(completion)
    tail = completion.text[region[0] :]
    heads = [match for match in _PARTS.finditer(tail) if match[1].lower() == "scores"]
    if heads:
        tail = tail[heads[-1].end() :]
    else:  # a box inside the analysis is a response's result: only one that ends the text is a verdict
        line = tail.rstrip().rpartition("\n")[2]
        before, mark, after = line.rpartition("Scores:")
        told = bool(mark) and (not before or before[-1] in " .;!?*")
        tail = after if told else line
        if not _BOX_ALONE.fullmatch(tail) or (completion.finish == "length" and not told):
            return missing(completion)
    return [re.sub(r"\\text|[{}\[\]()$*]", " ", match[1]) for match in _BOX.finditer(tail)]


def write_parts(trace: Trace, order: Sequence[int]) -> list[str]:
    """Write criteria and analysis as lines."""
    lines = ["Specific Criteria:", *(write_weight(item.text, item.weight) for item in trace.rubric)]
    lines += ["Analysis:", *(line.text for line in (*trace.thinking, *trace.justification, *trace.solution))]
    for place, i in enumerate(order, start=1):
        notes = [note for note in trace.evaluation if note.candidate == i]
        lines += [write_remarks(f"Response {place}", notes)] if notes else []
    return lines


def read_parts(completion: Completion, order: Sequence[int]) -> Trace:
    """Read criteria and analysis; thinking that came apart or stands in front is thinking."""
    text = completion.text
    begin = text.rfind("</think>") + len("</think>") if "</think>" in text else 0
    marks = [*_PARTS.finditer(text, begin)]
    ends = [match.start() for match in marks[1:]] + [len(text)]
    rubric, analysis = [], []
    for match, end in zip(marks, ends, strict=False):  # without a mark there is one end and no part
        lines = placed_lines(text, match.end(), end)
        if match[1].lower() == "specific criteria":
            rubric += [
                Criterion(said, line.span, weight) for line in lines for said, weight in [read_weight(line.text)]
            ]
        elif match[1].lower() == "analysis":
            analysis += lines
    free, notes = split_evaluation(analysis, "Response", order)
    thought = placed_lines(text, 0, max(begin - len("</think>"), 0))
    apart = [Line(line.strip()) for line in (completion.reasoning or "").splitlines() if line.strip()]
    return Trace(thinking=(*apart, *thought, *free), rubric=tuple(rubric), evaluation=tuple(notes))

"""The oracle reads a lab case as text, reasons as a faithful judge would, and scores every candidate.

It can also carry on a trace that somebody else started: whatever the trace states is taken as true, errors
included. That is the yardstick for whether a judge's verdict follows from its own reasoning.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from ..errors import BadInput
from ..types import Case, Criterion, Line, Trace
from ._family import Family, stated_score
from .world import FAMILIES

__all__ = ["Reading", "corruptions", "judge", "marked", "read", "reworded", "understood"]


class Reading(NamedTuple):
    """A lab case as facts."""

    family: Family
    facts: Any
    answers: list[Any]


def read(case: Case) -> Reading:
    """Read a case from its text alone. Raises `BadInput` if it is not a lab case."""
    for family in FAMILIES.values():
        facts = family.read(case.messages[-1].content)
        if facts is not None:
            answers = [family.hear(facts, reply) for reply in case.candidates]
            if all(answer is not None for answer in answers):
                return Reading(family, facts, answers)
    raise BadInput(f"case {case.id!r} is not a lab case; make some with: thinkscore lab make")


def judge(
    case: Case, order: Sequence[int], started: Trace | None = None, rng: random.Random | None = None
) -> tuple[Trace, tuple[float | None, ...]]:
    """Return the full trace and the score (1..10) of each candidate shown, None for the others.

    `started` is carried on as it stands; `rng` varies the wording as the training traces do.
    """
    family, facts, answers = read(case)
    trace = family.complete(facts, answers, started or Trace(), order, rng)
    scores = {i: stated_score(trace, i) for i in order}
    return trace, tuple(scores.get(i) for i in range(len(case.candidates)))


def corruptions(case: Case, trace: Trace, order: Sequence[int]) -> list[Trace]:
    """Return started traces that end with one wrong line, each otherwise a part of `trace`."""
    family, facts, _ = read(case)
    return family.corruptions(facts, trace, order)


_REWORDINGS = (
    (r"^(\d+) \+ (\d+) = (\d+)$", r"\1 plus \2 is \3"),
    (r"^(\d+) - (\d+) = (\d+)$", r"\1 minus \2 is \3"),
    (r"^(\d+) \* (\d+) = (\d+)$", r"\1 times \2 is \3"),
    (r"^(\d+) / (\d+) = (\d+)$", r"\1 over \2 is \3"),
    (r"^(\w+ \w+) ok (\d+)$", r"\1 yes \2"),
    (r"^(\w+ \w+) no (\d+)$", r"\1 miss \2"),
    (r"^(helps|hints|declines|offers), score (\d+)$", r"it \1, so score \2"),
)


def reworded(line: Line) -> Line | None:
    """Say a line of the solution or evaluation in other words; None if there are none."""
    for pattern, other in _REWORDINGS:
        text = re.sub(pattern, other, line.text)
        if text != line.text:
            return msgspec.structs.replace(line, text=text)
    return None


def marked(started: Trace, full: Trace, order: Sequence[int], mark: str) -> Trace:
    """Put `mark` into `full` where `started`, which it carries on, ends: before the next line's text.

    If nothing follows, after the last line's text.
    """
    # Who solves a problem need not state a rubric: there it is left out of the count.
    solves = bool(full.solution)
    n = len(list(_text_order(started, order, solves)))
    lines = list(_text_order(full, order, solves))
    at, last = (n, False) if n < len(lines) else (n - 1, True)
    old = lines[at]
    new = msgspec.structs.replace(old, text=old.text + mark if last else mark + old.text)
    swap = {id(old): new}
    return msgspec.structs.replace(
        full,
        rubric=tuple(swap.get(id(line), line) for line in full.rubric),
        justification=tuple(swap.get(id(line), line) for line in full.justification),
        solution=tuple(swap.get(id(line), line) for line in full.solution),
        evaluation=tuple(swap.get(id(line), line) for line in full.evaluation),
    )


def _text_order(trace: Trace, order: Sequence[int], solves: bool) -> Iterator[Line]:
    """Yield the lines of a lab trace in the order in which protocols write them."""
    yield from () if solves else trace.rubric
    yield from trace.justification
    yield from trace.solution
    for i in order:
        yield from (note for note in trace.evaluation if note.candidate == i)


def understood(trace: Trace) -> Trace:
    """Sort lines that a protocol without sections left as free thinking into the sections of a lab trace."""
    rubric, justification, solution = list(trace.rubric), list(trace.justification), list(trace.solution)
    for line in trace.thinking:
        weighted = re.fullmatch(r"(.+) \((\d+)\)", line.text)
        if weighted:
            rubric.append(Criterion(weighted[1], line.span, float(weighted[2])))
        elif re.fullmatch(r"\d+ \S+ \d+ (?:=|is) \d+", line.text):
            solution.append(line)
        else:
            justification.append(line)
    return msgspec.structs.replace(
        trace, thinking=(), rubric=tuple(rubric), justification=tuple(justification), solution=tuple(solution)
    )

"""Free reasoning, then `\\boxed{Assistant 1}` or `\\boxed{Assistant 2}`.

Source: Reward Reasoning Models (arXiv 2505.14674, section 3). We differ: our own wording; conversations of several
turns are shown as a transcript (the paper is silent); an unreadable answer is a failure (the published evaluation
counts it as half a point); a box that holds anything but an assistant, such as a quoted result, is not a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..types import Completion, Failure, Line, Outcome, Prompt, Trace, Winner
from ._base import Example, Readout
from ._pair import Pairwise
from ._remarks import split_evaluation, write_remarks
from ._text import (
    final_region,
    goes_on,
    missing,
    placed_lines,
    write_weight,
)

__all__ = ["Rrm"]

_BOX = re.compile(r"\\(?:boxed|fbox)\s?\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")


def _boxed(text: str) -> list[tuple[re.Match[str], str]]:
    """Return the boxes that name an assistant, whatever LaTeX or markdown stands around the name."""
    plain = [(box, re.sub(r"\\[a-z]+|[\W_]", "", box[1].lower())) for box in _BOX.finditer(text)]
    return [(box, said[-1]) for box, said in plain if said in ("assistant1", "assistant2")]


class Rrm(Pairwise):
    """Two candidates, free text, one box."""

    tags = ("assistant_1", "assistant_2")
    verdicts = ("\\boxed{Assistant 1}", "\\boxed{Assistant 2}")
    examples = (
        Example('2 + 2 = 4\nAssistant 1: "5" wrong\n\\boxed{Assistant 2}', Winner(1)),
        Example("<think>maybe \\boxed{Assistant 2}</think>so \\boxed{Assistant 1}", Winner(0)),
        Example("The first says \\boxed{42}. \\boxed{Assistant 1}", Winner(0)),
        Example("\\boxed{Assistant 1} or \\boxed{Assistant 2}", Failure("ambiguous")),
        Example("<think>\\boxed{Assistant 2}", Failure("truncated"), "length"),
        Example("It may be \\boxed{Assistant 2}, but then again", Failure("truncated"), "length"),
        Example("\\boxed{42}", Failure("no_verdict")),
    )

    def read_outcome(self, completion: Completion, order: Sequence[int]) -> Outcome:
        return _outcome(completion, order)

    def read_trace(self, completion: Completion, order: Sequence[int]) -> Trace:
        return _trace(completion, order)

    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        lines = [line.text for line in trace.thinking]
        lines += [write_weight(item.text, item.weight) for item in trace.rubric]
        lines += [line.text for line in (*trace.justification, *trace.solution)]
        for place, i in enumerate(order, start=1):
            notes = [note for note in trace.evaluation if note.candidate == i]
            lines += [write_remarks(f"Assistant {place}", notes)] if notes else []
        return "\n".join([*lines, self.verdict_text(outcome, order)])

    def readout(self, prompt: Prompt, trace: str) -> Readout:
        stem = trace.rstrip() + "\n" * bool(trace.strip()) + "\\boxed{Assistant"
        return Readout(stem, {"Assistant 1": " 1", "Assistant 2": " 2"})


def _outcome(completion: Completion, order: Sequence[int]) -> Outcome:
    region = final_region(completion.text, ("think",))
    if region is None:
        return missing(completion)
    tail = completion.text[region[0] :]
    boxes = _boxed(tail)
    if boxes and goes_on(completion, tail[boxes[-1][0].end() :]):
        return missing(completion)
    labels = {label for _, label in boxes}
    if len(labels) == 2:
        return Failure("ambiguous", "the final region boxes both assistants")
    return Winner(order[int(labels.pop()) - 1]) if labels else missing(completion)


def _trace(completion: Completion, order: Sequence[int]) -> Trace:
    text = completion.text
    lines: list[Line] = []
    if completion.reasoning:
        lines += [Line(line.strip()) for line in completion.reasoning.splitlines() if line.strip()]
    # Marks of thinking and the verdict are no lines of reasoning.
    at = 0
    for mark in [*re.finditer(rf"</?think>|{_BOX.pattern}", text), None]:
        lines += placed_lines(text, at, mark.start() if mark else len(text))
        at = mark.end() if mark else at
    free, notes = split_evaluation(lines, "Assistant", order)
    return Trace(thinking=tuple(free), evaluation=tuple(notes))

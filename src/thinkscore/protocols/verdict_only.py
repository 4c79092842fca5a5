"""The verdict and nothing else: what a judge decides without writing any reasoning.

The control for every claim about reasoning. Same candidates, same verdict text as `rm_r1`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..types import Completion, Failure, Outcome, Prompt, Trace, Winner
from ._answer import LABELS, VERDICTS
from ._base import Example, Readout
from ._pair import Pairwise
from ._text import final_region, goes_on, missing

__all__ = ["VerdictOnly"]


def _strict(completion: Completion) -> int | Failure:
    region = final_region(completion.text, ("think",))
    tail = "" if region is None else completion.text[region[0] :]
    found = list(re.finditer(r"\[\[\s*([AB])\s*\]\]", tail))
    if found and goes_on(completion, tail[found[-1].end() :]):
        return missing(completion)
    labels = {match[1] for match in found}
    if len(labels) == 2:
        return Failure("ambiguous", "the answer names both A and B")
    return LABELS.index(labels.pop()) if labels else missing(completion)


class VerdictOnly(Pairwise):
    """Two candidates, no reasoning, `<answer>[[A]]</answer>`."""

    tags = ("response_A", "response_B")
    verdicts = VERDICTS
    readers = {"strict": _strict}
    examples = (
        Example("<answer>[[A]]</answer>", Winner(0)),
        Example("[[B]]", Winner(1)),
        Example("<answer>[[A]]</answer><answer>[[B]]</answer>", Failure("ambiguous")),
        Example("<think>[[A]]", Failure("truncated"), "length"),
        Example("neither", Failure("no_verdict")),
    )

    def read_trace(self, completion: Completion, order: Sequence[int]) -> Trace:
        return Trace()

    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        return self.verdict_text(outcome, order)

    def readout(self, prompt: Prompt, trace: str) -> Readout:
        return Readout("<answer>", {label: f"[[{label}]]" for label in LABELS})

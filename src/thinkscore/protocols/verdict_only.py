"""The verdict and nothing else: what a judge decides without writing any reasoning.

The control for every claim about reasoning. Same candidates, same verdict text as `rm_r1`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..types import Completion, Failure, Outcome, Prompt, Trace, Winner
from ._base import Example, Readout
from ._pair import Pairwise
from ._text import final_region, goes_on, missing

__all__ = ["VerdictOnly"]

_LABELS = "AB"


class VerdictOnly(Pairwise):
    """Two candidates, no reasoning, `<answer>[[A]]</answer>`."""

    tags = ("response_A", "response_B")
    verdicts = ("<answer>[[A]]</answer>", "<answer>[[B]]</answer>")
    examples = (
        Example("<answer>[[A]]</answer>", Winner(0)),
        Example("[[B]]", Winner(1)),
        Example("<answer>[[A]]</answer><answer>[[B]]</answer>", Failure("ambiguous")),
        Example("<think>[[A]]", Failure("truncated"), "length"),
        Example("neither", Failure("no_verdict")),
    )

    def read_outcome(self, completion: Completion, order: Sequence[int]) -> Outcome:
        return _outcome(completion, order)

    def read_trace(self, completion: Completion, order: Sequence[int]) -> Trace:
        return Trace()

    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        return self.verdict_text(outcome, order)

    def readout(self, prompt: Prompt, trace: str) -> Readout:
        return Readout("<answer>", {label: f"[[{label}]]" for label in _LABELS})


def _outcome(completion: Completion, order: Sequence[int]) -> Outcome:
    region = final_region(completion.text, ("think",))
    tail = "" if region is None else completion.text[region[0] :]
    found = list(re.finditer(r"\[\[\s*([AB])\s*\]\]", tail))
    if found and goes_on(completion, tail[found[-1].end() :]):
        return missing(completion)
    labels = {match[1] for match in found}
    if len(labels) == 2:
        return Failure("ambiguous", "the answer names both A and B")
    return Winner(order[_LABELS.index(labels.pop())]) if labels else missing(completion)

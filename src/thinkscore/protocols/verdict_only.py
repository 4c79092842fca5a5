"""The verdict and nothing else: what a judge decides without writing any reasoning.

The control for every claim about reasoning. Same candidates, same verdict text as `rm_r1`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ..errors import BadInput
from ..types import Case, Completion, Failure, Outcome, Prompt, Trace, Verdict, Winner
from ._base import Example, Protocol, Readout
from ._text import check_order, engine_failure, final_region, goes_on, missing, pair_messages

__all__ = ["VerdictOnly"]

_LABELS = "AB"


@cache
def instructions() -> str:
    """Return our wording of the protocol."""
    return Path(__file__).with_suffix(".md").read_text(encoding="utf-8").strip()


class VerdictOnly(Protocol):
    """Two candidates, no reasoning, `<answer>[[A]]</answer>`."""

    arity = (2, 2)
    examples = (
        Example("<answer>[[A]]</answer>", Winner(0)),
        Example("[[B]]", Winner(1)),
        Example("<answer>[[A]]</answer><answer>[[B]]</answer>", Failure("ambiguous")),
        Example("<think>[[A]]", Failure("truncated"), "length"),
        Example("neither", Failure("no_verdict")),
    )

    def render(self, case: Case, order: Sequence[int]) -> Prompt:
        check_order(self.id, case, order, self.arity)
        return Prompt(
            case,
            self.id,
            pair_messages(instructions(), case, order, ("response_A", "response_B"), self.guard),
            tuple(order),
            verdicts=tuple(f"<answer>[[{label}]]</answer>" for label in _LABELS),
        )

    def parse(self, completion: Completion, prompt: Prompt) -> Verdict:
        outcome = engine_failure(completion) or _outcome(completion, prompt.order)
        return Verdict(prompt.case.id, prompt.order, outcome, Trace(), completion)

    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        if not isinstance(outcome, Winner) or outcome.winner not in order:
            raise BadInput(f"a pairwise verdict names one of the candidates {tuple(order)}; got {outcome}")
        return f"<answer>[[{_LABELS[list(order).index(outcome.winner)]}]]</answer>"

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

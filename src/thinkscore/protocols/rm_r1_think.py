"""Think freely, then the verdict: the reasoning variant of RM-R1, one user message and no rubric.

Source: RM-R1 (arXiv 2505.02387), the models made from DeepSeek-R1-Distill. We differ: our own wording, the case under
tags; the verdict is read from the final region (the authors' two readings are the other parsers). The prompt of J1
(arXiv 2505.10320) asks for the same answer and can be used as a template.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Case, Completion, Failure, Message, Outcome, Prompt, Trace, Winner
from ._answer import LABELS, VERDICTS, official_eval, official_reward, strict
from ._base import Example, Readout
from ._free import read_free, write_free
from ._pair import Pairwise

__all__ = ["RmR1Think"]

_BOTH = Failure("ambiguous")
_LATE = f"<think>a</think><answer>[[A]]</answer> {'since it answers what was asked, in order and in full. ' * 2}"


class RmR1Think(Pairwise):
    """Two candidates, free thinking, `<answer>[[A]]</answer>`."""

    tags = ("response_A", "response_B")
    verdicts = VERDICTS
    readers = {
        "strict": lambda completion: strict(completion, ("think",)),
        "official_eval": official_eval,
        "official_reward": official_reward("<｜end▁of▁sentence｜>"),
    }
    parsers = tuple(readers)
    examples = (
        Example("Both greet.\nResponse A: kind\n</think>\n\n<answer>[[A]]</answer>", Winner(0)),
        Example("[[A]] at first\n</think>\n\n<answer>[[B]]</answer>", Winner(1), others={"official_eval": _BOTH}),
        Example("<answer>[[B]]</answer>", Winner(1), reasoning="[[A]] at first", others={"official_eval": _BOTH}),
        Example("<think>a</think>So it is [[B]]", Winner(1), others={"official_reward": Failure("no_verdict")}),
        Example("<think>a</think><answer> [[A]] </answer>", Winner(0), others={
            "official_reward": Failure("no_verdict")}),
        Example(_LATE, Winner(0), others={"official_reward": Failure("no_verdict")}),
        Example("a</think><answer>[[A]]</answer> or <answer>[[B]]</answer>", _BOTH),
        Example("a</think><answer>[[A]]</answer>, no, on a second look <answer>[[B]]</answer>", _BOTH, others={
            "official_reward": Winner(1)}),
        Example("<think>I lean to [[A]] but let me check", Failure("truncated"), "length", others={
            "official_eval": Winner(0)}),
        Example("<think>Both are fine.", Failure("no_verdict")),
    )  # fmt: skip

    def worded(self, case: Case, order: Sequence[int]) -> tuple[Message, ...]:
        return (Message("user", f"{self.instructions()}\n\n{self.shown(case, order)}"),)

    def read_trace(self, completion: Completion, order: Sequence[int]) -> Trace:
        return read_free(completion, r"</?think>|</?answer>|\[\[\s*[AB]\s*\]\]", "Response", order, LABELS)

    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        thought = write_free(trace, "Response", LABELS, order)
        return "\n".join([*(["<think>", *thought, "</think>"] if thought else []), self.verdict_text(outcome, order)])

    def readout(self, prompt: Prompt, trace: str) -> Readout:
        return Readout(trace.rstrip() + "\n" * bool(trace.strip()) + "<answer>", {x: f"[[{x}]]" for x in LABELS})

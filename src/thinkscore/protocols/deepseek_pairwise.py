"""Criteria, critique, and the number of the better response: the pairwise form that DeepSeek-GRM is compared with.

Source: "LLM-as-a-Judge" in DeepSeek-GRM (arXiv 2504.02495, appendix G), which the authors trained on the same data as a
baseline; no weights of it were found. We differ: our own wording; exactly two responses; numbers count from 1 (the
paper does not say); two different numbers in the final region are ambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..types import Completion, Failure, Outcome, Prompt, Trace, Winner
from ._base import Example, Readout
from ._grm import boxed, read_parts, write_parts
from ._pair import Pairwise
from ._text import missing

__all__ = ["DeepseekPairwise"]


def _strict(completion: Completion) -> int | Failure:
    said = boxed(completion)
    if isinstance(said, Failure):
        return said
    numbers = {match[1] for one in said if (match := re.fullmatch(r"\s*(?:Response\s)?\s*(\d{1,9})\s*", one))}
    if len(numbers) > 1:
        return Failure("ambiguous", "the final region boxes different numbers")
    if numbers and numbers <= {"1", "2"}:
        return int(numbers.pop()) - 1
    return Failure("out_of_range", f"there is no response {numbers.pop()}") if numbers else missing(completion)


class DeepseekPairwise(Pairwise):
    """Two candidates, `Scores: \\boxed{1}`."""

    slots = ("context", "response")
    turns = ()
    tags = ("response_1", "response_2")
    verdicts = ("Scores: \\boxed{1}", "Scores: \\boxed{2}")
    readers = {"strict": _strict}
    examples = (
        Example('Specific Criteria:\nright (3)\nAnalysis:\nResponse 1: "4" right\nScores: \\boxed{1}', Winner(0)),
        Example("Analysis: Response 1 says \\boxed{1}.\n**Scores:** \\boxed{\\text{Response 2}}", Winner(1)),
        Example("Scores: \\boxed{1} or \\boxed{2}", Failure("ambiguous")),
        Example("Scores: \\boxed{3}", Failure("out_of_range")),
        Example("Scores: \\boxed{8, 5}", Failure("no_verdict")),
        Example("Analysis: the roots are \\boxed{1} and 2.", Failure("no_verdict")),
        Example("Analysis: so far \\boxed{1}, but", Failure("truncated"), "length"),
    )

    def read_trace(self, completion: Completion, order: Sequence[int]) -> Trace:
        return read_parts(completion, order)

    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        return "\n".join([*write_parts(trace, order), self.verdict_text(outcome, order)])

    def readout(self, prompt: Prompt, trace: str) -> Readout:
        stem = trace.rstrip() + "\n" * bool(trace.strip()) + "Scores: \\boxed{"
        return Readout(stem, {"1": "1", "2": "2"})

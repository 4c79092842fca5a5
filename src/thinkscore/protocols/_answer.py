"""The verdict `<answer>[[A]]</answer>`: how it is written, and how we and the authors of RM-R1 read it.

Source: RM-R1 (arXiv 2505.02387) and its published code, which reads the verdict in three ways. The evaluation takes
whichever of [[A]] and [[B]] stands anywhere in the output, thinking included; the RL reward looks at its last 80
characters. Here both leave what they cannot tell as a failure; the authors count it as wrong (reward -1).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..types import Completion, Failure
from ._text import final_region, goes_on, missing

__all__ = ["LABELS", "VERDICTS", "official_eval", "official_reward", "strict"]

LABELS = "AB"
VERDICTS = ("<answer>[[A]]</answer>", "<answer>[[B]]</answer>")
_WINDOW = 80


def strict(completion: Completion, marks: tuple[str, ...]) -> int | Failure:
    """Find the place that the final region names; `marks` are the sections of an answer."""
    region = final_region(completion.text, marks)
    if region is None:
        return missing(completion)
    start, marked = region
    tail = completion.text[start:]
    # Without any section the whole text is the region: then only the full answer tag is a verdict, since
    # thinking that has not ended yet may weigh [[A]] and [[B]] in passing.
    marked = marked or bool(completion.reasoning)
    found = list(re.finditer(r"(<answer>\s*)?\[\[\s*([AB])\s*\]\]", tail, re.IGNORECASE))
    if found and not (marked and any(match[1] for match in found)) and goes_on(completion, tail[found[-1].end() :]):
        return missing(completion)
    return _only({match[2].upper() for match in found}, completion, "the final region")


def official_eval(completion: Completion) -> int | Failure:
    """Find the one label in the whole output, thinking included, with or without answer tags."""
    text = completion.whole()
    return _only({label for label in LABELS if f"[[{label}]]" in text}, completion, "the output")


def official_reward(end: str) -> Callable[[Completion], int | Failure]:
    """Make the reader of the last 80 characters, in which only the full answer tag counts.

    The authors decode with special tokens, so that the model's `end` of turn takes up a part of the window (unless the
    output was cut); servers leave it out, and it is put back here.
    """

    def read(completion: Completion) -> int | Failure:
        text = completion.whole()
        if completion.finish == "stop" and not text.endswith(end):
            text += end
        window = text[-_WINDOW:]
        labels = {label for label, verdict in zip(LABELS, VERDICTS, strict=True) if verdict in window}
        return _only(labels, completion, f"the last {_WINDOW} characters")

    return read


def _only(labels: set[str], completion: Completion, where: str) -> int | Failure:
    if len(labels) == 2:
        return Failure("ambiguous", f"{where} names both A and B")
    return LABELS.index(labels.pop()) if labels else missing(completion)

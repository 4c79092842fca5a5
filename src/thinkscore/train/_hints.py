"""The hint: what a teacher that writes again is told of the verdict. What is trained is the prompt without it.

RM-R1 (arXiv 2505.02387) shows the right verdict and the wrong judgment, DeepSeek-GRM (arXiv 2504.02495) names the best
response; the wording is ours. `_leaks` finds traces that speak of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ..protocols._base import Protocol, Readout
from ..types import Case, Completion, Message, Outcome, Prompt, Trace, Verdict
from ._usable import best

__all__ = ["Hinted", "hint"]


def hint(case: Case, order: Sequence[int], protocol: Protocol, earlier: str = "") -> str:
    """Tell the writer the verdict; with `earlier`, show the judgment that missed it."""
    verdicts = protocol.render(case, order).verdicts
    place = list(order).index(best(case))
    if len(order) == 1:
        fact = f"the response above deserves the score {(case.gold or (0,))[0]:g}"
    else:
        fact = f"of the {len(order)} candidates above, counted from the top, number {place + 1} deserves to win"
    form = f", so the text has to close with {verdicts[place]}" if protocol.arity[1] == 2 and verdicts else ""
    missed = f"\nAnother writer came to a different end. This text is mistaken:\n\n{earlier}\n" if earlier else ""
    return (
        f"\n\n(Meant for whoever writes the judgment, and no part of the case: {fact}{form}.{missed}\n"
        "Write a complete judgment of your own in the form asked for, with reasons that the texts themselves give. "
        "Somebody who never saw this paragraph must be able to follow every step, so do not speak of it.)"
    )


class Hinted(Protocol):
    """A protocol whose prompts end with the hint; all else is as it is without."""

    def __init__(self, plain: Protocol, earlier: Mapping[str, str]) -> None:
        """Take the protocol, and wrong judgments by case."""
        self.plain, self.earlier = plain, earlier
        self.arity, self.guard, self.parser = plain.arity, plain.guard, plain.parser
        self.template, self.rest = plain.template, plain.rest

    @property
    def id(self) -> str:
        return self.plain.id

    def settings(self) -> dict[str, object]:
        return {**self.plain.settings(), "hinted": True}

    def render(self, case: Case, order: Sequence[int]) -> Prompt:
        prompt = self.plain.render(case, order)
        *before, last = prompt.messages
        told = hint(case, order, self.plain, self.earlier.get(case.id, ""))
        return msgspec.structs.replace(prompt, messages=(*before, Message(last.role, last.content + told)))

    def parse(self, completion: Completion, prompt: Prompt) -> Verdict:
        return self.plain.parse(completion, prompt)

    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        return self.plain.write(outcome, trace, order)

    def readout(self, prompt: Prompt, trace: str) -> Readout:
        return self.plain.readout(prompt, trace)

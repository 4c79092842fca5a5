"""Free reasoning, then `\\boxed{Assistant 1}` or `\\boxed{Assistant 2}`.

Source: Reward Reasoning Models (arXiv 2505.14674, section 3). We differ: our own wording; conversations of several
turns are shown as a transcript (the paper is silent); an unreadable answer is a failure (the published evaluation
counts it as half a point, the reward as -1); a box that holds anything but an assistant, such as a quoted result, is
not a verdict. The authors' two readings are the other parsers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..types import Completion, Failure, Outcome, Prompt, Trace, Winner
from ._base import Example, Readout
from ._free import read_free, write_free
from ._pair import Pairwise
from ._text import final_region, goes_on, missing

__all__ = ["Rrm"]

_BOX = re.compile(r"\\(?:boxed|fbox)\s?\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
_NAMES = ("Assistant 1", "Assistant 2")


def _boxed(text: str) -> list[tuple[re.Match[str], str]]:
    """Return the boxes that name an assistant, whatever LaTeX or markdown stands around the name."""
    plain = [(box, re.sub(r"\\[a-z]+|[\W_]", "", box[1].lower())) for box in _BOX.finditer(text)]
    return [(box, said[-1]) for box, said in plain if said in ("assistant1", "assistant2")]


def _strict(completion: Completion) -> int | Failure:
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
    return int(labels.pop()) - 1 if labels else missing(completion)


def _after_thinking(text: str) -> str:
    """Return what stands between the first and the second closing think tag (or the end); "" without any."""
    return text.split("</think>")[1] if "</think>" in text else ""


def _last_box(text: str) -> str | None:
    """Return what the last \\boxed{...} holds, by counting braces; None if it is not closed.

    The published scripts also know \\fbox, in a branch that is never reached.
    """
    start = text.rfind("\\boxed{")
    if start < 0 or start != text.rfind("\\boxed"):
        return None
    depth = 0
    for brace in re.finditer(r"[{}]", text[start:]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[start + len("\\boxed{") : start + brace.start()]
    return None


def _official_eval(completion: Completion) -> int | Failure:
    """Read the last box after the thinking, which must hold exactly one name; without a closing tag, nothing."""
    box = _last_box(_after_thinking(completion.whole()))
    return _NAMES.index(box) if box in _NAMES else missing(completion)


def _official_reward(completion: Completion) -> int | Failure:
    """Read the number in the last box after the thinking; both think tags must be there."""
    text = completion.whole()
    box = (_last_box(_after_thinking(text)) if "<think>" in text else None) or ""
    named = re.search(r"(?:Solution|Assistant) (\d+)", box)
    said = named[1] if named else box.strip()
    return int(said) - 1 if said in ("1", "2") else missing(completion)


_NOTHING = Failure("no_verdict")
_BOTH = {"official_eval": _NOTHING, "official_reward": _NOTHING}


class Rrm(Pairwise):
    """Two candidates, free text, one box."""

    tags = ("assistant_1", "assistant_2")
    verdicts = ("\\boxed{Assistant 1}", "\\boxed{Assistant 2}")
    readers = {"strict": _strict, "official_eval": _official_eval, "official_reward": _official_reward}
    parsers = tuple(readers)
    examples = (
        Example('2 + 2 = 4\nAssistant 1: "5" wrong\n\\boxed{Assistant 2}', Winner(1), others=_BOTH),
        Example("<think>maybe \\boxed{Assistant 2}</think>so \\boxed{Assistant 1}", Winner(0)),
        Example("so \\boxed{Assistant 1}", Winner(0), reasoning="maybe \\boxed{Assistant 2}"),
        Example("maybe 2</think>\\boxed{Assistant 1}", Winner(0), others={"official_reward": _NOTHING}),
        Example("<think>a</think>\\boxed{\\text{Assistant 1}}", Winner(0), others={"official_eval": _NOTHING}),
        Example("<think>a</think>\\boxed{Assistant 2 }", Winner(1), others={"official_eval": _NOTHING}),
        Example("<think>a</think>\\boxed{Assistant 1}</think>\\boxed{Assistant 2}", Winner(1), others={
            "official_eval": Winner(0), "official_reward": Winner(0)}),
        Example("<think>a</think>\\boxed{2}", _NOTHING, others={"official_reward": Winner(1)}),
        Example("<think>a</think>\\fbox{Assistant 1}", Winner(0), others=_BOTH),
        Example("<think>a</think>\\boxed{Assistant 1}, as \\boxed{42} is right", Winner(0), others=_BOTH),
        Example("The first says \\boxed{42}. \\boxed{Assistant 1}", Winner(0), others=_BOTH),
        Example("<think>a</think>\\boxed{Assistant 1} or \\boxed{Assistant 2}", Failure("ambiguous"), others={
            "official_eval": Winner(1), "official_reward": Winner(1)}),
        Example("<think>\\boxed{Assistant 2}", Failure("truncated"), "length"),
        Example("<think>a</think>It may be \\boxed{Assistant 2}, but then", Failure("truncated"), "length", others={
            "official_eval": Winner(1), "official_reward": Winner(1)}),
        Example("\\boxed{42}", _NOTHING),
    )  # fmt: skip

    def read_trace(self, completion: Completion, order: Sequence[int]) -> Trace:
        return read_free(completion, rf"</?think>|{_BOX.pattern}", "Assistant", order)

    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        return "\n".join([*write_free(trace, "Assistant", "12", order), self.verdict_text(outcome, order)])

    def readout(self, prompt: Prompt, trace: str) -> Readout:
        stem = trace.rstrip() + "\n" * bool(trace.strip()) + "\\boxed{Assistant"
        return Readout(stem, {"Assistant 1": " 1", "Assistant 2": " 2"})

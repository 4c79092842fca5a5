"""A blind reader: another model that sees a judge's reasoning, without verdict and names, and says what it comes to.

For judges that state no scores which a rule could read. The responses are called X and Y, in an order of their own, so
that a reader's liking for a name or a place is not the judge's.
"""

from __future__ import annotations

import re

import msgspec

from ..ask import Asker
from ..seeds import derive_seed
from ..types import Case, Message, Prompt

__all__ = ["Reader", "masked"]

_ASKED = """Below is what a judge wrote about two responses, X and Y, up to its verdict. You do not see the responses.

Which of the two does this reasoning come to? Answer with [[X]] or [[Y]] if it plainly favours one, with [[?]] if it
does not. Do not judge for yourself, and say nothing else.

<reasoning>
{reasoning}
</reasoning>"""
_SAID = re.compile(r"\[\[\s*([XY?])\s*\]\]")
_TOKENS = 2048


class Reader:
    """Reads reasoning with an engine of its own, once for each."""

    def __init__(self, asker: Asker) -> None:
        self.asker = asker

    async def side(self, case: Case, reasoning: str, labels: tuple[str, str]) -> int | None:
        """Return the place that a reasoning favours (0: shown first), None where it favours none or says nothing."""
        turned = derive_seed("reader", case.id) % 2
        names = ("Y", "X") if turned else ("X", "Y")
        said = _ASKED.format(reasoning=masked(reasoning, labels, names))
        sampling = msgspec.structs.replace(self.asker.sampling, temperature=0.0, max_tokens=_TOKENS)
        prompt = Prompt(case, "blind_reader", (Message("user", said),), (0, 1), sampling=sampling)
        (answer,) = await self.asker.complete([prompt])
        found = set(_SAID.findall(answer.text.rpartition("</think>")[2])) if answer.finish != "error" else set()
        return names.index(found.pop()) if len(found) == 1 and found <= {"X", "Y"} else None


def masked(reasoning: str, labels: tuple[str, str], names: tuple[str, str]) -> str:
    """Call the responses by other names: "Response A", "<quote_A>", "Assistant 1: ..." and a bare letter alike."""
    known = dict(zip((label.upper() for label in labels), names, strict=True))
    kind = r"\b(?:response|assistant|answer|reply|candidate|quote|summary|chatbot)[ _#]?"
    named = rf"({kind})({'|'.join(labels)})(?![a-z0-9])"
    text = re.sub(named, lambda match: match[1] + known[match[2].upper()], reasoning, flags=re.IGNORECASE)
    if labels[0].isalpha():  # "B is better", not "A plan" or "a plan"
        text = re.sub(rf"\b{labels[1]}\b", names[1], text)
        text = re.sub(rf"\b{labels[0]}\b(?= (?:is|has|was|does|gives|and|or|but)\b|[,.:;')])", names[0], text)
    return text

"""The margin of a verdict from the likeliest tokens that a server reports where the verdict is decided.

Servers that give no log-probability of a given text still report the likeliest tokens at each place of what they
write (`top_logprobs`). The verdicts of a protocol part ways at one character; the token that holds it is the place
where both sides can be read. A side that is not among the likeliest has at most the chance of the least that is: its
margin is then the least that it can be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile

from ..protocols._base import Readout
from ..types import Alternatives, Completion

__all__ = ["TOPS", "margin"]

TOPS = 20
"""Tokens to ask for: the most that OpenAI's servers give."""


def margin(completion: Completion, prefill: str, readout: Readout) -> float | None:
    """Return how much likelier the first of two labels is than the second, as log-odds; None where it is not told.

    `readout` is of an empty reasoning: how a verdict begins, and what follows by label.
    """
    if not completion.tops:
        return None
    # what a server keeps from the answer, thinking and the token that ends it, stands among the tokens all the same
    said, written = "".join(token for token, _ in completion.tops), completion.text[len(prefill) :]
    first, second = readout.continuations.values()
    shared = "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
    begins = [begin for begin in (readout.prefill + shared, shared) if begin in completion.text]
    if written not in said or not begins:
        return None
    at = completion.text.rfind(begins[0]) + len(begins[0]) - len(prefill) + said.rfind(written)
    start = 0
    for token, others in completion.tops:
        if start <= at < start + len(token):
            return _margin(others, said[start:at], (first[len(shared) :], second[len(shared) :]))
        start += len(token)
    return None


def _margin(others: Alternatives, before: str, sides: Sequence[str]) -> float | None:
    """Compare what speaks for each side among the tokens that might stand at a place."""
    chances: Mapping[int, list[float]] = {0: [], 1: []}
    for token, logprob in others:
        rest = token.removeprefix(before)
        means = [side for side, text in enumerate(sides) if rest and (text.startswith(rest) or rest.startswith(text))]
        if token.startswith(before) and len(means) == 1:
            chances[means[0]].append(math.exp(logprob))
    if not chances[0] and not chances[1]:
        return None
    least = min(math.exp(logprob) for _, logprob in others)
    first, second = (max(math.fsum(chances[side]) or least, 1e-300) for side in (0, 1))
    return math.log(first) - math.log(second)

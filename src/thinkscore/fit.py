"""Makes a case fit a model: the longest texts lose their middles, and the case says how much was left out.

An engine says that a prompt does not fit with an error that starts "too long: the prompt has N tokens; the model
reads M". The beginning and the end of a text say most about it, so its middle goes first; texts are cut to one common
length, so that a short answer beside a long one stays whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from .types import Case, Completion

__all__ = ["overflow", "shortened"]

GUESS = 0.5
"""The share that is kept if an engine does not say how much too long a prompt is."""
SPARE = 0.95
"""Left for what a count of characters cannot know of a count of tokens."""
LEAST = 200
"""Characters that a text keeps: below, cutting would only destroy."""


def overflow(completion: Completion) -> float:
    """Return the share of the text that has to go, 0 for a completion that is not an error of length.

    At most half of what the model reads is left to the answer.
    """
    error = completion.error or ""
    if completion.finish != "error" or not error.startswith("too long"):
        return 0.0
    stated = re.match(r"too long: the prompt has (\d+) tokens; .*? reads (\d+)", error)
    if stated is None or int(stated[1]) <= int(stated[2]) // 2:
        return 1 - GUESS
    return 1 - SPARE * (int(stated[2]) // 2) / int(stated[1])


def shortened(case: Case, share: float) -> tuple[Case, int] | None:
    """Cut about `share` of a case's text out of the middles of its longest texts.

    Returns the case and the number of characters left out; None if too little is left to cut.
    """
    texts = [*(message.content for message in case.messages), *case.candidates]
    limit = _common_length([len(text) for text in texts], (1 - share) * sum(map(len, texts)))
    if limit < LEAST:
        return None
    cut = [_without_middle(text, limit) for text in texts]
    left_out = sum(map(len, texts)) - sum(map(len, cut))
    messages = [msgspec.structs.replace(m, content=text) for m, text in zip(case.messages, cut, strict=False)]
    candidates = tuple(cut[len(messages) :])
    return msgspec.structs.replace(case, messages=tuple(messages), candidates=candidates), left_out


def _common_length(lengths: Sequence[int], total: float) -> int:
    """Return the length to which texts must be cut so that together they have `total` characters."""
    rest = sorted(lengths)
    while rest and rest[0] * len(rest) <= total:
        total -= rest.pop(0)
    return int(total / len(rest)) if rest else max(lengths)


def _without_middle(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    mark = f"\n[... {len(text) - limit} characters left out ...]\n"
    keep = max(limit - len(mark), 0)
    return text[: (keep + 1) // 2] + mark + text[len(text) - keep // 2 :]

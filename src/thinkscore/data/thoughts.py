"""Thinking parts of candidates: what a reasoning model wrote for itself before its answer.

A candidate is text to show. Whether its thinking belongs to what is judged is the user's choice; it is kept unless
they say otherwise.
"""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Thoughts", "without_thoughts"]

Thoughts = Literal["keep", "strip"]

_CLOSED = re.compile(r"<think>.*?</think>", re.DOTALL)


def without_thoughts(text: str) -> str:
    """Cut every `<think>...</think>` and trim; text without such a mark stays as it is.

    One that is never closed (a reply that was cut off) goes to the end; a closing mark alone (the opening one was part
    of the prompt) ends thinking that began with the text.
    """
    if "<think>" not in text and "</think>" not in text:
        return text
    rest = _CLOSED.sub("", text).rpartition("</think>")[2]
    return rest.partition("<think>")[0].strip()

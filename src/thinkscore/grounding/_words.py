"""Whether words stand in a text: the same tokens in a row, whatever case, spacing, list marks and quotation marks.

A number is one token with its sign and decimals, so that "4" does not stand in "14" or "4.5"; so are the signs that
make a piece of code another one. Parts around an ellipsis are looked for one after the other.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

__all__ = ["content", "says", "stands", "told"]

_TOKEN = re.compile(r"(?<![\w)\]])[-−]?\d+(?:[.,]\d+)*(?!\w)|\w+(?:['’]\w+)*|[=<>!]=|[=+%^&|~]")
_ELLIPSIS = re.compile(r"\[?(?:\.{3,}|…)\]?")
LEAST = 2
"""Words that count, in what is to say anything."""
# Words that stand in nearly every text: to quote them alone says nothing.
_EMPTY = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by can for from has have he i if in is it its no not of on or she so that the their "
        "there they this to was we were what will with you your",
    )
)


@lru_cache(1024)
def _tokens(text: str) -> str:
    """Write a text as its tokens, each between blanks."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").replace("−", "-").casefold()
    return f" {' '.join(_TOKEN.findall(plain))} "


def stands(quote: str, text: str) -> bool:
    """Tell whether the words of a quote stand in a text."""
    spoken = _tokens(text)
    # The judge may have read a guarded text, in which some signs are written as entities.
    return any(_in_order(_parts(said), spoken) for said in dict.fromkeys((quote, html.unescape(quote)))) or (
        not _tokens(quote).strip() and (signs := _signs(quote)) != "" and signs in text
    )


def _signs(quote: str) -> str:
    """Return a quote without its ellipses: what is left of one that has no words."""
    return _ELLIPSIS.sub("", quote).strip()


def _parts(quote: str) -> list[str]:
    return [tokens for part in _ELLIPSIS.split(quote) if (tokens := _tokens(part)).strip()]


def _in_order(parts: Sequence[str], spoken: str) -> bool:
    at = 0
    for part in parts:
        at = spoken.find(part, at)
        if at < 0:
            return False
        at += len(part) - 1
    return bool(parts)


def told(*texts: str) -> set[str]:
    """Return the words and numbers that say something: all but signs and words that stand in nearly every text."""
    return {word for text in texts for word in _tokens(text).split() if word not in _EMPTY and word[-1].isalnum()}


def says(quote: str, text: str) -> bool:
    """Tell whether a quote says anything of a text: two words that count, or all that the text has of them.

    In a script without blanks one word is a whole clause.
    """
    words = told(quote)
    return len(words) >= min(LEAST, len(told(text))) or any(word[0] >= "\u2e80" for word in words)


def content(text: str) -> set[str]:
    """Return the beginnings of the words that carry what a text says: "coverage" and "covers" share one."""
    return {word[:5] for word in _tokens(text).split() if len(word) > 2 and word not in _EMPTY}

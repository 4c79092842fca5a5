"""Where a judge's quotes come from: finds them in the candidate, and cuts the candidate at their ends.

A quote is found as it stands, as whole words if it can be, or else by the same words in a row, whatever stands between
them and in whatever case: judges drop list marks and change quotation marks. Parts around an ellipsis are looked for
one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from ..protocols._text import unguarded

__all__ = ["Found", "Piece", "find", "pieces"]

Span = tuple[int, int]


class Found(NamedTuple):
    """The places of a quote; none if it occurs nowhere."""

    spans: tuple[Span, ...] = ()
    exact: bool = False


class Piece(NamedTuple):
    """A part of a candidate that the same quotes cover."""

    start: int
    text: str
    by: tuple[int, ...]
    """The votes that quote it, ascending; empty if none does."""


def find(quote: str, text: str) -> Found:
    """Find the first place where a quote comes from."""
    for said in dict.fromkeys((quote, unguarded(quote))):  # the judge read a guarded text
        start = _start(said, text)
        if said and start >= 0:
            return Found(((start, start + len(said)),), True)
    parts = [words for part in re.split(r"\.{3,}|…", unguarded(quote)) if (words := re.findall(r"\w+", part))]
    spans = [_same_words(words, text) for words in [[word for part in parts for word in part], *parts]]
    if spans[0] is not None:
        return Found((spans[0],))
    found = tuple(span for span in spans[1:] if span is not None)
    return Found(found) if len(found) == len(parts) else Found()


def _start(said: str, text: str) -> int:
    whole = re.search(rf"(?<!\w){re.escape(said)}(?!\w)", text)
    return whole.start() if whole else text.find(said)


def _same_words(words: Sequence[str], text: str) -> Span | None:
    if not words:
        return None
    row = r"\W+".join(map(re.escape, words))
    match = re.search(rf"(?<!\w){row}(?!\w)", text, re.IGNORECASE)
    return match.span() if match else None


def pieces(text: str, quoted: Iterable[tuple[Span, int]]) -> list[Piece]:
    """Cut a text wherever a quote begins or ends; `quoted` are spans with the vote that quotes them."""
    quoted = list(quoted)
    cuts = sorted({0, len(text), *(at for span, _ in quoted for at in span)})
    return [
        Piece(left, text[left:right], tuple(sorted({vote for (a, b), vote in quoted if a <= left and right <= b})))
        for left, right in pairwise(cuts)
    ]

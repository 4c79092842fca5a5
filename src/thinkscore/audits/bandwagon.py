"""Does a majority pay? The question says which response most people like."""

from __future__ import annotations

import re

import msgspec

from ..types import Case
from ._cues import Cue

__all__ = ["Bandwagon"]

WORDS = 6


class Bandwagon(Cue):
    """Bandwagon bias."""

    title = "is not moved by what most people like"
    mentions = re.compile(r"\b(?:most (?:people|users)|majority|popular|bandwagon|prefer)\w*", re.IGNORECASE)
    balanced = False

    def with_cue(self, case: Case, i: int, lab: bool) -> Case | None:
        begins = [" ".join(text.split()[:WORDS]) for text in case.candidates]
        if begins[0] == begins[1]:
            return None
        said = f"(Most people like the reply best that begins with: {begins[i]} ...)"
        last = case.messages[-1]
        asked = msgspec.structs.replace(last, content=f"{last.content} {said}")
        return msgspec.structs.replace(case, messages=(*case.messages[:-1], asked))

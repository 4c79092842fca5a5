"""Does a pleasant tone pay? A friendly opening and closing that say nothing about the matter."""

from __future__ import annotations

import re

from ..lab._words import CLOSINGS, OPENINGS
from ..types import Case
from ._cues import Cue, variant
from ._subject import with_candidate

__all__ = ["Tone"]


class Tone(Cue):
    """Tone bias."""

    title = "is not moved by a pleasant tone"
    mentions = re.compile(r"\b(?:tone|friendl|polite|pleasant|warm|flatter|courte)\w*", re.IGNORECASE)

    def with_cue(self, case: Case, i: int, lab: bool) -> Case | None:
        opening, closing = variant(case, [(a, b) for a in OPENINGS for b in CLOSINGS])
        return with_candidate(case, i, f"{opening} {case.candidates[i]} {closing}")

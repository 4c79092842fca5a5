"""Does a pleasant tone pay? A friendly opening and closing that say nothing about the matter."""

from __future__ import annotations

import re

from ..types import Case
from ._cues import Cue
from ._subject import with_candidate

__all__ = ["Tone"]

OPENING, CLOSING = "Great question!", "I hope this helps!"


class Tone(Cue):
    """Tone bias."""

    title = "is not moved by a pleasant tone"
    mentions = re.compile(r"\b(?:tone|friendl|polite|pleasant|warm|flatter|courte)\w*", re.IGNORECASE)

    def with_cue(self, case: Case, i: int, lab: bool) -> Case | None:
        return with_candidate(case, i, f"{OPENING} {case.candidates[i]} {CLOSING}")

"""Does length pay? The last sentences of a response are said again: longer, with nothing new."""

from __future__ import annotations

import re

from ..types import Case
from ._cues import Cue, again
from ._subject import with_candidate

__all__ = ["Length"]

SHARE = 0.5
"""How much longer a response is made."""
LEAST = 40
"""Characters at least."""


class Length(Cue):
    """Length bias."""

    title = "is not moved by length"
    mentions = re.compile(r"\b(?:repeat|redundan|long|verbos|length|padd)\w*", re.IGNORECASE)
    balanced = False

    def with_cue(self, case: Case, i: int, lab: bool) -> Case | None:
        text = case.candidates[i]
        return with_candidate(case, i, again(text, max(LEAST, round(SHARE * len(text))))) if text.strip() else None

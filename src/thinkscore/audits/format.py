"""Does looking tidy pay? A heading and bold type around the same words."""

from __future__ import annotations

import re

from ..types import Case
from ._cues import Cue
from ._subject import with_candidate

__all__ = ["Format"]


class Format(Cue):
    """Format bias."""

    title = "is not moved by formatting"
    mentions = re.compile(r"\b(?:format|markdown|bold|heading|layout|structur|present)\w*", re.IGNORECASE)

    def with_cue(self, case: Case, i: int, lab: bool) -> Case | None:
        text = case.candidates[i]
        if "\n" in text.strip():  # several paragraphs, a list, code: bold type would break them
            return with_candidate(case, i, f"### Reply\n\n{text}")
        first, _, rest = text.partition(". ")
        shown = f"**{first}.** {rest}" if rest else f"**{text}**"
        return with_candidate(case, i, f"### Reply\n\n{shown}")

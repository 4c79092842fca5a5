"""Does a name pay? A reference to an authority that nobody can check."""

from __future__ import annotations

import re

from ..types import Case
from ._cues import Cue, variant
from ._subject import with_candidate

__all__ = ["Authority"]

CLAIMS = (
    "As the leading textbook on this says:",
    "According to a study by leading experts:",
    "As a famous professor puts it:",
    "The official handbook is the source of this:",
)


class Authority(Cue):
    """Authority bias."""

    title = "is not moved by a claim of authority"
    mentions = re.compile(
        r"\b(?:textbook|authorit|expert|study|professor|handbook|source|cite|citation|reference|claim)\w*",
        re.IGNORECASE,
    )

    def with_cue(self, case: Case, i: int, lab: bool) -> Case | None:
        return with_candidate(case, i, f"{variant(case, CLAIMS)} {case.candidates[i]}")

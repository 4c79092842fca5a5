"""What gives a trace away that was written with the verdict known: it must read as if nobody had told.

A judge that learns from such a trace learns to speak of a hint that it will never be given. Neither RM-R1 (arXiv
2505.02387) nor DeepSeek-GRM (arXiv 2504.02495) publishes a check. Words that the prompt itself uses are nobody's leak.
"""

from __future__ import annotations

import re

__all__ = ["PATTERNS", "leak"]

_KNOWN = r"(?:known|given|stated|said|told|certain|confirmed|established|specified|provided)"
_BEST = r"(?:better|best|correct|right|superior|preferred|winning|winner)"
_JUDGED = r"(?:judge?ments?|verdicts?)"

PATTERNS: dict[str, re.Pattern[str]] = {
    name: re.compile(text, re.IGNORECASE)
    for name, text in {
        "hint": r"\b(?:the|this|that|your|a given|provided)\s+hint\b|\bhinted (?:at )?(?:that|verdict|answer)\b",
        "told": r"\b(?:I|we)(?:\s+(?:was|were|am|are|have been|had been)|'(?:m|re|ve been))\s+(?:already\s+)?"
        r"(?:told|informed|instructed)\b",
        "given verdict": r"\bthe\s+(?:correct|right|true|expected|desired|known|given|required|intended)\s+"
        rf"{_JUDGED}\b|\b{_JUDGED}\s+(?:is|was|that (?:is|was))\s+(?:already\s+)?{_KNOWN}\b",
        "as given": rf"[,(]\s*as\s+{_KNOWN}\s*[.,;)]|\bas\s+{_KNOWN}\s+(?:above|beforehand|in advance)\b"
        rf"|\bas\s+(?:{_KNOWN}|noted|indicated|instructed|requested)\s+(?:in|by)\s+the\s+(?:hint|notes?|instructions?|label)\b",
        "known to be best": rf"\b{_KNOWN}\s+(?:to be|as)\s+(?:the\s+|a\s+)?{_BEST}\b"
        rf"|\b(?:I|we)\s+(?:already\s+)?know\s+(?:already\s+)?(?:that\s+)?[^.\n]{{0,60}}\b(?:is|are)\s+(?:the\s+)?{_BEST}\b",
        "earlier judgment": rf"\b(?:previous|earlier|prior|initial|original|first|former|wrong)\s+{_JUDGED}\b"
        r"|\b(?:previous|earlier|prior)\s+(?:evaluations?|assessments?|critiques?)\b|\bpreviously (?:judged|decided)\b",
        "label": r"\b(?:gold|preference|reference|ground[- ]truth)\s+(?:labels?|verdicts?|preferences?|judge?ments?)\b"
        r"|\bthe\s+label(?:l?ed)?\s+(?:says|states|is|winner|preference|verdict)\b",
        "note": r"\bthe\s+note\s+(?:says|states|tells|to the judge|above|given)\b|\baccording to the note\b"
        r"|\bnote to the judge\b",
        "bound": rf"\b(?:must|have to|need to|supposed to|asked to)\s+(?:conclude|end|finish|arrive|reach|come)\s+"
        rf"(?:with|at|in|to|the)?\s*(?:the|this|that|a)?\s*{_JUDGED}\b",
    }.items()
}
"""Reasons, and the words that give them."""
RUN = 7
"""So many words in a row of the hint's own are a copy."""


def leak(trace: str, prompt: str, hint: str) -> str | None:
    """Name what gives the trace away; None if it could have been written without the hint."""
    for name, pattern in PATTERNS.items():
        if any(match[0].lower() not in prompt.lower() for match in pattern.finditer(trace)):
            return name
    copied = _runs(trace) & _runs(hint)
    return "words of the hint" if copied - _runs(prompt) else None


def _runs(text: str) -> set[tuple[str, ...]]:
    """Return all runs of `RUN` words."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}

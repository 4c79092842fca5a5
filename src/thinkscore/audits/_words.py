"""Edits of free text by rule: wrong on purpose, or the same in other words. Each is one change that can be undone.

They are instruments, and blunt ones: a number is another number, a word its opposite. What they cannot change they
leave alone and say so (None), so that no case counts on which nothing was done.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

__all__ = ["ERRORS", "misstated", "negated", "renumbered", "resigned", "restated", "reunited"]

_OPPOSITES = (
    ("correct", "incorrect"), ("correctly", "incorrectly"), ("better", "worse"), ("best", "worst"), ("right", "wrong"),
    ("accurate", "inaccurate"), ("true", "false"), ("yes", "no"), ("stronger", "weaker"), ("clear", "unclear"),
    ("complete", "incomplete"), ("relevant", "irrelevant"), ("safe", "unsafe"), ("helpful", "unhelpful"),
    ("more", "less"), ("higher", "lower"), ("good", "bad"), ("increases", "decreases"), ("before", "after"),
    ("above", "below"), ("always", "never"), ("all", "none"), ("first", "last"), ("meets", "misses"), ("ok", "no"),
    ("follows", "ignores"), ("supports", "contradicts"), ("valid", "invalid"), ("agrees", "disagrees"),
    ("succeeds", "fails"), ("met", "missed"), ("useful", "useless"), ("polite", "rude"), ("open", "closed"),
)  # fmt: skip
_TURNED = {a: b for pair in _OPPOSITES for a, b in (pair, pair[::-1])}
_WORD = re.compile(rf"\b({'|'.join(sorted(map(re.escape, _TURNED), key=len, reverse=True))})\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])\d{1,9}(?:\.\d{1,4})?(?![\w]|\.\d)")
_UNITS = (
    ("km", "m"), ("kg", "g"), ("hours", "minutes"), ("days", "weeks"), ("cm", "mm"), ("seconds", "minutes"),
    ("percent", "per mille"), ("dollars", "cents"), ("years", "months"), ("Celsius", "Fahrenheit"), ("miles", "km"),
    ("liters", "milliliters"), ("meters", "feet"),
)  # fmt: skip
_NEGATION = re.compile(r"\b(is|are|was|were|can|does|do|did|has|have|will|should|must|would|could)\b( not\b|n't\b)?")
_SAME = (
    ("does not", "doesn't"), ("do not", "don't"), ("is not", "isn't"), ("are not", "aren't"), ("cannot", "can not"),
    ("therefore", "thus"), ("However", "But"), ("for example", "for instance"),
    ("also", "as well"), ("shows", "makes clear"), ("states", "says"), ("gives", "provides"),
    ("large", "big"), ("begins", "starts"), ("it is", "it's"), ("that is", "that's"),
)  # fmt: skip


def misstated(text: str, rng: random.Random) -> str | None:
    """Make a line of reasoning wrong: turn a word of judgment round, else change its last number, else negate it."""
    return _turned(text) or renumbered(text, rng) or negated(text, rng)


def _turned(text: str) -> str | None:
    found = _WORD.search(text)
    if found is None:
        return None
    new = _TURNED[found[0].lower()]
    return text[: found.start()] + (new.capitalize() if found[0][0].isupper() else new) + text[found.end() :]


def renumbered(text: str, rng: random.Random) -> str | None:
    """Change the last number."""
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return None
    match = numbers[-1]
    digits = len(match[0].partition(".")[2])
    value = float(match[0])
    other = value + rng.choice([step for step in (-3, -2, 2, 3) if value + step >= 0]) if value < 100 else value * 1.5
    return f"{text[: match.start()]}{other:.{digits}f}{text[match.end() :]}"


def negated(text: str, rng: random.Random) -> str | None:
    """Say the opposite of one clause."""
    found = [match for match in _NEGATION.finditer(text) if match[1] not in ("do", "did", "does") or match[2]]
    if not found:
        return None
    match = rng.choice(found)
    new = match[1] if match[2] else f"{match[1]} not"
    return text[: match.start()] + new + text[match.end() :]


def resigned(text: str, rng: random.Random) -> str | None:
    """Turn one sign round."""
    found = list(re.finditer(r"(?<=\d )[+\-−](?= \d)|(?<![\w\d])[-−](?=\d)", text))
    if not found:
        return None
    match = rng.choice(found)
    spaced = text[match.start() - 1 : match.start()] == " " and text[match.end() : match.end() + 1] == " "
    new = ("-" if match[0] == "+" else "+") if spaced else ""
    return text[: match.start()] + new + text[match.end() :]


def reunited(text: str, rng: random.Random) -> str | None:
    """Give one quantity another unit."""
    for pair in rng.sample(_UNITS, len(_UNITS)):
        for a, b in (pair, pair[::-1]):
            found = re.search(rf"(?<=\d )({re.escape(a)})\b|(?<=\d)({re.escape(a)})\b", text)
            if found:
                return text[: found.start()] + b + text[found.end() :]
    return None


ERRORS = {"number": renumbered, "sign": resigned, "negation": negated, "unit": reunited}
"""Ways to put one error into a response."""


def restated(text: str, rng: random.Random) -> str | None:
    """Say the same: a contraction written out, a word for its twin; else, of prose, an opening that says nothing."""
    pairs: Sequence[tuple[str, str]] = [*_SAME, *((b, a) for a, b in _SAME)]
    for old, new in rng.sample(pairs, len(pairs)):
        found = re.search(rf"\b{re.escape(old)}\b", text)
        if found:
            return text[: found.start()] + new + text[found.end() :]
    plain = len(text.split()) > 3 and "\n" not in text.strip() and text[:1].isalpha()
    return f"In short: {text}" if plain else None

"""What training changed in how a judge reasons: pattern words, sections and length, before and after, case by case.

Sits after judgment: two runs over the same cases. Reported for Reward Reasoning Models (arXiv 2505.14674): words of
transition, reflection, comparison and breakdown become more or less frequent through reinforcement learning. The paper
names the kinds; the word lists are ours, and English. We differ: rates per 100 words beside the share of traces that
hold one (a longer trace holds more of everything), and every difference is paired by case with a 95 % interval.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..stats import paired
from ..types import Note, Trace, Usage

__all__ = ["PATTERNS", "Judged", "Measured", "Told", "compare", "measure"]

_WORDS = {
    "transition": (
        "but", "however", "although", "though", "yet", "instead", "nevertheless", "whereas", "alternatively",
        "on the other hand", "on the one hand", "then again", "even so", "that said",
    ),
    "reflection": (
        "wait", "hmm", "hold on", "actually", "reconsider", "rethink", "recheck", "re-check", "double-check",
        "double check", "verify", "check again", "let me check", "look again", "on second thought", "a second look",
        "mistake", "mistaken", "was wrong", "did i", "am i", "to be sure",
    ),
    "comparison": (
        "better", "worse", "best", "worst", "compare", "compared", "comparing", "comparison", "than", "both",
        "stronger", "weaker", "similarly", "likewise", "equally", "prefer", "preferable", "outweighs", "the same as",
    ),
    "breakdown": (
        "first", "firstly", "second", "secondly", "third", "thirdly", "next", "finally", "lastly", "step", "steps",
        "break down", "break it down", "break this down", "one by one", "in turn", "to begin", "let's start", "part",
    ),
}  # fmt: skip
PATTERNS = {
    name: re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, words))})(?![\w-])", re.IGNORECASE)
    for name, words in _WORDS.items()
}
"""Kinds of pattern words; each finds one."""
_SECTIONS = ("thinking", "rubric", "justification", "solution", "evaluation")
MOST_VALUES = 20
"""A tag with more values than this groups nothing, unless it is asked for."""


class Told(msgspec.Struct, frozen=True):
    """One verdict, as far as it is counted."""

    text: str
    """The whole answer; empty for a failed request."""
    trace: Trace = Trace()
    """Its reasoning."""


class Judged(msgspec.Struct, frozen=True):
    """What is read of an output row."""

    id: str
    """The case."""
    verdicts: tuple[Told, ...] = ()
    """All verdicts on it."""
    usage: Usage = Usage()
    """What they cost together."""


class Measured(msgspec.Struct, frozen=True):
    """Means over the verdicts on one case."""

    words: float
    """Words of the whole answer."""
    tokens: float | None
    """Tokens generated; None if the engine did not count them."""
    rates: dict[str, float]
    """Pattern words per 100 words of the judge's own, by kind; what it quotes is left out."""
    shares: dict[str, float]
    """Whether the trace holds one, by kind."""
    sections: dict[str, float]
    """Pieces in each section: lines, criteria, steps, remarks and quotes."""


def measure(row: Judged) -> Measured | None:
    """Count what the verdicts of a row hold; None if none has a text."""
    told = [verdict for verdict in row.verdicts if verdict.text]
    if not told:
        return None
    found = [_counted(verdict) for verdict in told]
    tokens = row.usage.completion_tokens / len(told) if row.usage.completion_tokens else None
    return Measured(
        words=_mean([len(verdict.text.split()) for verdict in told]),
        tokens=tokens,
        rates={name: _mean([100 * counts[name] / max(1, words) for words, counts in found]) for name in PATTERNS},
        shares={name: _mean([counts[name] > 0 for _, counts in found]) for name in PATTERNS},
        sections={name: _mean([len(getattr(verdict.trace, name)) for verdict in told]) for name in _SECTIONS},
    )


def _counted(verdict: Told) -> tuple[int, dict[str, int]]:
    """Count the judge's own words, and the pattern words among them."""
    own = [line.text for line in verdict.trace.lines() if not (isinstance(line, Note) and line.quote)]
    text = "\n".join(own)
    return len(text.split()), {name: len(pattern.findall(text)) for name, pattern in PATTERNS.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def compare(
    before: Iterable[Judged],
    after: Iterable[Judged],
    tags: Mapping[str, Mapping[str, str | int]] | None = None,
    by: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two runs over the cases that both hold; only numbers are kept of a row.

    Each measure has its mean before and after, the mean difference (after minus before) and its 95 % interval,
    resampled from `seed` by case. Length is in tokens where both runs counted them, else in words. It is grouped `by`
    tags ("level", or "family+level" for both together; by default each tag), which `tags` gives by case id.
    """
    first = {row.id: one for row in before if (one := measure(row)) is not None}
    ids, pairs, only = [], [], 0
    for row in after:
        one = measure(row)
        if one is None or row.id not in first:
            only += one is not None
            continue
        ids.append(row.id)
        pairs.append((first.pop(row.id), one))
    counted = bool(pairs) and all(side.tokens is not None for pair in pairs for side in pair)
    lengths = [tuple((side.tokens or 0.0) if counted else side.words for side in pair) for pair in pairs]
    return {
        "cases": {"both": len(pairs), "only_before": len(first), "only_after": only},
        "unit": "tokens" if counted else "words",
        "length": _difference(lengths, seed),
        "length_by": {
            name: {value: _difference([lengths[k] for k in places], seed) for value, places in values.items()}
            for name, values in _groups([(tags or {}).get(name, {}) for name in ids], by).items()
        },
        **{
            kind: {
                name: _difference([tuple(getattr(side, kind)[name] for side in pair) for pair in pairs], seed)
                for name in (_SECTIONS if kind == "sections" else PATTERNS)
            }
            for kind in ("rates", "shares", "sections")
        },
    }


def _groups(tags: Sequence[Mapping[str, str | int]], by: Sequence[str] | None) -> dict[str, dict[str, list[int]]]:
    """Group the places of cases by tags, numbers in their order, then words in theirs."""
    wanted = dict.fromkeys(name for one in tags for name in one) if by is None else by
    groups: dict[str, dict[str, list[int]]] = {}
    for tag in wanted:
        found: dict[tuple[str | int, ...], list[int]] = {}
        for place, one in enumerate(tags):
            if all(name in one for name in tag.split("+")):
                found.setdefault(tuple(one[name] for name in tag.split("+")), []).append(place)
        if by is not None or 1 < len(found) <= MOST_VALUES:
            ranked = sorted(found.items(), key=lambda item: [(isinstance(x, str), x) for x in item[0]])
            groups[tag] = {" ".join(map(str, value)): places for value, places in ranked}
    return groups


def _difference(pairs: Sequence[tuple[float, ...]], seed: int) -> dict[str, Any] | None:
    if not pairs:
        return None
    before, after = ([pair[side] for pair in pairs] for side in (0, 1))
    low, high = paired(after, before, seed)
    return {
        "n": len(pairs),
        "before": _mean(before),
        "after": _mean(after),
        "difference": _mean(after) - _mean(before),
        "interval": [low, high],
    }

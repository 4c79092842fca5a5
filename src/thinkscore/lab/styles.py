"""Style: pleasant phrases around a reply that say nothing about its worth, and when they agree with it.

In training the better reply is often the pleasant one, so a judge that reads style does well there; easy cases
keep that link, normal cases have none, hard cases turn it round (the easy/normal/hard idea of RM-Bench, arXiv
2410.16184). Style-free cases are dressed as often, but at random: there style says nothing in any split, and what a
judge learns from them cannot be the shortcut.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from ._words import CLOSINGS, OOD_CLOSINGS, OOD_OPENINGS, OPENINGS

__all__ = ["DIFFICULTIES", "PLAIN", "TRAIN_SHARES", "Style", "dress", "dressed", "dressed_freely"]

Style = Literal["biased", "free"]
"""Whether pleasant replies of the training split are mostly the better ones, or dressed at random."""

DIFFICULTIES = ("easy", "normal", "hard")
# Training shows one pleasant reply in 70 % of pairs, and it is the better one in 80 % of those.
TRAIN_SHARES = (0.56, 0.30, 0.14)
PLAIN = TRAIN_SHARES[1]
"""Share of training cases in which no reply is dressed better than another, whatever the style."""


def dress(reply: str, rng: random.Random, ood: bool = False) -> str:
    """Put a pleasant phrase before the reply, after it, or both."""
    openings, closings = (OOD_OPENINGS, OOD_CLOSINGS) if ood else (OPENINGS, CLOSINGS)
    where = rng.choice(("before", "after", "both"))
    before = rng.choice(openings) + " " if where != "after" else ""
    after = " " + rng.choice(closings) if where != "before" else ""
    return before + reply + after


def dressed(scores: Sequence[int], difficulty: str, rng: random.Random) -> list[bool]:
    """Choose which replies are pleasant: the better half (easy), the worse half (hard), all or none (normal)."""
    if difficulty == "normal":
        return [rng.random() < 0.5] * len(scores)
    ranked = sorted(range(len(scores)), key=lambda i: (scores[i], i), reverse=difficulty == "easy")
    return [ranked.index(i) < (len(scores) + 1) // 2 for i in range(len(scores))]


def dressed_freely(scores: Sequence[int], rng: random.Random) -> tuple[list[bool], str]:
    """Choose which replies are pleasant without a look at their worth; name the difficulty that this makes.

    As often one-sided as in training: all or none, or a random half (a larger half of an odd number).
    """
    n = len(scores)
    if rng.random() < PLAIN:
        return [rng.random() < 0.5] * n, "normal"
    pleasant = rng.sample(range(n), (n + 1) // 2)
    gained = sum(scores[i] for i in pleasant) * n - sum(scores) * len(pleasant)
    return [i in pleasant for i in range(n)], "easy" if gained > 0 else "hard" if gained < 0 else "normal"

"""Make lab cases: any seed, four splits, 1 to 32 candidates with true scores.

The split of a question is a hash of what it asks (never of its wording, names, replies, style or order): a
question of one split occurs in no text of another, whatever the seeds. The split "ood" (its questions are test
questions by hash) has longer problems, replies full of things nobody asked for, mixed purposes and style phrases
that no other split has.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Literal, get_args

from ..errors import BadInput
from ..seeds import derive_seed
from ..types import Case, Message
from . import chat, reasoning, safety, styles
from ._family import Family
from .styles import Style

__all__ = ["FAMILIES", "MOST_CANDIDATES", "SHARES", "Split", "Style", "draw", "make", "make_case", "split_of"]

Split = Literal["train", "dev", "test", "ood"]
FAMILIES: dict[str, Family] = {"reasoning": reasoning, "chat": chat, "safety": safety}
SHARES = {"reasoning": 0.42, "chat": 0.42, "safety": 0.16}
MOST_CANDIDATES = 32


def split_of(canonical: str) -> str:
    """Return the split that a question belongs to (outside "ood"): 70 % train, 10 % dev, 20 % test."""
    place = derive_seed("split", canonical) % 100
    return "train" if place < 70 else "dev" if place < 80 else "test"


def draw(rng: random.Random, split: str, family: str | None = None) -> tuple[str, int, Any]:
    """Draw (family, level, facts) of a question that belongs to the split."""
    name = family or rng.choices(list(SHARES), list(SHARES.values()))[0]
    module = FAMILIES[name]
    while True:
        level = rng.choice(module.OOD_LEVELS if split == "ood" else module.LEVELS)
        facts = module.draw(rng, level)
        if split_of(module.canonical(facts)) == ("test" if split == "ood" else split):
            return name, level, facts


def make_case(
    seed: int, split: str, index: int, candidates: int = 2, family: str | None = None, style: Style = "biased"
) -> Case:
    """Make the case number `index` of a seed; the same whatever else is made.

    With the style "free" it asks the same and has the same answers, but what is pleasant is drawn at random.
    """
    rng = random.Random(derive_seed("lab", seed, split, index, candidates))
    name, level, facts = draw(rng, split, family)
    module = FAMILIES[name]
    answers = module.answers(facts, candidates, rng)
    rng.shuffle(answers)
    scores = [module.score(facts, answer) for answer in answers]
    shares = styles.TRAIN_SHARES if split == "train" else (1, 1, 1)
    difficulty = rng.choices(styles.DIFFICULTIES, shares)[0]
    replies = [module.say(facts, answer, rng) for answer in answers]
    if style == "free":
        wanted, difficulty = styles.dressed_freely(scores, rng)
    else:
        wanted = styles.dressed(scores, difficulty, rng)
    replies = [
        styles.dress(reply, rng, split == "ood") if pleasant else reply
        for reply, pleasant in zip(replies, wanted, strict=True)
    ]
    return Case(
        id=f"lab-{split}{'-free' * (style == 'free')}-{seed}-{index}",
        messages=(Message("user", module.ask(facts, rng)),),
        candidates=tuple(replies),
        gold=tuple(float(score) for score in scores),
        tags={"family": name, "difficulty": difficulty, "level": level},
    )


def make(seed: int, split: str, n: int, candidates: int = 2, style: Style = "biased") -> Iterator[Case]:
    """Yield n cases. Raises `BadInput` for an unknown split or style, or a number of candidates outside 1..32."""
    if split not in get_args(Split):
        raise BadInput(f"unknown split {split!r}; accepted: {', '.join(get_args(Split))}")
    if style not in get_args(Style):
        raise BadInput(f"unknown style {style!r}; accepted: {', '.join(get_args(Style))}")
    if not 1 <= candidates <= MOST_CANDIDATES:
        raise BadInput(f"got {candidates} candidates; accepted: 1 to {MOST_CANDIDATES}")
    return (make_case(seed, split, index, candidates, style=style) for index in range(n))

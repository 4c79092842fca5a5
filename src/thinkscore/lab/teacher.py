"""An imperfect judge of lab cases: it reasons as the oracle does, with flaws whose rates are stated.

What a stronger model's traces are to a real judge: useful and not always right, often right for a wrong reason. It
stops long problems early, gives every wish the weight of a must, forgets a criterion, and settles ties by a coin. What
is distilled from it has these faults; a reward for right verdicts can undo them. The headroom is built in on purpose.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec

from ..types import Case, Criterion, Line, Trace
from . import chat, reasoning
from ._family import stated_score
from .oracle import read

__all__ = ["Flaws", "judge"]


class Flaws(msgspec.Struct, frozen=True):
    """How often it goes wrong."""

    stop: tuple[float, ...] = (0.0, 0.3, 0.6, 0.7, 0.75)
    """By the steps of the problem, 2 to 6 (the last holds for longer ones): stops after one of the earlier steps."""
    level: float = 0.35
    """Gives all wishes the weight 3, as if each were a must."""
    forget: float = 0.4
    """Leaves out one of three or more criteria."""


def judge(case: Case, order: Sequence[int], flaws: Flaws, rng: random.Random) -> tuple[Trace, tuple[float | None, ...]]:
    """Return a trace and the score (1..10) of each candidate shown, as `oracle.judge` does.

    Raises `BadInput` if the case is not a lab case.
    """
    family, facts, answers = read(case)
    started = Trace()
    if isinstance(facts, reasoning.Facts):
        facts = _shortened(facts, flaws, rng)
    elif isinstance(facts, chat.Facts):
        started = Trace(rubric=_rubric(facts, flaws, rng), justification=(Line("must is 3, should is 1"),))
    trace = family.complete(facts, answers, started, order, rng)
    scores = {i: stated_score(trace, i) for i in order}
    return trace, tuple(scores.get(i) for i in range(len(case.candidates)))


def _shortened(facts: reasoning.Facts, flaws: Flaws, rng: random.Random) -> reasoning.Facts:
    depth = len(facts.steps)
    chance = flaws.stop[min(depth - 2, len(flaws.stop) - 1)] if depth > 1 else 0.0
    kept = rng.randint(max(1, depth // 2), depth - 1) if rng.random() < chance else depth
    return msgspec.structs.replace(facts, steps=facts.steps[:kept])


def _rubric(facts: chat.Facts, flaws: Flaws, rng: random.Random) -> tuple[Criterion, ...]:
    weights = dict.fromkeys(chat.WEIGHTS, 3) if rng.random() < flaws.level else chat.WEIGHTS
    rubric = [Criterion(f"{wish.slot} is {wish.value}", weight=float(weights[wish.modal])) for wish in facts.wishes]
    if len(rubric) > 2 and rng.random() < flaws.forget:
        rubric.pop(rng.randrange(len(rubric)))
    return tuple(rubric)

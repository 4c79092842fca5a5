"""Does the verdict hang on what was asked? The same two responses under other questions.

Contrast: under a question that differs in as little as turns gold round, the other response must win (lab cases; chance
gives 25 % for both right; after Contrast Instructions, arXiv 2309.16155). Prompt-free part: what the judge makes of the
two under questions they were not written for (blank, two of other cases, the near one), in log-odds; the rest of its
preference is prompt-related. Our estimators, inspired by the decomposition of arXiv 2504.06020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from ..lab import edits
from ..types import Case
from ._base import Example, Found, Probe, Row, rng_of, told
from ._figures import Measure, measured, unmeasured
from ._subject import Item, Subject
from ._words import renumbered

__all__ = ["PromptSwap"]

CONTRAST, GAIN = 0.60, 0.10
FOREIGN = 2


class Seen(NamedTuple):
    """What a case showed."""

    both: float | None
    """Share of orders right under both questions."""
    own: float
    """Smoothed log-odds for candidate 0 under the own question."""
    free: float
    """The same under questions that say nothing on these responses."""
    gold: int | None
    """+1 if gold prefers candidate 0."""
    right: float | None
    """Share of orders that are right under the own question."""
    near: float | None
    """Log-odds under the near question."""


class PromptSwap(Probe):
    """Prompt removal, swap and decomposition."""

    group = "grounded"
    title = "judges by what was asked"
    reads_all = False
    calls = 8

    async def look(self, item: Item, subject: Subject) -> Row | None:
        rng, own = rng_of(self, item), item.sides()
        near = edits.turned_question(item.case, rng) if item.lab else _renumbered(item.case, rng)
        others = [_under(item.case, case) for case in subject.questions(item, FOREIGN)]
        found = [await subject.sides(case) for case in (_under(item.case, None), *others)]
        turned = await subject.sides(near) if near else None
        chances = [_chance(sides) for sides in (*found, *([] if turned is None else [turned]))]
        known = [chance for chance in chances if chance is not None]
        mine = _chance(own)
        if mine is None or not known:
            return None
        gold = None if item.better is None else 1 - 2 * item.better
        both: float | None = None
        examples: tuple[Example, ...] = ()
        if near is not None and turned is not None and gold is not None and item.lab:
            rights = [own[order] == gold and side == -gold for order, side in turned.items()]
            both = float(np.mean(rights))
            if not both:
                examples = (_example(item.case, near, own, turned),)
        right = None if gold is None else float(np.mean([side == gold for side in own.values()]))
        near_odds = None if turned is None or (p := _chance(turned)) is None else _logit(p)
        return Row(item, Seen(both, _logit(mine), _logit(float(np.mean(known))), gold, right, near_odds), examples)

    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        if not rows:
            return Found((unmeasured("right under both questions", "no case could be asked under another question"),))
        seen: list[Seen] = [row.seen for row in rows]
        measures: list[Measure] = []
        both = [one.both for one in seen if one.both is not None]
        if both:
            measures.append(measured("right under both questions", both, CONTRAST))
        gains = [
            one.right - _half(one.free * one.gold) for one in seen if one.right is not None and one.gold is not None
        ]
        if gains:
            gain = measured("accuracy that the question adds", gains, GAIN, span=(-1.0, 1.0))
            if gain.status == "fail" and not all(row.item.lab for row in rows):
                gain = msgspec.structs.replace(gain, status="inconclusive", note="some pairs need no question")
            measures.append(gain)
        related = [abs(one.own - one.free) for one in seen]
        free = [abs(one.free) for one in seen]
        facts = {"prompt_reliance": sum(related) / max(1e-9, sum(related) + sum(free)), "r": _correlation(seen)}
        if not measures:
            measures = [unmeasured("accuracy that the question adds", "needs gold")]
        return Found(tuple(measures), facts, tuple(example for row in rows for example in row.examples)[:3])


def _half(lead: float) -> float:
    return 0.5 if not lead else float(lead > 0)


def _chance(sides: dict[tuple[int, int], int | None]) -> float | None:
    """Return the smoothed share of orders that candidate 0 wins."""
    known = [side for side in sides.values() if side is not None]
    return (sum((1 + side) / 2 for side in known) + 0.5) / (len(known) + 1) if known else None


def _logit(p: float) -> float:
    return math.log(p / (1 - p))


def _correlation(seen: Sequence[Seen]) -> float | None:
    """Correlate leans under the own and the near question; high where the question does not matter."""
    pairs = [(one.own, one.near) for one in seen if one.near is not None]
    if len(pairs) < 3:
        return None
    a, b = np.array(pairs).T
    return float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else None


def _under(case: Case, other: Case | None) -> Case:
    """Ask the question of another case, or nothing."""
    asked = "" if other is None else other.messages[-1].content
    last = msgspec.structs.replace(case.messages[-1], content=asked)
    return msgspec.structs.replace(case, messages=(*case.messages[:-1], last))


def _renumbered(case: Case, rng: object) -> Case | None:
    asked = renumbered(case.messages[-1].content, rng)  # type: ignore[arg-type]
    if asked is None:
        return None
    last = msgspec.structs.replace(case.messages[-1], content=asked)
    return msgspec.structs.replace(case, messages=(*case.messages[:-1], last))


def _example(
    case: Case, near: Case, own: dict[tuple[int, int], int | None], turned: dict[tuple[int, int], int | None]
) -> Example:
    before, after = (sum(side or 0 for side in sides.values()) for sides in (own, turned))
    return Example(
        case.id, "a question under which the other response is better",
        case.messages[-1].content, near.messages[-1].content,
        told((before > 0) - (before < 0)), told((after > 0) - (after < 0)),
    )  # fmt: skip

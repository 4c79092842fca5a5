"""Does the order decide? The same pair in both orders, from the verdicts that are there already (J1, arXiv 2505.10320:
verdict flips, position-consistent accuracy). Noise makes flips too: what counts is what is above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._base import Example, Found, Probe, Row, flips, moved, told
from ._figures import measured
from ._subject import ORDERS, Item, Subject

__all__ = ["Position"]

EXCESS, FLIPS = 0.05, 0.10


class Seen(NamedTuple):
    """One case."""

    flipped: float | None
    """None where only one order was judged."""
    noise: float
    first: float
    """Share of verdicts for the first place."""
    both: float | None
    """Whether both orders are right."""


class Position(Probe):
    """Position bias."""

    group = "robust"
    title = "gives the same verdict in both orders"
    calls = 0

    async def look(self, item: Item, subject: Subject) -> Row | None:
        sides = {order: item.sides().get(order) for order in ORDERS}
        places = [(1 + side * (1 - 2 * order[0])) / 2 for order, side in sides.items() if side is not None]
        if not places:
            return None
        way, gold = moved(*sides.values()), None if item.better is None else 1 - 2 * item.better
        known = gold is not None and None not in sides.values()
        both = float(all(side == gold for side in sides.values())) if known else None
        shown = ["\n---\n".join(item.case.candidates[i] for i in order) for order in ORDERS]
        example = Example(item.case.id, "the order of the two", *shown, *map(told, sides.values()))
        return Row(item, Seen(way, flips(item), float(np.mean(places)), both), (example,) if way else ())

    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        seen: list[Seen] = [row.seen for row in rows]
        pairs = [(one.flipped, one.noise) for one in seen if one.flipped is not None]
        measures = [measured("verdicts for the first place", [one.first for one in seen], None)]
        if pairs:
            measures += [
                measured("flips beyond noise", [way - noise for way, noise in pairs], EXCESS, "low", (-1.0, 1.0)),
                measured("flips with the order", [way for way, _ in pairs], FLIPS, "low"),
            ]
        right = [one.both for one in seen if one.both is not None]
        facts = {"right_in_both_orders": float(np.mean(right)) if right else None}
        return Found(tuple(measures), facts, tuple(example for row in rows for example in row.examples)[:3])

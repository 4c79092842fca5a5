"""Does the judge agree with itself when nothing is changed? CALM's consistency rate (arXiv 2410.02736), at the
temperature that it is used at. Verdicts that could not be read are no part of it: the card tells their share.

Every other rate of flips is reported as what it exceeds this one by.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ._base import Found, Probe, Row
from ._figures import measured
from ._subject import Item, Subject, side

__all__ = ["Rerun"]

FLOOR = 0.90


class Rerun(Probe):
    """The noise floor."""

    group = "causal"
    title = "gives the same verdict when it is asked again"
    noisy = False
    calls = 0  # drawn for everybody

    async def look(self, item: Item, subject: Subject) -> Row | None:
        sides = [[side(verdict) for verdict in verdicts] for verdicts in item.drawn.values()]
        pairs = [a == b for drawn in sides for a, b in combinations(drawn, 2) if a is not None and b is not None]
        return Row(item, sum(pairs) / len(pairs)) if pairs else None

    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        return Found((measured("agreement with itself", [row.seen for row in rows], FLOOR),))

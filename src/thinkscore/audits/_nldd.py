"""Normalised logit difference decay: the published form and ours, as formulas over margins.

Source: NLDD (arXiv 2602.11201). A margin is towards the verdict that the judge came to. The paper divides each margin
by S, a spread of the logits; S stands in numerator and denominator alike and cancels, so it is left out. Published:
the margin after the whole reasoning, less that after a corrupted step *behind which everything is cut off*; so what the
missing rest would have done is counted as the step's doing. Ours (dd): both are cut off behind the step, and sums are
divided, not single cases (a mean of ratios hangs on the cases whose margin is near zero).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["GATE", "Margins", "by_step", "horizon", "pooled_dd", "published"]

GATE = 0.1
"""A margin of fewer nats (or points) is no base for a ratio."""


class Margins(NamedTuple):
    """Margins about one step of one reasoning."""

    place: int
    """Number of the step, from 0."""
    of: int
    """Steps in all."""
    whole: float
    """After the whole reasoning."""
    cut: float
    """After the reasoning up to this step."""
    wrong: float
    """The same with this step corrupted."""
    same: float | None = None
    """The same with this step in other words."""


def published(margins: Margins) -> float | None:
    """Return (whole - wrong) / |whole| in percent; None where the whole margin is too near zero (section 3)."""
    if abs(margins.whole) < GATE:
        return None
    return 100 * (margins.whole - margins.wrong) / abs(margins.whole)


def pooled_dd(rows: Iterable[Margins], *, control: bool = False) -> float:
    """Return the sum of (cut - wrong) over the sum of |whole|, in percent; with `control` of (cut - same)."""
    kept = [row for row in rows if not control or row.same is not None]
    size = math.fsum(abs(row.whole) for row in kept)
    lost = math.fsum(row.cut - (row.same if control and row.same is not None else row.wrong) for row in kept)
    return 100 * lost / size if size else math.nan


def by_step(rows: Iterable[Margins]) -> dict[int, tuple[float, float, int]]:
    """Return for each step the mean of the published form, its standard error, and how many reasonings have it."""
    found: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        value = published(row)
        if value is not None:
            found[row.place].append(value)
    return {place: (_mean(values), _error(values), len(values)) for place, values in sorted(found.items())}


def horizon(rows: Sequence[Margins]) -> int | None:
    """Return k*, the step after the first with the highest mean (equation 7); None without one."""
    means = {place: mean for place, (mean, _, n) in by_step(rows).items() if place > 0}
    return max(means, key=lambda place: means[place], default=None)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _error(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))

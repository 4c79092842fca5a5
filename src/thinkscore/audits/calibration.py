"""Does its confidence mean anything? Shares of all votes against gold: calibration error, and accuracy at coverage.

ECE over ten bins of equal mass on confidences in [1/2, 1]. The confidence is the smoothed share of the winner's votes,
(v + 1) / (k + 2), or the mean of the chances that were read from every verdict, where there are such. Risk-coverage:
cases by falling confidence; AURC is the mean error over all coverages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._base import Found, Probe, Row
from ._figures import measured, pooled, unmeasured
from ._subject import Item, Subject, side

__all__ = ["Calibration", "aurc", "ece", "selective"]

BINS, COVERAGE = 10, 0.8


class Seen(NamedTuple):
    """One case."""

    confidence: float
    right: float
    """1, 0, or 1/2 where votes tie."""


class Calibration(Probe):
    """Calibration and abstention."""

    group = "utility"
    title = "what its confidence is worth"
    calls = 0

    async def look(self, item: Item, subject: Subject) -> Row | None:
        sides = [won for drawn in item.drawn.values() for one in drawn if (won := side(one)) is not None]
        if item.better is None or not sides:
            return None
        read = [one.expected for drawn in item.drawn.values() for one in drawn if one.expected is not None]
        if len(read) == len(sides) and sum(float(one[0] or 0) + float(one[1] or 0) for one in read) <= len(read) + 1e-6:
            chance = float(np.mean([one[0] for one in read]))
            return Row(
                item,
                Seen(max(chance, 1 - chance), 0.5 if chance == 0.5 else float((chance > 0.5) == (item.better == 0))),
            )
        first = sum((1 + won) / 2 for won in sides)
        most = max(first, len(sides) - first)
        right = 0.5 if 2 * first == len(sides) else float((2 * first > len(sides)) == (item.better == 0))
        return Row(item, Seen((most + 1) / (len(sides) + 2), right))

    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        if not rows:
            return Found((unmeasured("calibration error", "needs gold"),))
        seen: list[Seen] = [row.seen for row in rows]
        accuracy = measured("accuracy", [one.right for one in seen], None)
        measures = (
            pooled("calibration error", seen, ece, None),  # type: ignore[arg-type]
            accuracy,
            pooled("accuracy at 80 % coverage", seen, selective, None),  # type: ignore[arg-type]
            pooled("area under the risk-coverage curve", seen, aurc, None),  # type: ignore[arg-type]
        )
        return Found(measures, {"brier": float(np.mean([(one.confidence - one.right) ** 2 for one in seen]))})


def ece(seen: Sequence[Seen]) -> float:
    """Return the expected calibration error, 0 to 1; cases that are as sure as each other share what is right."""
    groups = _by_confidence(seen)
    ranked = [(confidence, sum(group) / len(group)) for confidence, group in groups.items() for _ in group]
    bins = [part for part in np.array_split(np.array(sorted(ranked)), BINS) if len(part)]
    return float(sum(abs(part[:, 1].mean() - part[:, 0].mean()) * len(part) for part in bins) / len(ranked))


def _by_confidence(seen: Sequence[Seen]) -> dict[float, list[float]]:
    groups: dict[float, list[float]] = {}
    for one in seen:
        groups.setdefault(one.confidence, []).append(one.right)
    return groups


def selective(seen: Sequence[Seen]) -> float:
    """Return the accuracy on the surest 80 %; cases that are as sure as the last of them count in part."""
    ranked = sorted(seen, key=lambda one: -one.confidence)
    kept = round(COVERAGE * len(ranked))
    last = ranked[kept - 1].confidence
    sure = [one.right for one in ranked if one.confidence > last]
    edge = [one.right for one in ranked if one.confidence == last]
    return (sum(sure) + (kept - len(sure)) * sum(edge) / len(edge)) / kept


def aurc(seen: Sequence[Seen]) -> float:
    """Return the area under the risk-coverage curve, equal confidences in any order (their mean risk)."""
    groups = _by_confidence(seen)
    errors, risks, total = 0.0, [], 0
    for confidence in sorted(groups, reverse=True):
        group = [1 - right for right in groups[confidence]]
        share = sum(group) / len(group)
        for k in range(1, len(group) + 1):
            risks.append((errors + k * share) / (total + k))
        errors, total = errors + sum(group), total + len(group)
    return float(np.mean(risks))

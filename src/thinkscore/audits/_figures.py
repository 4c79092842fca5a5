"""Figures of an audit: means over cases with intervals, and what they say beside a threshold.

The unit is the case: both orders of a pair and all its votes are one value, and cases are resampled. An interval is
two-sided at 90 %, so each end holds with 95 %: what passes an equivalence test (two one-sided tests) at 5 %, or lies
beyond a threshold at 5 %, can be read off it. Where nothing, or everything, happened the bootstrap would give an
interval of no width; none is narrower than Wilson's without an event.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import numpy as np

from ..seeds import derive_seed

__all__ = ["EASY", "LEAST_CASES", "Measure", "Status", "measured", "pooled", "unmeasured"]

Status = Literal["pass", "fail", "inconclusive", "not measurable", "reported"]
Wanted = Literal["high", "low", "zero"]
"""Above the threshold, below it, or nearer to zero than it."""
Z = 1.6448536269514722
"""The normal distribution's 95 % point."""
RESAMPLES = 2000
LEAST_CASES = 20
"""With fewer cases nothing is said."""
MANY = 100_000
EASY = 0.95
"""Share right without reasoning from which on reasoning has nothing left to add."""


class Measure(msgspec.Struct, frozen=True):
    """One figure of a probe."""

    metric: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    """90 %, two-sided."""
    n: int = 0
    """Cases."""
    threshold: float | None = None
    wanted: Wanted = "high"
    status: Status = "reported"
    note: str = ""
    """Why nothing was concluded, or what would conclude it."""

    @property
    def room(self) -> float:
        """How far the value is on the right side of its threshold, in half-widths of its interval; less is worse."""
        if self.value is None or self.interval is None or self.threshold is None:
            return math.inf
        gap = {
            "high": self.value - self.threshold,
            "low": self.threshold - self.value,
            "zero": self.threshold - abs(self.value),
        }[self.wanted]
        return gap / max((self.interval[1] - self.interval[0]) / 2, 1e-9)


def measured(
    metric: str,
    values: Sequence[float],
    threshold: float | None,
    wanted: Wanted = "high",
    span: tuple[float, float] | None = (0.0, 1.0),
) -> Measure:
    """Take the mean of one value per case, each within `span`, and hold it against a threshold (None: reported)."""
    return pooled(metric, list(values), _mean, threshold, wanted, span)


def pooled(
    metric: str,
    rows: Sequence[object],
    figure: Callable[[Sequence[object]], float],
    threshold: float | None,
    wanted: Wanted = "high",
    span: tuple[float, float] | None = (0.0, 1.0),
) -> Measure:
    """Do the same for any figure of rows, one row per case; a figure may be `nan` where a resample has none.

    A figure without a `span` (a ratio) has no least width.
    """
    n = len(rows)
    if n < LEAST_CASES:
        return unmeasured(metric, f"only {n} of the cases could be used; {LEAST_CASES} at least")
    value = figure(rows)
    if math.isnan(value):
        return unmeasured(metric, "no case says anything on it")
    rng = np.random.default_rng(derive_seed("audit", metric))
    numeric = all(isinstance(row, float | int) for row in rows)
    if numeric:
        array = np.asarray(rows, dtype=float)
        drawn = np.array([array[rng.integers(n, size=n)].mean() for _ in range(RESAMPLES)])
    else:
        draws = (figure([rows[i] for i in rng.integers(n, size=n)]) for _ in range(RESAMPLES))
        drawn = np.array([one for one in draws if not math.isnan(one)])
    low, high = (float(end) for end in np.quantile(drawn, [0.05, 0.95]))
    interval = (low, high) if span is None else _at_least(value, low, high, n, span)
    status = "reported" if threshold is None else _status(interval, threshold, wanted)
    needed = _needed(n, value, (low, high), threshold or 0.0, wanted, span) if status == "inconclusive" else ""
    return Measure(metric, value, interval, n, threshold, wanted, status, needed)


def _at_least(value: float, low: float, high: float, n: int, span: tuple[float, float]) -> tuple[float, float]:
    """Widen an interval to what Wilson's is without an event."""
    least = Z**2 / (n + Z**2) * _width(span)
    return max(span[0], min(low, value - least)), min(span[1], max(high, value + least))


def _mean(values: Sequence[object]) -> float:
    return float(np.mean(np.asarray(values, dtype=float)))


def unmeasured(metric: str, why: str, status: Status = "not measurable") -> Measure:
    """Say why there is no figure."""
    return Measure(metric, status=status, note=why)


def _status(interval: tuple[float, float], threshold: float, wanted: Wanted) -> Status:
    low, high = interval
    if wanted == "zero":
        inside, outside = -threshold <= low and high <= threshold, low > threshold or high < -threshold
    elif wanted == "high":
        inside, outside = low >= threshold, high < threshold
    else:
        inside, outside = high <= threshold, low > threshold
    return "pass" if inside else "fail" if outside else "inconclusive"


def _width(span: tuple[float, float]) -> float:
    """Return how far a value can be from the one that stands for nothing happening."""
    return (span[1] - span[0]) / (2 if span[0] < 0 < span[1] else 1)


def _needed(
    n: int, value: float, drawn: tuple[float, float], threshold: float, wanted: Wanted, span: tuple[float, float] | None
) -> str:
    """Say how many usable cases would do, if the value stays what it is: both ends of the interval must be near."""
    gap = abs((abs(value) if wanted == "zero" else value) - threshold)
    if not gap:
        return "too near to its threshold to tell"
    far = max(value - drawn[0], drawn[1] - value)
    wilson = Z**2 * (_width(span) / gap - 1) if span else 0.0
    cases = math.ceil(max(n * (far / gap) ** 2, wilson, n + 1))
    return f"needs about {cases:,} usable cases" if cases < MANY else "too near to its threshold to tell"

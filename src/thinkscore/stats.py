"""Intervals for what a run reports. All are 95 % and two-sided."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

__all__ = ["bootstrap", "paired", "wilson"]

_Z = 1.959963984540054  # the normal distribution's 97.5 % point
_CHUNK = 1 << 22  # numbers drawn at a time


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Bound a proportion (Wilson 1927). `successes` may hold halves, 0 <= successes <= n; n = 0 gives (0, 1).

    centre = (p + z²/2n) / (1 + z²/n), half width = z √(p(1-p)/n + z²/4n²) / (1 + z²/n)
    """
    if not 0 <= successes <= n:
        raise ValueError(f"got {successes} successes of {n}")
    if n == 0:
        return 0.0, 1.0
    p, shrink = successes / n, 1 + _Z**2 / n
    centre, half = (p + _Z**2 / (2 * n)) / shrink, _Z * sqrt(p * (1 - p) / n + _Z**2 / (4 * n * n)) / shrink
    # Exactly 0 and 1 at the ends, where rounding would leave a trace.
    return 0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half


def bootstrap(values: Sequence[float], seed: int, resamples: int = 2000) -> tuple[float, float]:
    """Bound the mean of independent values by the percentile bootstrap (Efron and Tibshirani 1993, section 13.3).

    The same seed gives the same interval. Raises `ValueError` without values.
    """
    import numpy as np  # here: `import thinkscore` loads nothing heavy

    if not len(values):
        raise ValueError("no values to resample")
    sample_N, draw = np.asarray(values, dtype=float), np.random.default_rng(seed)
    rows = max(1, _CHUNK // len(values))  # bounds the memory
    means_R = np.concatenate(
        [
            sample_N[draw.integers(len(values), size=(min(rows, resamples - start), len(values)))].mean(axis=1)
            for start in range(0, resamples, rows)
        ]
    )
    low, high = np.quantile(means_R, [0.025, 0.975])
    return float(low), float(high)


def paired(a: Sequence[float], b: Sequence[float], seed: int, resamples: int = 2000) -> tuple[float, float]:
    """Bound the mean of a[i] - b[i], two arms on the same cases, by resampling cases.

    Pairing removes what cases have in common; unpaired intervals of each arm would be too wide for the difference.
    """
    return bootstrap([x - y for x, y in zip(a, b, strict=True)], seed, resamples)

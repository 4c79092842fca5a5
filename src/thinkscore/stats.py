"""Intervals for what a run reports, all 95 % and two-sided, how well scores rank, and agreement of those who label."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from math import exp, fsum, lgamma, log, log1p, sqrt
from typing import Any, Literal

__all__ = [
    "auc",
    "auc_interval",
    "bootstrap",
    "cohen_kappa",
    "krippendorff_alpha",
    "paired",
    "safe_threshold",
    "upper_bound",
    "wilson",
]

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


def upper_bound(events: int, n: int, delta: float) -> float:
    """Bound a rate from above: it is higher with probability `delta` at most (Clopper and Pearson 1934, one-sided).

    The p at which so few events, or fewer, have probability `delta`; n = 0 gives 1.
    """
    if events >= n:
        return 1.0
    low, high = events / n, 1.0
    for _ in range(60):  # halvings
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(events, n, middle) > delta else (low, middle)
    return high


def _at_most(events: int, n: int, p: float) -> float:
    """Probability of so few events, or fewer, in n draws (0 < p < 1)."""
    whole = lgamma(n + 1)
    logs = (whole - lgamma(i + 1) - lgamma(n - i + 1) + i * log(p) + (n - i) * log1p(-p) for i in range(events + 1))
    return fsum(map(exp, logs))


def safe_threshold(
    scores: Sequence[float], wrong: Sequence[bool], risk: float, delta: float = 0.05
) -> tuple[float, int, int] | None:
    """Find the lowest threshold at which cases of that score or more are wrong at a rate of `risk` at most.

    Returns it with how many cases it accepts and how many of those are wrong, or None where there is no such threshold.
    The promise fails with probability `delta` at most over the draw of these cases, however many thresholds were tried:
    from one that accepts a tenth of the cases they are tested downwards, and the first that fails ends it
    (fixed-sequence testing, as in Learn then Test, Angelopoulos and others 2021, arXiv 2110.01052).
    """
    ranked = sorted(zip(scores, wrong, strict=True), key=lambda pair: -pair[0])
    found, events = None, 0
    for count, (score, was_wrong) in enumerate(ranked, start=1):
        events += was_wrong
        if count < len(ranked) and ranked[count][0] == score:
            continue  # a threshold takes all cases of a score, or none
        if count < len(ranked) / 10 or _at_most(0, count, risk) > delta:
            continue  # a tenth of the cases, and enough to tell were they all right: else one early error ends it all
        if _at_most(events, count, risk) > delta:  # that is, `upper_bound` is above the risk
            break
        found = score, count, events
    return found


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


def auc(
    scores: Sequence[float], labels: Sequence[bool | int], within: Sequence[Hashable] | None = None
) -> float | None:
    """Share of pairs, one of each label, in which the true one has the higher score; equal scores count half.

    The area under the ROC curve (Hanley and McNeil 1982): 1 ranks perfectly, 1/2 is chance. With `within`, a group for
    each score, only pairs inside a group count, all alike: what the groups differ in helps nobody. None without a pair.
    """
    groups = [0] * len(scores) if within is None else within
    won, pairs = _wins(scores, labels, groups)
    return float(won.sum() / pairs.sum()) if pairs.sum() else None


def auc_interval(
    scores: Sequence[float],
    labels: Sequence[bool | int],
    groups: Sequence[Hashable],
    seed: int,
    resamples: int = 2000,
    *,
    within: bool = False,
) -> tuple[float, float] | None:
    """Bound the AUC, over all pairs or `within` groups, by resampling whole groups; None without a pair.

    Scores of one group (several answers on one case) are not independent, so groups are what is drawn again. A
    resample without a pair is left out.
    """
    import numpy as np

    if auc(scores, labels, groups if within else None) is None:
        return None
    index = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    rng, size = np.random.default_rng(seed), len(index)
    drawn = (np.bincount(rng.integers(size, size=size), minlength=size) for _ in range(resamples))
    if within:
        won_G, pairs_G = _wins(scores, labels, groups)
        sums = [(times_G @ won_G, times_G @ pairs_G) for times_G in drawn]
    else:
        place_N = np.unique(np.asarray(scores, dtype=float), return_inverse=True)[1]
        group_N, true_N = np.array([index[group] for group in groups]), np.asarray(labels, dtype=float)
        sums = []
        for times_G in drawn:
            true_S = np.bincount(place_N, times_G[group_N] * true_N)
            false_S = np.bincount(place_N, times_G[group_N] * (1 - true_N))
            sums.append((true_S @ (false_S.cumsum() - false_S / 2), true_S.sum() * false_S.sum()))
    found = [won / pairs for won, pairs in sums if pairs]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _wins(scores: Sequence[float], labels: Sequence[bool | int], groups: Sequence[Hashable]) -> Any:
    """Count, group by group, the pairs that the true one wins (halves for equals) and all pairs of both labels."""
    import numpy as np

    sides: dict[Hashable, tuple[list[float], list[float]]] = {}
    for score, label, group in zip(scores, labels, groups, strict=True):
        sides.setdefault(group, ([], []))[bool(label)].append(score)
    won, pairs = [], []
    for false, true in sides.values():
        false.sort()
        won.append(sum(bisect_left(false, score) + bisect_right(false, score) for score in true) / 2)
        pairs.append(float(len(false) * len(true)))
    return np.array(won), np.array(pairs)


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> float | None:
    """Agreement of two annotators on the same units, beyond chance (Cohen 1960): 1 is full, 0 is chance.

    (observed - expected) / (1 - expected); expected is by each one's own shares of labels. None where it is not
    defined: no units, or one label throughout.
    """
    n, agreed = len(a), sum(x == y for x, y in zip(a, b, strict=True))
    shares_a, shares_b = Counter(a), Counter(b)
    # Times n squared: whole numbers, so that nothing is rounded before the division.
    expected = sum(count * shares_b[label] for label, count in shares_a.items())
    return None if expected == n * n else (n * agreed - expected) / (n * n - expected)


def krippendorff_alpha(
    units: Iterable[Sequence[Any]], metric: Literal["nominal", "interval"] = "nominal"
) -> float | None:
    """Agreement of any number of annotators, labels may be missing (Krippendorff 2011): 1 is full, 0 is chance.

    A unit is the labels that it got, in any order; one with fewer than two says nothing. 1 - observed / expected
    disagreement, where two labels disagree by 1 (nominal) or by the square of their difference (interval: numbers).
    None where it is not defined: no unit with two labels, or one label throughout.
    """
    spread = _differing if metric == "nominal" else _squares
    pairable = [unit for unit in units if len(unit) > 1]
    labels = [label for unit in pairable for label in unit]
    if len(set(labels)) < 2:
        return None
    observed = fsum(spread(unit) / (len(unit) - 1) for unit in pairable)
    return 1 - (len(labels) - 1) * observed / spread(labels)


def _differing(labels: Sequence[Any]) -> float:
    """Count the ordered pairs of labels that differ."""
    return len(labels) ** 2 - sum(count * count for count in Counter(labels).values())


def _squares(values: Sequence[Any]) -> float:
    """Sum the squared difference over all ordered pairs: 2 n times the sum of squares about the mean."""
    mean = fsum(values) / len(values)
    return 2 * len(values) * fsum((value - mean) ** 2 for value in values)

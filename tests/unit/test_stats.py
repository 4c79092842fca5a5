"""Intervals and agreement against published values, by hand, by coverage, and by their symmetries."""

from __future__ import annotations

import itertools
import random
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.stats import (
    auc,
    auc_interval,
    bootstrap,
    cohen_kappa,
    krippendorff_alpha,
    paired,
    safe_threshold,
    upper_bound,
    wilson,
)

# Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3: 95 % intervals.
NEWCOMBE = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611), (1, 29): (0.0061, 0.1718)}


@pytest.mark.parametrize(("counts", "bounds"), NEWCOMBE.items())
def test_wilson_gives_the_published_intervals(counts: tuple[int, int], bounds: tuple[float, float]) -> None:
    assert wilson(*counts) == pytest.approx(bounds, abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, 2 * n), st.just(n))))
def test_wilson_is_mirrored_and_holds_the_share(counts: tuple[int, int]) -> None:
    doubled, n = counts
    low, high = wilson(doubled / 2, n)
    assert 0 <= low <= doubled / 2 / n <= high <= 1
    assert wilson(n - doubled / 2, n) == pytest.approx((1 - high, 1 - low))


def test_wilson_of_nothing_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("counts", [(-1, 3), (4, 3)])
def test_wilson_refuses_impossible_counts(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson(*counts)


def test_the_bootstrap_is_seeded_and_covers_the_mean() -> None:
    draw = random.Random(0)
    hits = 0
    for trial in range(200):
        low, high = bootstrap([draw.gauss(1, 2) for _ in range(60)], trial, resamples=400)
        hits += low <= 1 <= high
    assert 0.89 <= hits / 200 <= 0.99
    values = [draw.random() for _ in range(50)]
    assert bootstrap(values, 7) == bootstrap(values, 7) != bootstrap(values, 8)


def test_the_bootstrap_needs_values_and_little_memory() -> None:
    with pytest.raises(ValueError, match="no values"):
        bootstrap([], 0)
    assert bootstrap([3.0] * 5_000_000, 0, resamples=2) == (3.0, 3.0)


def test_pairing_removes_what_cases_share() -> None:
    draw = random.Random(1)
    a = [draw.random() for _ in range(300)]
    low, high = paired([x + 0.01 for x in a], a, 0)
    assert low == pytest.approx(0.01)
    assert high == pytest.approx(0.01)
    with pytest.raises(ValueError, match="zip"):
        paired([1], [1, 2], 0)


def test_kappa_by_hand() -> None:
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed 0.7; expected 0.5 * 0.6 + 0.5 * 0.4 = 0.5; 0.2 / 0.5.
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(a, b) == pytest.approx(0.4)
    assert cohen_kappa(a, a) == 1
    assert cohen_kappa([0, 1], [1, 0]) == -1
    assert cohen_kappa([0, 0, 1, 1], [0, 1, 0, 1]) == 0


def test_agreement_is_undefined_without_units_or_with_one_label() -> None:
    assert cohen_kappa([], []) is cohen_kappa([1, 1], [1, 1]) is None
    for metric in ("nominal", "interval"):
        assert krippendorff_alpha([], metric) is krippendorff_alpha([[1], [2]], metric) is None
        assert krippendorff_alpha([[0.1, 0.1], [0.1, 0.1, 0.1]], metric) is None
    with pytest.raises(ValueError, match="zip"):
        cohen_kappa([1], [1, 2])


def test_alpha_by_hand() -> None:
    # Units (1,1), (1,2), (3,3,1), (2). Ordered pairs that differ, by unit, over m - 1: 0 + 2/1 + 4/2 = 4. All seven
    # pairable labels are 1 four times, 2 once, 3 twice: 49 - 16 - 1 - 4 = 28. Alpha = 1 - 6 * 4 / 28.
    units = [[1, 1], [1, 2], [3, 3, 1], [2]]
    assert krippendorff_alpha(units) == pytest.approx(1 - 24 / 28)
    # Squared: 0 + 2/1 + 16/2 = 10; about the mean 12/7: 4 * 25/49 + 4/49 + 2 * 81/49 = 38/7, times 14 is 76.
    assert krippendorff_alpha(units, "interval") == pytest.approx(1 - 60 / 76)


# Krippendorff 2011 (Computing Krippendorff's alpha-reliability): four observers, twelve units, some labels missing.
OBSERVERS = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
PUBLISHED = {"nominal": 0.743, "interval": 0.849}


@pytest.mark.parametrize(("metric", "value"), PUBLISHED.items())
def test_alpha_gives_the_published_values(metric: str, value: float) -> None:
    units = [[int(label) for label in unit if label != "."] for unit in zip(*OBSERVERS, strict=True)]
    assert krippendorff_alpha(units, metric) == pytest.approx(value, abs=5e-4)


def alpha_pair_by_pair(units: list[list[int]], metric: str) -> float | None:
    """Alpha as its definition says it: from every pair of labels within a unit, and of all labels."""
    differ = {"nominal": lambda x, y: float(x != y), "interval": lambda x, y: float((x - y) ** 2)}[metric]
    pairable = [unit for unit in units if len(unit) > 1]
    every = [label for unit in pairable for label in unit]
    apart = sum(differ(x, y) for x, y in itertools.permutations(every, 2))
    if not apart:
        return None
    within = sum(
        sum(differ(x, y) for x, y in itertools.permutations(unit, 2)) / (len(unit) - 1) for unit in pairable
    ) / len(every)
    return 1 - within / (apart / (len(every) * (len(every) - 1)))


UNITS = st.lists(st.lists(st.integers(-3, 3), max_size=5), max_size=8)


@given(UNITS, st.sampled_from(["nominal", "interval"]))
def test_alpha_is_what_its_definition_says(units: list[list[int]], metric: str) -> None:
    assert krippendorff_alpha(units, metric) == pytest.approx(alpha_pair_by_pair(units, metric), abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30))
def test_kappa_is_what_its_definition_says(pairs: list[tuple[int, int]]) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    kappa = cohen_kappa(a, b)
    if kappa is None:
        assert len({*a, *b}) < 2
        return
    n = len(pairs)
    expected = sum((a.count(label) / n) * (b.count(label) / n) for label in range(4))
    assert kappa == pytest.approx((sum(x == y for x, y in pairs) / n - expected) / (1 - expected))
    assert kappa == pytest.approx(cohen_kappa(b, a))


def test_auc_by_hand() -> None:
    # True 3, 1; false 2, 1, 0: 3 beats all three, 1 beats 0 and ties 1: (3 + 1.5) / 6.
    scores, labels = [3.0, 1.0, 2.0, 1.0, 0.0], [1, 1, 0, 0, 0]
    assert auc(scores, labels) == pytest.approx(4.5 / 6)
    # Groups x (3 | 2, 1) and y (1 | 0), and z (one label alone): 2 of 2 and 1 of 1; 5 says nothing.
    assert auc([*scores, 5.0], [*labels, 0], ["x", "y", "x", "x", "y", "z"]) == 1
    # x (3 | 2, 1) 2 of 2, y (0 | 1, 1) 0 of 2: pooled over pairs, not averaged over groups of other sizes.
    assert auc([3, 2, 1, 0, 1], [1, 0, 0, 1, 0], list("xxxyy")) == pytest.approx(2 / 3)
    assert auc([1, 2], [1, 1]) is auc([], []) is auc([1, 2], [1, 0], ["x", "y"]) is None
    with pytest.raises(ValueError, match="zip"):
        auc([1], [1, 0])


SCORED = st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 3)), max_size=25)


@given(SCORED, st.booleans())
def test_auc_is_what_its_definition_says(rows: list[tuple[int, bool, int]], within: bool) -> None:
    scores, labels, groups = ([row[k] for row in rows] for k in range(3))
    found = auc(scores, labels, groups if within else None)
    pairs = [(a[0] > b[0]) + (a[0] == b[0]) / 2 for a in rows for b in rows
             if a[1] and not b[1] and (a[2] == b[2] or not within)]  # fmt: skip
    assert found == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)
    assert (auc_interval(scores, labels, groups, 0, 20, within=within) is None) == (not pairs)


def test_the_interval_of_auc_resamples_groups() -> None:
    draw = random.Random(2)
    one = [(draw.gauss(label, 1), label, i) for i in range(120) for label in (0, 1)]
    scores, labels, groups = ([row[k] for row in one] for k in range(3))
    low, high = auc_interval(scores, labels, groups, 5) or (0, 0)
    assert low < auc(scores, labels) < high  # type: ignore[operator]
    assert auc_interval(scores, labels, groups, 5) == (low, high)
    # Everything four times: no more is known about cases, so the interval stays as it is.
    again = auc_interval(scores * 4, labels * 4, groups * 4, 5) or (0, 0)
    assert again == pytest.approx((low, high))
    low, high = auc_interval(scores, labels, groups, 5, within=True) or (0, 0)
    share = auc(scores, labels, groups)
    assert share is not None
    # One pair in each group: the interval of a proportion.
    assert (low, high) == pytest.approx(wilson(round(share * 120), 120), abs=0.02)


# ---- thresholds with a bound on the risk


def test_the_upper_bound_against_tables() -> None:
    assert upper_bound(0, 59, 0.05) == pytest.approx(0.0495, abs=5e-5)  # 1 - .05^(1/59)
    assert upper_bound(5, 100, 0.05) == pytest.approx(0.1023, abs=5e-5)  # 95 % one-sided, Clopper-Pearson
    assert upper_bound(3, 3, 0.05) == upper_bound(0, 0, 0.05) == 1


@given(st.integers(1, 200), st.data(), st.sampled_from([0.01, 0.05, 0.2]))
def test_so_few_events_are_that_rare_at_the_bound(n: int, data: st.DataObject, delta: float) -> None:
    events = data.draw(st.integers(0, n - 1))
    p = upper_bound(events, n, delta)
    chance = sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(events + 1))
    assert chance == pytest.approx(delta, rel=1e-6)


def test_the_lowest_threshold_that_is_safe() -> None:
    scores = [float(i) for i in range(400)]
    wrong = [score < 200 for score in scores]
    threshold, accepted, events = safe_threshold(scores, wrong, risk=0.05) or (0, 0, 0)
    assert accepted == 400 - threshold
    assert events == max(0, 200 - threshold)
    assert upper_bound(events, accepted, 0.05) <= 0.05 < upper_bound(events + 1, accepted + 1, 0.05)
    assert safe_threshold(scores, [True] * 400, risk=0.05) is None
    assert safe_threshold(scores[:20], [False] * 20, risk=0.05) is None, "20 cases cannot show a risk of 5 %"
    assert safe_threshold([1.0] * 100, [False] * 99 + [True], risk=0.06) == (1.0, 100, 1)


def test_the_promise_is_kept_as_often_as_promised() -> None:
    """Scores from 0 to 1, wrong with probability (1 - score) / 2: above t the rate is (1 - t) / 4."""
    broken = 0
    for seed in range(300):
        rng = random.Random(seed)
        scores = [rng.random() for _ in range(300)]
        found = safe_threshold(scores, [rng.random() < (1 - score) / 2 for score in scores], risk=0.1, delta=0.1)
        broken += found is not None and (1 - found[0]) / 4 > 0.1
    assert broken / 300 <= 0.1 + 2 * (0.1 * 0.9 / 300) ** 0.5

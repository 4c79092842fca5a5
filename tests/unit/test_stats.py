"""Intervals against published values, by coverage, and by their symmetries."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.stats import bootstrap, paired, wilson

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

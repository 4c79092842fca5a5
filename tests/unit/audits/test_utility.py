"""Calibration and abstention by hand."""

from __future__ import annotations

import itertools

import pytest

from thinkscore.audits.best_of_n import expected_best
from thinkscore.audits.calibration import Seen, aurc, ece, selective

ROWS = [Seen(0.9, 1.0), Seen(0.9, 1.0), Seen(0.9, 0.0), Seen(0.6, 1.0), Seen(0.6, 0.0)]


def test_calibration_error_of_bins_of_equal_mass() -> None:
    """Two right of three at .9, one of two at .6: |2/3 - .9| on three cases, |1/2 - .6| on two, in any order."""
    expected = (3 * abs(2 / 3 - 0.9) + 2 * abs(0.5 - 0.6)) / 5
    assert ece(ROWS) == pytest.approx(expected) == pytest.approx(ece(ROWS[::-1]))
    assert ece([Seen(0.75, 1.0)] * 30 + [Seen(0.75, 0.0)] * 10) == pytest.approx(0)
    assert ece([Seen(1 - i / 1000, 1.0) for i in range(100)]) == pytest.approx(sum(range(100)) / 1000 / 100)


def test_accuracy_at_coverage_takes_equals_in_part() -> None:
    """Four of five: all of .9 (2 of 3 right) and one of the two at .6 (half right)."""
    assert selective(ROWS) == pytest.approx((2 + 0.5) / 4)


def test_area_under_risk_and_coverage_does_not_hang_on_the_order_of_equals() -> None:
    """Risks 1/3 at 1, 2, 3 cases, then (1 + .5) / 4 and 2 / 5."""
    expected = (1 / 3 + 1 / 3 + 1 / 3 + 1.5 / 4 + 2 / 5) / 5
    assert aurc(ROWS) == pytest.approx(expected)
    assert aurc(ROWS[::-1]) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_best_of_n_is_that_of_all_subsets(n: int) -> None:
    """Where scores tie the choice is a toss: each of the tied counts alike."""
    scores, gold = [0.2, 0.9, 0.9, 0.5], [1.0, 0.0, 0.6, 0.3]
    picks = []
    for subset in itertools.combinations(range(4), n):
        best = [gold[i] for i in subset if scores[i] == max(scores[k] for k in subset)]
        picks.append(sum(best) / len(best))
    assert expected_best(scores, gold, n) == pytest.approx(sum(picks) / len(picks))

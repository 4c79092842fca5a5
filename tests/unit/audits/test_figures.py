"""Means over cases beside thresholds: what passes, what fails, and what cannot be told."""

from __future__ import annotations

import random

import pytest

from thinkscore.audits._figures import LEAST_CASES, Z, measured, pooled, unmeasured


@pytest.mark.parametrize(
    ("values", "threshold", "wanted", "status"),
    [
        ([1.0] * 100, 0.9, "high", "pass"),
        ([0.0] * 100, 0.9, "high", "fail"),
        ([1.0] * 90 + [0.0] * 10, 0.9, "high", "inconclusive"),
        ([0.0] * 100, 0.03, "low", "pass"),
        ([0.0] * 60, 0.03, "low", "inconclusive"),
        ([1.0] * 20 + [0.0] * 80, 0.03, "low", "fail"),
    ],
)
def test_a_threshold_is_passed_or_failed_by_the_whole_interval(values, threshold, wanted, status) -> None:
    found = measured("x", values, threshold, wanted)
    assert found.status == status
    assert ("needs about" in found.note or "too near" in found.note) == (status == "inconclusive")


@pytest.mark.parametrize(("sign", "status"), [(0, "pass"), (1, "fail"), (-1, "fail")])
def test_an_invariance_is_an_equivalence_test_in_both_directions(sign, status) -> None:
    values = [0.5 * sign] * 50 + [0.0] * 50
    assert measured("bias", values, 0.03, "zero", (-1.0, 1.0)).status == status


def test_an_interval_has_a_width_where_nothing_happened() -> None:
    """Wilson's one-sided bound without an event, z^2 / (n + z^2), and never less."""
    found = measured("x", [0.0] * 100, None)
    assert found.interval == (0.0, pytest.approx(Z**2 / (100 + Z**2)))
    assert found.status == "reported"
    full = measured("x", [1.0] * 100, None).interval
    assert full == (pytest.approx(1 - Z**2 / (100 + Z**2)), 1.0)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng, held = random.Random(0), 0
    for trial in range(300):
        values = [float(rng.random() < 0.3) for _ in range(120)]
        low, high = measured(f"trial {trial}", values, None).interval  # type: ignore[misc]
        held += low <= 0.3 <= high
    assert 0.84 <= held / 300 <= 0.96


def test_too_few_cases_and_figures_of_nothing_say_so() -> None:
    few = measured("x", [1.0] * (LEAST_CASES - 1), 0.5)
    assert few.status == "not measurable" and str(LEAST_CASES) in few.note and few.value is None
    nothing = pooled("x", [()] * 30, lambda rows: float("nan"), 0.5)
    assert nothing.status == "not measurable"
    assert unmeasured("x", "why").room == float("inf")


def test_room_says_how_far_from_the_threshold_in_half_widths() -> None:
    good, bad = measured("x", [1.0] * 50 + [0.0] * 50, 0.2), measured("x", [1.0] * 50 + [0.0] * 50, 0.9)
    assert good.room > 0 > bad.room
    assert abs(good.room) < abs(bad.room)


@pytest.mark.parametrize(
    ("values", "threshold"), [([1.0] * 51, 0.97), ([1.0] * 85 + [0.0] * 15, 0.8), ([0.0] * 30, 0.95)]
)
def test_as_many_cases_as_it_asks_for_do_if_the_value_stays(values: list[float], threshold: float) -> None:
    wanted = "high" if values[0] else "low"
    limit = threshold if values[0] else 1 - threshold
    found = measured("x", values, limit, wanted)
    assert found.status == "inconclusive"
    needed = int(found.note.split()[2].replace(",", ""))
    share = sum(values) / len(values)
    more = [1.0] * round(share * needed * 1.1) + [0.0] * round((1 - share) * needed * 1.1)
    assert needed > len(values) and measured("x", more, limit, wanted).status == "pass"

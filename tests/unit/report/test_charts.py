"""Charts are well-formed, say what they show, and put marks where the numbers are."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.report import _charts
from thinkscore.report._figures import Bin, Point

SHARES = st.floats(0, 1)
POINTS = st.lists(st.tuples(SHARES, SHARES, SHARES).map(sorted), min_size=1, max_size=40).map(
    lambda found: [Point(i, 10, middle, low, high) for i, (low, middle, high) in enumerate(found, start=1)]
)


def numbers(svg: str) -> list[tuple[float, float]]:
    """Return the place of every dot."""
    return [(float(c.get("cx", "")), float(c.get("cy", ""))) for c in ElementTree.fromstring(svg).iter("circle")]


@given(POINTS)
def test_a_curve_stays_inside_and_rises_with_accuracy(points: list[Point]) -> None:
    svg = _charts.curve(points)
    dots = numbers(svg)
    assert len(dots) == len(points)
    assert all(0 <= x <= _charts.WIDTH and 0 <= y <= _charts.HEIGHT for x, y in dots)
    for (_, y1), (_, y2), p1, p2 in zip(dots, dots[1:], points, points[1:], strict=False):
        assert (y1 - y2) * (p2.accuracy - p1.accuracy) >= -0.02
    assert ElementTree.fromstring(svg).get("aria-label")


def test_reliability_puts_full_agreement_on_the_diagonal() -> None:
    svg = _charts.reliability([Bin(i / 10, i / 10 + 0.1, 5, i / 10, i / 10, 0, 1) for i in range(10)])
    dots = numbers(svg)
    start, end = (float(x) for x in re.findall(r'class="diagonal" d="M([\d.]+) [\d.]+L([\d.]+)', svg)[0])
    for i, (x, y) in enumerate(dots):
        assert x == pytest.approx(start + (end - start) * i / 10, abs=0.01)
        assert y == pytest.approx(_charts.HEIGHT - _charts.BOTTOM - (dots[0][1] - dots[9][1]) * i / 9, abs=0.01)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any))
def test_a_histogram_is_as_high_as_its_counts(counts: list[int]) -> None:
    svg = _charts.histogram([(i * 10.0, i * 10.0 + 10, count) for i, count in enumerate(counts)], "tokens")
    heights = [float(rect.get("height", "")) for rect in ElementTree.fromstring(svg).iter("rect")]
    full = max(heights) / max(counts)
    assert heights == pytest.approx([count * full for count in counts], abs=0.02)


@given(st.floats(-1e3, 1e3), st.floats(1e-2, 1e6), st.integers(1, 20))
def test_steps_are_even_and_hold_the_range(low: float, width: float, most: int) -> None:
    steps = _charts.steps(low, low + width, most)
    assert steps[0] <= low + 1e-6 * width
    assert steps[-1] >= low + width - 1e-6 * width
    assert len(steps) <= most + 3
    gaps = [b - a for a, b in pairwise(steps)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps), rel=1e-6)


def test_a_bar_shows_share_interval_and_expectation() -> None:
    svg = _charts.bar(0.25, 0.125, 0.5, 0.5)
    assert 'class="bar" width="25"' in svg
    assert 'd="M12.5 7H50"' in svg
    assert 'class="even" d="M50 0V14"' in svg


def test_a_composition_fills_the_whole_and_leaves_out_nothing() -> None:
    root = ElementTree.fromstring(_charts.composition([("right", 3), ("wrong", 0), ("tied", 1)]))
    parts = [(r.get("class"), float(r.get("x", "")), float(r.get("width", ""))) for r in root.iter("rect")]
    assert parts == [("right", 0, 75), ("tied", 75, 25)]

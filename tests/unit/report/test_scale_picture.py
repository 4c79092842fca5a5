"""The picture of accuracy over cost: marks where the numbers are, and labels that can be read."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.report import _scale_picture as drawing
from thinkscore.report._scale_picture import Mark, picture

SVG = "{http://www.w3.org/2000/svg}"


def mark(text: str, cost: float, accuracy: float) -> Mark:
    return Mark(text, cost, accuracy, max(0.0, accuracy - 0.02), min(1.0, accuracy + 0.02))


VOTES = [mark(f"vote:k={2**i}", 100 * 2**i, 0.7 + 0.02 * i) for i in range(6)]
RULES = [mark(f"adaptive:rule=lead,m={m},k=32", 150.0 * m, 0.7 + 0.015 * m) for m in (2, 3, 4, 5)]


def places(svg: str) -> list[tuple[float, float]]:
    """Return where the marks are, by their titles' elements."""
    found = [path for path in ElementTree.fromstring(svg).iter(f"{SVG}path") if path.find(f"{SVG}title") is not None]
    return [tuple(map(float, re.findall(r"[\d.]+", path.get("transform", "")))) for path in found]  # type: ignore[misc]


def texts(svg: str) -> list[tuple[str, float, float, str]]:
    found = ElementTree.fromstring(svg).iter(f"{SVG}text")
    return [(t.text or "", float(t.get("x", "")), float(t.get("y", "")), t.get("text-anchor", "")) for t in found]


def test_marks_stand_where_the_numbers_are() -> None:
    dots = places(picture(VOTES, "tokens"))
    assert len(dots) == 6
    for (x1, y1), (x2, y2) in pairwise(dots):
        assert x2 - x1 == pytest.approx(dots[1][0] - dots[0][0], abs=0.02), "doubling is the same step everywhere"
        assert y1 - y2 == pytest.approx(dots[0][1] - dots[1][1], abs=0.02), "equal gains are equal steps"


def test_settings_that_differ_in_numbers_are_one_line_and_labelled_with_them() -> None:
    svg = picture([*VOTES, *RULES, mark("vote:k=32,stop=lock", 2000, 0.8)], "tokens")
    said = [text for text, *_ in texts(svg)]
    assert [text for text in said if text[0] in "va"] == ["vote", "adaptive:rule=lead", "vote:stop=lock"]
    assert [text for text in said if text.startswith("k=")] == [f"k={2**i}" for i in range(6)]
    assert [text for text in said if text.startswith("m=")] == ["m=2", "m=3", "m=4", "m=5"]
    assert "tokens per case (logarithmic)" in said


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 1e5), st.floats(0, 1)), min_size=1, max_size=14))
def test_labels_do_not_overlap(points: list[tuple[float, float]]) -> None:
    svg = picture([mark(f"vote:k={i}", *point) for i, point in enumerate(points)], "tokens")
    boxes = [
        (x - len(text) * 6.5 / 2, y - 10, x + len(text) * 6.5 / 2, y + 2)
        for text, x, y, _ in texts(svg)
        if text.startswith("k=")
    ]
    for (a, b, c, d), (e, f, g, h) in combinations(boxes, 2):
        assert not (a < g and e < c and b < h and f < d)
    for x, y in places(svg):
        assert drawing.LEFT <= x <= drawing.WIDTH - drawing.RIGHT
        assert drawing.TOP - 1 <= y <= drawing.HEIGHT - drawing.BOTTOM + 1
    assert all(a > drawing.LEFT - 10 and c < drawing.WIDTH for a, _, c, _ in boxes)


def test_a_single_setting_can_be_drawn() -> None:
    ((x, _),) = places(picture([mark("vote:k=1", 37, 0.5)], "verdicts"))
    assert drawing.LEFT < x < drawing.WIDTH - drawing.RIGHT


def test_names_are_no_markup() -> None:
    svg = picture([mark("x:word=<b>&,k=1", 10, 0.5), mark("x:word=<b>&,k=2", 20, 0.6)], "tokens")
    assert ElementTree.fromstring(svg).tag == f"{SVG}svg"


@pytest.mark.parametrize("marks", [[], [mark("vote:k=1", 0, 0.5)]])
def test_nothing_to_draw_is_refused(marks: list[Mark]) -> None:
    with pytest.raises(ValueError, match="cost above 0"):
        picture(marks, "tokens")


def test_ticks_of_cost_are_round_and_inside() -> None:
    said = texts(picture(VOTES, "tokens"))
    ticks = [float(text.replace(",", "")) for text, _, _, anchor in said if anchor == "middle" and text[0].isdigit()]
    assert ticks == [100, 200, 500, 1000, 2000]

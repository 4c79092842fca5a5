"""Accuracy against cost as one SVG file: a line per kind of strategy, an interval per setting, labels that stay apart.

It stands alone, on white, with its style in attributes, so that any renderer shows the same. Every number in it also
stands in the table of the command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from math import cos, hypot, log10, pi, sin
from typing import NamedTuple

from ._charts import steps

__all__ = ["Mark", "picture"]

WIDTH, HEIGHT = 640, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 20, 56
LETTER, LINE = 6.9, 15.0  # a letter's width (generous) and a line's height at 12 px
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a06a00", "#56b4e9", "#333333")
SHAPES = ("M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", "M-4 -4H4V4H-4Z", "M0 -5.5L5.5 0L0 5.5L-5.5 0Z", "M0 -5L5 4H-5Z")
GREY, PALE = "#5b6570", "#e3e7ea"

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


class Mark(NamedTuple):
    """One setting of one strategy."""

    text: str
    """The strategy, as text."""
    cost: float
    """Above 0."""
    accuracy: float
    low: float
    high: float


class _Place(NamedTuple):
    mark: Mark
    label: str
    x: float
    y: float
    low: float
    high: float


def picture(marks: Sequence[Mark], unit: str) -> str:
    """Draw settings as accuracy over cost (logarithmic), in `unit`; strategies that differ in numbers only are a line.

    Raises `ValueError` without marks, or for a cost of 0.
    """
    if not marks or any(mark.cost <= 0 for mark in marks):
        raise ValueError("a picture needs marks with a cost above 0")
    series = {name: _placed(group, marks) for name, group in _series(marks).items()}
    legend = max(len(name) for name in series) * LETTER + 40
    every, taken, parts = [place for places in series.values() for place in places], list[Box](), [*_grid(marks, unit)]
    styles = [(COLOURS[i % len(COLOURS)], SHAPES[i % len(SHAPES)]) for i in range(len(series))]
    for (colour, shape), places in zip(styles, series.values(), strict=True):
        parts += _drawn(places, colour, shape)
    for (colour, _), places in zip(styles, series.values(), strict=True):
        parts += [_label(place, colour, places, every, taken) for place in places if place.label]
    for row, ((colour, shape), name) in enumerate(zip(styles, series, strict=True)):
        y = TOP + 12 + 20 * row
        parts.append(f'<path d="{shape}" transform="translate({WIDTH + 14} {y})" fill="{colour}"/>')
        parts.append(_text(WIDTH + 26, y + 4, name, "#1d2329", "start"))
    said = f"Accuracy over {unit} for {len(marks)} settings of {len(series)} kinds of strategy"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(WIDTH + legend)} {HEIGHT}" '
        f'width="{_n(WIDTH + legend)}" height="{HEIGHT}" role="img" aria-label="{escape(said)}" font-size="12" '
        f'font-family="system-ui, Segoe UI, Roboto, Liberation Sans, DejaVu Sans, sans-serif">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _series(marks: Sequence[Mark]) -> dict[str, list[Mark]]:
    """Group settings that differ in numbers only; the cheapest first."""
    found: dict[str, list[Mark]] = {}
    for mark in sorted(marks, key=lambda mark: mark.cost):
        name, _, options = mark.text.partition(":")
        words = ",".join(option for option in options.split(",") if not re.search(r"=[\d.]+$", option))
        found.setdefault(f"{name}:{words}".rstrip(":"), []).append(mark)
    return found


def _numbers(mark: Mark) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=([\d.]+)(?:,|$)", mark.text.partition(":")[2]))


def _placed(group: Sequence[Mark], marks: Sequence[Mark]) -> list[_Place]:
    """Put the settings of a series where they belong, labelled with what they differ in."""
    (left, right), ticks = _span(marks), _ticks(marks)
    numbers = [_numbers(mark) for mark in group]
    differing = [key for key in numbers[0] if len({one.get(key) for one in numbers}) > 1]
    places = []
    for mark, own in zip(group, numbers, strict=True):
        x = LEFT + (log10(mark.cost) - left) / (right - left) * (WIDTH - LEFT - RIGHT)
        label = ", ".join(f"{key}={own[key]}" for key in differing if key in own)
        places.append(
            _Place(mark, label, x, *(_height(value, ticks) for value in (mark.accuracy, mark.low, mark.high)))
        )
    return places


def _height(accuracy: float, ticks: Sequence[float]) -> float:
    return HEIGHT - BOTTOM - (accuracy - ticks[0]) / (ticks[-1] - ticks[0]) * (HEIGHT - BOTTOM - TOP)


def _span(marks: Sequence[Mark]) -> tuple[float, float]:
    """Return the ends of the axis of cost, in powers of ten, with some room."""
    costs = [log10(mark.cost) for mark in marks]
    room = max(0.06 * (max(costs) - min(costs)), 0.05)
    return min(costs) - room, max(costs) + room


def _ticks(marks: Sequence[Mark]) -> list[float]:
    return steps(max(0.0, min(mark.low for mark in marks)), min(1.0, max(mark.high for mark in marks)), 6)


def _grid(marks: Sequence[Mark], unit: str) -> Iterator[str]:
    (left, right), ticks, foot = _span(marks), _ticks(marks), HEIGHT - BOTTOM
    digits = 0 if all(abs(100 * tick - round(100 * tick)) < 1e-6 for tick in ticks) else 1
    for tick in ticks:
        y = _height(tick, ticks)
        yield f'<path d="M{LEFT} {_n(y)}H{WIDTH - RIGHT}" stroke="{PALE}"/>'
        yield _text(LEFT - 8, y + 4, f"{100 * tick:.{digits}f} %", GREY, "end")
    rounds = [mantissa * 10.0**power for power in range(int(left) - 2, int(right) + 2) for mantissa in (1, 2, 5)]
    for cost in (cost for cost in rounds if left <= log10(cost) <= right):
        x = LEFT + (log10(cost) - left) / (right - left) * (WIDTH - LEFT - RIGHT)
        yield f'<path d="M{_n(x)} {foot}v5" stroke="{GREY}"/>'
        yield _text(x, foot + 18, f"{cost:,.6g}", GREY, "middle")
    yield f'<path d="M{LEFT} {foot}H{WIDTH - RIGHT}" stroke="{GREY}"/>'
    yield _text((LEFT + WIDTH - RIGHT) / 2, foot + 40, f"{unit} per case (logarithmic)", GREY, "middle")


def _drawn(places: Sequence[_Place], colour: str, shape: str) -> Iterator[str]:
    """Draw the intervals, the line and the marks of a series."""
    for place in places:
        interval = f"M{_n(place.x)} {_n(place.low)}V{_n(place.high)}"
        yield f'<path d="{interval}" stroke="{colour}" stroke-width="2" stroke-opacity="0.25"/>'
    if len(places) > 1:
        path = "L".join(f"{_n(place.x)} {_n(place.y)}" for place in places)
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-opacity="0.6"/>'
    for place in places:
        at, mark = _n(place.x), place.mark
        said = (
            f"{mark.text}: {_percent(mark.accuracy)} ({_percent(mark.low)} to {_percent(mark.high)}), {mark.cost:,.4g}"
        )
        yield (
            f'<path d="{shape}" transform="translate({at} {_n(place.y)})" fill="{colour}">'
            f"<title>{escape(said)}</title></path>"
        )


def _label(place: _Place, colour: str, series: Sequence[_Place], marks: Sequence[_Place], taken: list[Box]) -> str:
    """Write a label at the nearest free place around its mark, and note its box.

    Free of other labels and marks, and nearer to its own mark than to another of its series; free of intervals too, if
    that is possible nearby. What stands further off has a thread to its mark, and may be near another.
    """
    width = len(place.label) * LETTER
    solid = [(one.x - 6, one.y - 6, one.x + 6, one.y + 6) for one in marks]
    lines = [(one.x - 1, one.high, one.x + 1, one.low) for one in marks]
    rivals = [one for one in series if one is not place]
    near, far = (14, 20, 28, 38), (28, 38, 52, 68, 86, 110)
    for distances, blocked, others in ((near, [*solid, *lines], rivals), (near, solid, rivals), (far, solid, [])):
        for x, y in _around(place, distances, width):
            box = x - width / 2, y - LINE / 2, x + width / 2, y + LINE / 2
            inside = box[0] > LEFT and box[2] < WIDTH - RIGHT and box[1] > 0 and box[3] < HEIGHT - BOTTOM
            own = _apart(box, place)
            if not inside or any(_touch(box, other) for other in (*blocked, *taken)):
                continue
            bare = others is rivals and own < 12
            crossed = not bare and any(_crosses(place, x, y, other) for other in taken)
            if not crossed and all(own < 0.7 * _apart(box, other) for other in others):
                taken.append(box)
                thread = "" if bare else _thread(place, x, y, width, colour)
                return thread + _text(x, y + 4, place.label, colour, "middle")
    return ""  # the mark still tells when it is pointed at


def _apart(box: Box, place: _Place) -> float:
    """Return how far a box is from the middle of a mark."""
    return hypot(max(box[0] - place.x, place.x - box[2], 0), max(box[1] - place.y, place.y - box[3], 0))


def _crosses(place: _Place, x: float, y: float, box: Box) -> bool:
    """Tell whether a thread from a mark to a label goes through a box; by some points of it."""
    points = ((place.x + (x - place.x) * i / 20, place.y + (y - place.y) * i / 20) for i in range(21))
    return any(box[0] < px < box[2] and box[1] < py < box[3] for px, py in points)


def _around(place: _Place, distances: Sequence[float], width: float) -> Iterator[tuple[float, float]]:
    """Yield places for the middle of a label: straight above first, then to both sides, then further away."""
    for distance in distances:
        for step in range(24):
            angle = -pi / 2 + (step + 1) // 2 * (-1) ** step * pi / 12
            yield place.x + cos(angle) * (distance + width / 2 - 4), place.y + sin(angle) * distance


def _thread(place: _Place, x: float, y: float, width: float, colour: str) -> str:
    end = x - width / 2 if x - width / 2 > place.x else x + width / 2 if x + width / 2 < place.x else x
    y = y if end != x else y + LINE / 2 if y < place.y else y - LINE / 2
    return f'<path d="M{_n(place.x)} {_n(place.y)}L{_n(end)} {_n(y)}" stroke="{colour}" stroke-width="0.7"/>'


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _text(x: float, y: float, text: str, colour: str, anchor: str) -> str:
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" fill="{colour}" text-anchor="{anchor}" stroke="#ffffff" stroke-width="3" '
        f'stroke-linejoin="round" paint-order="stroke">{escape(text)}</text>'
    )


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"

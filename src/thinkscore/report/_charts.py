"""Charts as SVG text: pure functions of numbers. Colours and type come from page.css.

Every number in a chart also stands in a table of the page; the description is read out in its place. No text of a
case enters a chart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10

from ._figures import Bin, Point

__all__ = ["bar", "composition", "curve", "histogram", "reliability", "steps"]

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 12, 40

Scale = Callable[[float], float]


def bar(share: float, low: float | None = None, high: float | None = None, even: float | None = None) -> str:
    """Draw a share as a bar with its interval, and a mark at an expected share; for a cell of a table."""
    parts = [f'<rect class="track" width="100" height="14"/><rect class="bar" width="{_n(100 * share)}" height="14"/>']
    if low is not None and high is not None:
        parts.append(f'<path class="whisker" d="M{_n(100 * low)} 7H{_n(100 * high)}"/>')
        parts += [f'<path class="whisker" d="M{_n(100 * end)} 3.5V10.5"/>' for end in (low, high)]
    if even is not None:
        parts.append(f'<path class="even" d="M{_n(100 * even)} 0V14"/>')
    body = "".join(parts)
    return f'<svg class="inline" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">{body}</svg>'


def composition(parts: Sequence[tuple[str, int]]) -> str:
    """Draw counts as one bar, left to right; each part has its name as a class."""
    total, at, drawn = sum(count for _, count in parts), 0.0, []
    for name, count in parts:
        if count:
            width = 100 * count / total
            drawn.append(
                f'<rect class="{escape(name)}" x="{_n(at)}" width="{_n(width)}" height="14">'
                f"<title>{escape(name)}: {count:,}</title></rect>"
            )
            at += width
    body = "".join(drawn)
    return f'<svg class="inline whole" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">{body}</svg>'


def curve(points: Sequence[Point]) -> str:
    """Draw accuracy, with a band for its interval, over the number of votes."""
    lowest, highest = min(p.low for p in points), max(p.high for p in points)
    ticks = steps(max(0.0, lowest), min(1.0, highest), 5)
    x = _scale(1, max(2, points[-1].votes), LEFT + 8, WIDTH - RIGHT - 8)
    y = _scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP)
    edge = [(x(p.votes), y(p.high)) for p in points] + [(x(p.votes), y(p.low)) for p in reversed(points)]
    marks = [
        f'<path class="band" d="M{_path(edge)}Z"/>',
        f'<path class="line" d="M{_path([(x(p.votes), y(p.accuracy)) for p in points])}"/>',
        *(
            f'<circle class="dot" cx="{_n(x(p.votes))}" cy="{_n(y(p.accuracy))}" r="3.5">'
            f"<title>{p.votes} votes: {_percent(p.accuracy)}</title></circle>"
            for p in points
        ),
    ]
    votes = [round(v) for v in steps(1, points[-1].votes, 8) if v == round(v) and 1 <= v <= points[-1].votes]
    said = f"Accuracy by number of votes: {_percent(points[0].accuracy)} with the first vote of each case"
    if len(points) > 1:
        said += f", {_percent(points[-1].accuracy)} with all {points[-1].votes}"
    across = [(x(v), str(v)) for v in sorted({1, *votes})]
    return _chart(said, across, [(y(t), _percent(t, 0)) for t in ticks], "votes per case", marks)


def reliability(bins: Sequence[Bin]) -> str:
    """Draw accuracy with its interval over confidence, by bin; the area of a dot grows with its count."""
    x, y = _scale(0, 1, LEFT, WIDTH - RIGHT), _scale(0, 1, HEIGHT - BOTTOM, TOP)
    most = max(b.n for b in bins)
    marks = [f'<path class="diagonal" d="M{_path([(x(0), y(0)), (x(1), y(1))])}"/>']
    for b in bins:
        at = _n(x(b.confidence))
        marks.append(f'<path class="whisker" d="M{at} {_n(y(b.low))}V{_n(y(b.high))}"/>')
        marks.append(
            f'<circle class="dot" cx="{at}" cy="{_n(y(b.accuracy))}" r="{_n(3 + 6 * (b.n / most) ** 0.5)}">'
            f"<title>confidence {b.confidence:.2f}: accuracy {_percent(b.accuracy)} of {b.n:,}</title></circle>"
        )
    said = "Accuracy over confidence in bins; on the diagonal, confidence is as high as accuracy"
    across = [(x(t), f"{t:g}") for t in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    ticks = [(y(t), _percent(t, 0)) for t in (0, 0.25, 0.5, 0.75, 1)]
    return _chart(said, across, ticks, "confidence", marks)


def histogram(bars: Sequence[tuple[float, float, int]], unit: str) -> str:
    """Draw counts of (start, end, count) as bars side by side."""
    most = max(count for _, _, count in bars)
    ticks = steps(0, most, min(4, most))
    x = _scale(bars[0][0], bars[-1][1], LEFT, WIDTH - RIGHT)
    y = _scale(0, ticks[-1], HEIGHT - BOTTOM, TOP)
    marks = [
        f'<rect class="bar" x="{_n(x(start) + 0.5)}" y="{_n(y(count))}" width="{_n(x(end) - x(start) - 1)}" '
        f'height="{_n(y(0) - y(count))}"><title>{start:,.0f} to {end:,.0f}: {count:,}</title></rect>'
        for start, end, count in bars
    ]
    across = [(x(t), _short(t)) for t in steps(bars[0][0], bars[-1][1], 5) if bars[0][0] <= t <= bars[-1][1]]
    return _chart(f"How many cases took how many {unit}", across, [(y(t), _short(t)) for t in ticks], unit, marks)


def steps(low: float, high: float, most: int) -> list[float]:
    """Return round numbers, evenly apart, that hold [low, high]: about `most` of them."""
    if high - low < 1e-9:
        high = low + 1
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * (1 - 1e-9))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _chart(
    said: str, across: Sequence[tuple[float, str]], up: Sequence[tuple[float, str]], unit: str, marks: Sequence[str]
) -> str:
    """Put marks on a grid with two axes; a tick is (place, text)."""
    grid = [f'<path class="grid" d="M{LEFT} {_n(at)}H{WIDTH - RIGHT}"/>' for at, _ in up]
    grid += [f'<text class="tick up" x="{LEFT - 6}" y="{_n(at + 4)}">{text}</text>' for at, text in up]
    foot = HEIGHT - BOTTOM
    grid += [f'<text class="tick" x="{_n(at)}" y="{foot + 16}">{text}</text>' for at, text in across]
    grid.append(f'<text class="tick" x="{(LEFT + WIDTH - RIGHT) // 2}" y="{foot + 34}">{escape(unit)}</text>')
    body = "".join([*grid, *marks])
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">{body}</svg>'


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _short(value: float) -> str:
    return f"{value / 1000:,.10g}k" if value >= 10_000 and value % 100 == 0 else f"{value:,.10g}"

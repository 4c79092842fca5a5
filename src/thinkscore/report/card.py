"""The card of an audit: what a person reads in two minutes, as HTML and as Markdown, and two of them side by side.

Per group it names the weakest probe and never an average: a judge is as good as what it fails at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..audits._audit import Card, Finding
from ..audits._base import GROUPS, Example
from ..audits._figures import Measure
from ..errors import BadInput
from ._html import write_page

__all__ = ["Change", "changes", "read_card", "write_card"]

SHOWN = 6
"""Examples on the page."""
COMPARED = 40_000_000
"""Pairs of words; longer texts are shown without marks."""
CLIPPED = 600
"""Characters of a text around what changed."""
ASKS = {
    "causal": "Does the reasoning cause the verdict?",
    "grounded": "Is the verdict about the question and the responses?",
    "robust": "Can it be fooled?",
    "utility": "What is its confidence worth?",
}


class Piece(NamedTuple):
    """Part of a text."""

    text: str
    marked: bool


def write_card(card: Card, out: Path) -> list[Path]:
    """Write audit.json, card.html and card.md into a folder; each appears when it is whole. Raises `BadInput`."""
    files = {
        "audit.json": msgspec.json.format(msgspec.json.encode(card)).decode() + "\n",
        "card.md": "\n".join(_markdown(card)) + "\n",
    }
    try:
        for name, text in files.items():
            partial = out / f"{name}.partial"
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, out / name)
    except OSError as error:
        raise BadInput(f"cannot write into {out}: {error.strerror}") from error
    write_page(out / "card.html", _context(card), "card.html")
    return [out / name for name in (*files, "card.html")]


def read_card(path: Path) -> Card:
    """Read the audit.json of a folder, or that file. Raises `BadInput`."""
    file = path / "audit.json" if path.is_dir() else path
    try:
        return msgspec.json.decode(file.read_bytes(), type=Card)
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(f"{file} is no audit ({error}); give the --out folder of `thinkscore audit`") from error


class Change(NamedTuple):
    """One probe in two audits."""

    probe: str
    before: Finding
    after: Finding

    @property
    def apart(self) -> bool | None:
        """Whether the intervals do not meet; None where one is missing or they measure different things."""
        a, b = self.before.interval, self.after.interval
        if a is None or b is None or self.before.metric != self.after.metric:
            return None
        return a[1] < b[0] or b[1] < a[0]


def changes(before: Card, after: Card) -> list[Change]:
    """Put the probes that both audits have side by side."""
    return [Change(name, one, after.probes[name]) for name, one in before.probes.items() if name in after.probes]


# ---- as HTML


def _context(card: Card) -> dict[str, Any]:
    return {
        "card": card,
        "groups": [
            (group, ASKS[group], card.status(group), card.weakest(group), card.unmeasured(group)) for group in GROUPS
        ],
        "probes": list(card.probes.items()),
        "decisive": decisive,
        "number": number,
        "between": between,
        "wish": wish,
        "forms": _forms(card),
        "influence": _influence(card),
        "examples": [
            (name, one, _marked(one.before, one.after), _marked(one.after, one.before))
            for name, one in islice(_worst(card), SHOWN)
        ],
    }


def _worst(card: Card) -> Iterator[tuple[str, Example]]:
    """Yield examples, one of each probe in turn, of failed probes first."""
    ranked = sorted(card.probes.items(), key=lambda item: ("fail", "inconclusive").index(item[1].status)
                    if item[1].status in ("fail", "inconclusive") else 2)  # fmt: skip
    for turn in range(3):
        for name, finding in ranked:
            if turn < len(finding.examples):
                yield name, finding.examples[turn]


def _marked(text: str, other: str) -> list[Piece]:
    """Part a text into what the other one shares and what it does not; far from any change it is cut."""
    words, others = re.findall(r"\s+|[^\s]+", text), re.findall(r"\s+|[^\s]+", other)
    if len(words) * len(others) > COMPARED:
        return [Piece(_clipped(text, 1, 2), False)] if text else []
    pieces = [
        Piece("".join(words[a:b]), kind != "equal")
        for kind, a, b, _, _ in SequenceMatcher(None, words, others, autojunk=False).get_opcodes()
        if a < b
    ]
    return [Piece(_clipped(piece.text, i, len(pieces)), piece.marked) for i, piece in enumerate(pieces)]


def _clipped(text: str, place: int, of: int) -> str:
    if len(text) <= 2 * CLIPPED:
        return text
    head = text[:CLIPPED] if place else ""
    tail = text[-CLIPPED:] if place < of - 1 else ""
    return f"{head} … {tail}" if head or tail else f"{text[:CLIPPED]} … {text[-CLIPPED:]}"


def _forms(card: Card) -> list[tuple[str, float | None, Sequence[float] | None]]:
    """List the forms of step corruption side by side, in percent."""
    finding = card.probes.get("corruption")
    if finding is None or not finding.facts:
        return []
    known = finding.facts
    went = next((one for one in finding.measures if one.metric == "moved by a wrong step"), None)
    rows = [
        (
            "NLDD as published (mean of ratios, the rest cut off)",
            known.get("nldd_published"),
            known.get("nldd_published_interval"),
        ),
        ("NLDD_dd, pooled (cut at the same step)", known.get("nldd_dd"), known.get("nldd_dd_interval")),
        ("its control: the step in other words", known.get("nldd_dd_control"), known.get("nldd_dd_control_interval")),
    ]
    if went is not None and went.value is not None and went.interval is not None:
        rows.append(
            ("regenerated from the wrong step: verdicts that turn", 100 * went.value, [100 * e for e in went.interval])
        )
    return rows


def _influence(card: Card) -> str:
    """Draw how much a step counts for by where it stands, as SVG; "" where it is not known."""
    finding = card.probes.get("corruption")
    parts = (finding.facts if finding else {}).get("influence") or []
    if not parts:
        return ""
    values = [part["nldd_dd"] for part in parts]
    scale = 150 / (max(20.0, *values) - min(0.0, *values))
    zero = 24 + scale * max(20.0, *values)
    below = zero + scale * max(0.0, -min(values)) + 20
    bars = []
    for part, value in zip(parts, values, strict=True):
        x, y = 30 + 100 * round(5 * part["from"]), zero - scale * max(value, 0.0)
        label = f"{100 * part['from']:.0f}–{100 * part['from'] + 20:.0f} %"
        bars.append(f'<rect class="bar" x="{x}" y="{y:.1f}" width="60" height="{scale * abs(value):.1f}"/>')
        bars.append(f'<text x="{x + 30}" y="{y - 6:.1f}" text-anchor="middle">{value + 0.0:.1f} %</text>')
        bars.append(f'<text x="{x + 30}" y="{below:.1f}" text-anchor="middle">{label}</text>')
    axis = f'<path class="axis" d="M20 {zero:.1f}H500"/>'
    said = "NLDD_dd by place of the corrupted step; the figures stand on the bars"
    box = f"0 0 520 {below + 8:.0f}"
    return f'<svg class="chart" viewBox="{box}" role="img" aria-label="{said}">{axis}{"".join(bars)}</svg>'


# ---- in words


def number(value: float | None, metric: str = "") -> str:
    """Write a figure: shares in percent, others plain."""
    if value is None:
        return "–"
    return f"{value:.2f}" if _plain(metric) else f"{100 * value:.1f} %"


def between(interval: Sequence[float] | None, metric: str = "") -> str:
    """Write an interval."""
    if interval is None:
        return ""
    low, high = interval
    return f"{low:.2f} to {high:.2f}" if _plain(metric) else f"{100 * low:.1f} to {100 * high:.1f}"


def _plain(metric: str) -> bool:
    return metric.startswith("area") or "reversal" in metric or "deviations" in metric


def wish(finding: Finding | Measure) -> str:
    """Write what a figure is held against."""
    if finding.threshold is None:
        return ""
    sign = {"high": "≥", "low": "≤", "zero": "within ±"}
    measures = finding.measures if isinstance(finding, Finding) else (finding,)
    wanted = next((one.wanted for one in measures if one.metric == finding.metric), "high")
    return f"{sign[wanted]} {number(finding.threshold, finding.metric)}"


def decisive(finding: Finding) -> Sequence[Finding | Measure]:
    """Return what a probe is judged by: every measure with a threshold, or its one figure."""
    return [one for one in finding.measures if one.threshold is not None] or [finding]


def _markdown(card: Card) -> Iterator[str]:
    yield f"# Audit of {card.judge['model']} under {card.judge['protocol']['id']}"
    yield ""
    yield (
        f"{card.cases} pairs ({card.lab} of the lab), profile {card.profile}; {card.method_said()}; "
        f"{100 * card.failures:.1f} % of the verdicts could not be read. Intervals are 90 %, so that each end holds "
        "with 95 %."
    )
    yield ""
    yield "| group | status | weakest probe | metric | value | 90 % | wanted | not measurable |"
    yield "|---|---|---|---|---|---|---|---|"
    for group in GROUPS:
        weakest, missing = card.weakest(group), ", ".join(f"`{name}`" for name in card.unmeasured(group))
        if weakest is None:
            yield f"| {group} | {card.status(group)} | | | | | | {missing} |"
            continue
        one = card.probes[weakest]
        yield f"| {group} | **{one.status}** | {one.title} | {_cells(one)} | {missing} |"
    yield ""
    yield "| probe | status | metric | value | 90 % | wanted | cases | note |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, one in card.probes.items():
        for i, measure in enumerate(decisive(one)):
            probe = "" if i else f"`{name}`"
            note = measure.note if i else one.note
            yield f"| {probe} | {measure.status} | {_cells(measure)} | {measure.n or ''} | {note} |"
    forms = _forms(card)
    if forms:
        yield ""
        yield "| step corruption, three forms | % | 90 % |"
        yield "|---|---|---|"
        for name, value, ends in forms:
            shown = "" if ends is None else f"{ends[0]:.1f} to {ends[1]:.1f}"
            yield f"| {name} | {'–' if value is None else f'{value:.1f}'} | {shown} |"


def _cells(one: Finding | Measure) -> str:
    return f"{one.metric} | {number(one.value, one.metric)} | {between(one.interval, one.metric)} | {wish(one)}"

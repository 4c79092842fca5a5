"""One HTML file about a run: what the judge decided, how sure it was, what it cost, and why, case by case.

Made from output rows, which hold everything that was decided, and the case file for questions, candidates and tags.
The page needs no network and no script to be read: the script only filters, and the page's own policy lets no other
run. Whatever a judge or a candidate wrote is escaped, and characters that would hide or reorder text are shown by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..errors import BadInput
from ..judge import Summary
from ..stats import wilson
from ..types import Case
from . import _charts
from ._browser import Browsed, Judged, case_view, fate
from ._figures import Figures
from ._html import natural, write_page
from ._labels import Agreement, Label, LabelKind, meaning, read_labels
from ._rows import read_judgments

__all__ = ["ReadCases", "Written", "write_report"]

Tags = dict[str, str | int]
ReadCases = Callable[[], Iterable[Case]]
BARS = 16
QUANTILES = {"least": 0.0, "median": 0.5, "90 % at most": 0.9, "most": 1.0}


class Written(NamedTuple):
    """What a report holds."""

    cases: int
    browsed: int
    """Cases shown in full."""


def write_report(
    rows: str | Path,
    out: str | Path,
    cases: ReadCases | None = None,
    labels: str | Path | None = None,
    label_tags: Sequence[str] = (),
    label_kind: LabelKind = "winner",
    browse: int = 200,
) -> Written:
    """Write the report on the rows of `judge --out`; memory does not grow with what the rows say.

    `cases` gives the cases they were judged from; it is called twice. People's labels are read from a file of
    {id, annotator, label} and from tags of the cases, each tag an annotator. At most `browse` cases are shown in full,
    wrong and failed ones first. Raises `BadInput`.
    """
    if label_tags and cases is None:
        raise BadInput("labels in tags are in the case file; name it with --cases")
    tags = None if cases is None else _tags(cases())
    said = {} if labels is None else read_labels(labels, label_kind)
    strangers = set(said)
    figures, browsed, agreement = Figures(), Browsed(browse), Agreement(label_kind)
    for case, judgment in read_judgments(rows):
        strangers.discard(case.id)
        if tags is not None:
            if case.id not in tags:
                raise BadInput(f"--cases has no case {case.id!r}; name the file that {rows} was judged from")
            case = msgspec.structs.replace(case, tags=tags[case.id])
        agreement.add(case, judgment, said.get(case.id, {}) | _tag_labels(case, label_tags, label_kind))
        groups = {tag: value for tag, value in case.tags.items() if tag not in label_tags}
        figures.add(msgspec.structs.replace(case, tags=groups), judgment)
        browsed.add(case, judgment)
    if (said or label_tags) and not agreement.units:
        raise BadInput(f"no label is of a case in {rows}; labels are matched by the case's id")
    shown = browsed.judged()
    context = {
        "name": Path(rows).name,
        "whole": cases is not None,
        **_figures(figures),
        **_agreement(agreement),
        "strangers": len(strangers),
        **_browser(cases, shown, browsed.seen),
    }
    write_page(out, context)
    return Written(browsed.seen, len(shown))


def _tags(cases: Iterable[Case]) -> dict[str, Tags]:
    """Hold the tags of every case; equal ones are one object."""
    known: dict[tuple[tuple[str, str | int], ...], Tags] = {}
    return {case.id: known.setdefault(tuple(case.tags.items()), case.tags) for case in cases}


def _tag_labels(case: Case, names: Sequence[str], kind: LabelKind) -> dict[str, Label]:
    where = f"case {case.id!r}"
    return {name: meaning(case.tags[name], kind, f"{where}, tag {name}") for name in names if name in case.tags}


def _figures(figures: Figures) -> dict[str, Any]:
    tally, points, bins = figures.summary.tally, figures.curve(), figures.bins()
    summary: Any = figures.summary.as_dict()
    bars = _histogram(figures.tokens)
    return {
        "summary": summary,
        "tags": [
            (tag, sorted(groups.items(), key=lambda item: natural(item[0])))
            for tag, groups in summary["by"].items()
            if len(groups) > 1 and summary["tally"]["n"]
        ],
        "scored": tally.scored,
        "scored_interval": wilson(tally.right + tally.tied / 2, tally.scored) if tally.scored else None,
        "votes": figures.votes,
        "points": points if len(points) > 1 else [],
        "bins": bins,
        "calibration_error": figures.calibration_error(),
        "bars": bars,
        "quantiles": [(name, figures.quantile(q)) for name, q in QUANTILES.items()],
        "lost": sorted(figures.lost.items(), key=lambda item: (-item[1].cases, -item[1].votes, item[0])),
        "places": figures.places(),
        "bar": _charts.bar,
        "charts": {
            "composition": _charts.composition(list(msgspec.structs.asdict(tally).items())) if tally.n else "",
            "curve": _charts.curve(points) if len(points) > 1 else "",
            "reliability": _charts.reliability(bins) if bins else "",
            "histogram": _charts.histogram(bars, "completion tokens") if bars else "",
        },
    }


def _histogram(tokens: Mapping[int, int]) -> list[tuple[float, float, int]]:
    """Bin counts of whole numbers between round edges; no bars where nothing was counted."""
    low, high = min(tokens), max(tokens) + 1
    if high <= 1:
        return []
    edges = _charts.steps(low, high, min(BARS, high - low))
    counts: Counter[int] = Counter()
    for value, cases in tokens.items():
        counts[int((value - edges[0]) // (edges[1] - edges[0]))] += cases
    return [(start, end, counts[i]) for i, (start, end) in enumerate(pairwise(edges))]


def _agreement(agreement: Agreement) -> dict[str, Any]:
    if not agreement.units:
        return {"people": None}
    pairs, every = agreement.pairs()
    alphas = [("people, nominal", agreement.alpha())]
    if agreement.kind == "score":
        alphas.append(("people, interval", agreement.alpha("interval")))
    if agreement.kind == "winner":
        alphas.append(("people and the judge, nominal", agreement.alpha(others=["judge"])))
    return {
        "people": sorted(agreement.people.items()),
        "label_kind": agreement.kind,
        "labelled": len(agreement.units),
        "pairs": pairs,
        "every_pair": every,
        "alphas": alphas,
    }


def _browser(cases: ReadCases | None, judged: Sequence[Judged], seen: int) -> dict[str, Any]:
    """Gather what the browser of cases needs; the cases are laid out one by one, while the page is written."""
    wanted = {case.id for case, _ in judged}
    texts = {} if cases is None else {case.id: case for case in cases() if case.id in wanted}
    judged = [(_whole(case, texts), judgment) for case, judgment in judged]
    choices = _choices([case for case, _ in judged])
    tokens = {choice: f"t{i}" for i, choice in enumerate(choices)}
    return {
        "seen": seen,
        "shown": len(judged),
        "fates": Counter(fate(case, judgment) for case, judgment in judged),
        "filters": {tag: [(tokens[t, v], v, n) for (t, v), n in choices.items() if t == tag] for tag, _ in choices},
        "browsed": (
            case_view(number, case, judgment, cases is not None)
            | {"tokens": " ".join(tokens[tag, str(v)] for tag, v in case.tags.items() if (tag, str(v)) in tokens)}
            for number, (case, judgment) in enumerate(judged, start=1)
        ),
    }


def _whole(case: Case, texts: Mapping[str, Case]) -> Case:
    """Give a case of the rows its texts and tags; gold stays what the rows say."""
    found = texts.get(case.id)
    if found is None:
        return case
    if len(found.candidates) != len(case.candidates):
        raise BadInput(
            f"case {case.id!r} has {len(found.candidates)} candidates and was judged with {len(case.candidates)}; "
            "name the file that the rows were judged from with --cases"
        )
    # Anchors that came from another file (judge --anchors) have no text here.
    anchors = found.anchors if len(found.anchors) == len(case.anchors) else case.anchors
    return msgspec.structs.replace(found, gold=case.gold, anchors=anchors)


def _choices(cases: Sequence[Case]) -> dict[tuple[str, str], int]:
    """Count the cases by tag and value, in order; tags with one value or too many are no choice."""
    counts = Counter((tag, str(value)) for case in cases for tag, value in case.tags.items())
    values = Counter(tag for tag, _ in counts)
    return {pair: counts[pair] for pair in sorted(counts, key=natural) if 1 < values[pair[0]] <= Summary.values}

"""`thinkscore report ROWS`: one HTML file about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import BadInput
from ._cases import CaseFile, Format, SkipBad, Thoughts
from ._run import distinct

__all__ = ["report"]


def report(
    rows: Annotated[Path, typer.Argument(help="what judge --out wrote")],
    out: Annotated[Path, typer.Option(help="the HTML file")] = Path("report.html"),
    cases: Annotated[
        Path | None, typer.Option(help="the case file: questions, candidates, and tags to group by")
    ] = None,
    format: Format = None,
    skip_bad: SkipBad = False,
    thoughts: Thoughts = "keep",
    labels: Annotated[Path | None, typer.Option(help="people's labels, JSONL or CSV: id, annotator, label")] = None,
    label_tags: Annotated[
        str, typer.Option(help="tags of the cases that hold people's labels, one per annotator, with commas")
    ] = "",
    label_kind: Annotated[
        str, typer.Option(help="what a label is: winner (number of the best candidate, or tie), score, category")
    ] = "winner",
    browse: Annotated[int, typer.Option(help="show at most so many cases in full", min=0)] = 200,
) -> None:
    """Write one self-contained HTML file: tally, charts, cost, failures, agreement, and the cases themselves."""
    from ..report.page import write_report

    if label_kind not in ("winner", "score", "category"):
        raise BadInput(f"--label-kind is winner, score or category; got {label_kind!r}")
    tags = [name.strip() for name in label_tags.split(",") if name.strip()]
    read = None if cases is None else CaseFile(cases, format, skip_bad, thoughts).read
    distinct(out, rows, cases, labels)
    written = write_report(rows, out, read, labels, tags, label_kind, browse)  # type: ignore[arg-type]
    size = out.stat().st_size / 1e6
    typer.echo(f"report: {out} ({written.cases:,} cases, {written.browsed:,} of them in full, {size:.1f} MB)")

"""`thinkscore train patterns BEFORE AFTER`: what training changed in how a judge reasons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from ...errors import BadInput
from ...report.terminal import console
from .._cases import CaseFile, Format, SkipBad, Thoughts
from .._recorded import rows_of

__all__ = ["patterns"]

_TITLES = {
    "rates": "{} words per 100 words",
    "shares": "traces with a {} word, percent",
    "sections": "pieces of {}",
}


def patterns(
    before: Annotated[Path, typer.Argument(help="rows of judge --out, or a journal")],
    after: Annotated[Path, typer.Argument(help="the run after training, on the same cases")],
    cases: Annotated[
        Path | None, typer.Option(help="the case file: its tags group lengths; needed for a journal")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="group lengths by a tag, or by tags together: family+level; can be repeated"),
    ] = None,
    seed: Annotated[int, typer.Option(help="the intervals are resampled from it")] = 0,
    format: Format = None,
    skip_bad: SkipBad = False,
    thoughts: Thoughts = "keep",
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object last")] = False,
) -> None:
    """Compare the reasoning of two runs: pattern words, sections and length, paired by case."""
    from ...train.patterns import Judged, compare

    file = None if cases is None else CaseFile(cases, format, skip_bad, thoughts)
    if file is not None:
        file.check()
    tags = {} if file is None else {case.id: case.tags for case in file.read() if case.tags}
    result = compare(rows_of(before, file, Judged), rows_of(after, file, Judged), tags, by, seed)
    if not result["cases"]["both"]:
        raise BadInput(f"{before} and {after} have no case with a text in common; give two runs over the same cases")
    unknown = [name for name in by or [] if not result["length_by"][name]]
    if unknown:
        known = sorted({name for one in tags.values() for name in one})
        raise BadInput(f"no case has the tag {unknown[0]}; the tags of --cases are: {', '.join(known) or 'none'}")
    where = console(stderr=as_json)
    counts = result["cases"]
    where.print(
        f"{counts['both']:,} cases in both runs, {counts['only_before']:,} only in {before}, "
        f"{counts['only_after']:,} only in {after}",
        soft_wrap=True,
    )
    where.print(_table(result))
    if as_json:
        print(msgspec.json.encode(result).decode())


def _table(result: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", style="cyan", no_wrap=True)
    for head in ("cases", "before", "after", "change", "95 % interval"):
        table.add_column(head, justify="right", no_wrap=True)
    _add(table, f"{result['unit']} per trace", result["length"])
    for tag, values in result["length_by"].items():
        for value, row in values.items():
            _add(table, f"  {tag} {value}", row)
    for kind, title in _TITLES.items():
        for name, row in result[kind].items():
            _add(table, title.format(name), row, 100 if kind == "shares" else 1)
    return table


def _add(table: Table, name: str, row: Mapping[str, Any], scale: float = 1) -> None:
    low, high = (scale * bound for bound in row["interval"])
    numbers = f"{scale * row['before']:.2f}", f"{scale * row['after']:.2f}", f"{scale * row['difference']:+.2f}"
    table.add_row(name, f"{row['n']:,}", *numbers, f"{low:+.2f} to {high:+.2f}")

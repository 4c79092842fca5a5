"""`thinkscore show ROWS`: read one judged case, with its votes and traces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..data import read_rows
from ..errors import BadInput
from ..report.terminal import case_view, console
from ._cases import CaseFile, Format, Thoughts

__all__ = ["show"]


def show(
    rows: Annotated[Path, typer.Argument(help="what judge --out wrote")],
    case_id: Annotated[str | None, typer.Option("--id", help="the case; default: the first")] = None,
    cases: Annotated[Path | None, typer.Option(help="the case file, to see question and candidates too")] = None,
    wrong: Annotated[bool, typer.Option("--wrong", help="the first case that was judged wrongly")] = False,
    traces: Annotated[int, typer.Option(help="how many votes to print in full")] = 1,
    format: Format = None,
    thoughts: Thoughts = "keep",
) -> None:
    """Show one case: what was asked, the judgment, the votes, and what the judge wrote."""
    row = next((row for row in read_rows(rows, dict[str, Any]) if _wanted(row, case_id, wrong)), None)
    if row is None:
        raise BadInput(f"{rows} has no {'case ' + repr(case_id) if case_id else 'wrong case' if wrong else 'case'}")
    file = None if cases is None else CaseFile(cases, format, True, thoughts)
    case = None if file is None else next((case for case in file.read() if case.id == row["id"]), None)
    if cases is not None and case is None:
        raise BadInput(f"{cases} has no case {row['id']!r}; name the file that the rows were judged from")
    console().print(case_view(row, case, traces))
    if cases is None:
        console().print("add --cases FILE to see the question and the candidates")


def _wanted(row: dict[str, Any], case_id: str | None, wrong: bool) -> bool:
    return (case_id is None or row["id"] == case_id) and (not wrong or row["correct"] is False)

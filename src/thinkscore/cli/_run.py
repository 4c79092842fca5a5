"""Judge a stream of cases with a progress line, rows out, a summary back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..data import judgment_row, write_rows
from ..errors import BadInput
from ..judge import Judge, Summary
from ..report.terminal import console
from ..types import Case, Judgment


@contextmanager
def _progress(label: str, total: int | None, shown: bool) -> Iterator[Callable[[Summary, float], None]]:
    """Show done/total, rate, tokens, failures and the time left on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(stderr=True), disable=not shown, transient=True) as bar:
        task: TaskID = bar.add_task(label, total=total, state="")

        def update(summary: Summary, seconds: float) -> None:
            usage, failed = summary.usage, sum(summary.failures.values())
            state = f"{summary.cases / max(seconds, 1e-9):.1f}/s, {usage.completion_tokens:,} tokens, {failed} failed"
            bar.update(task, completed=summary.cases, state=state)

        yield update


def run(
    judge: Judge,
    cases: Iterable[Case],
    out: str | Path | None,
    label: str,
    total: int | None,
    each: Callable[[Case, Judgment], None] = lambda case, judgment: None,
    row: Callable[[Case, Judgment], object] = judgment_row,
) -> Summary:
    """Judge every case in order, write its row and call `each`; `out` None writes none.

    Rows appear only when all is done.
    """
    summary, started = Summary(), time.monotonic()
    shown = console(stderr=True).is_terminal
    with write_rows(out) if out is not None else _nowhere() as write, _progress(label, total, shown) as update:
        for case, judgment in judge.run(cases):
            summary.add(case, judgment)
            each(case, judgment)
            write(row(case, judgment))
            update(summary, time.monotonic() - started)
    return summary


@contextmanager
def _nowhere() -> Iterator[Callable[[object], None]]:
    yield lambda row: None


def distinct(out: str | Path | None, *inputs: str | Path | None) -> None:
    """Raise `BadInput` if an output is one of the inputs: it would be lost."""
    for given in inputs:
        if out is not None and given is not None and os.path.realpath(out) == os.path.realpath(given):
            raise BadInput(f"{out} is an input of this run, and would be replaced; give another file to write to")

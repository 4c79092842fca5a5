"""Output rows of a run: a file of them, or a journal folded again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from ..data import judgment_row, read_rows
from ..errors import BadInput
from ..report.diff import Judged
from ..report.export import is_run
from ..report.rescore import read_setup
from ._cases import CaseFile

__all__ = ["judged", "rows_of"]

T = TypeVar("T")


def judged(run: Path, cases: CaseFile | None) -> Iterator[Judged]:
    """Yield what a run decided. A journal needs the case file; raises `BadInput` without it."""
    return rows_of(run, cases, Judged)


def rows_of(run: Path, cases: CaseFile | None, kind: type[T]) -> Iterator[T]:
    """Yield the output rows of a run, each decoded as `kind`. A journal needs the case file; raises `BadInput`."""
    if not is_run(run):
        yield from read_rows(run, kind)
        return
    if cases is None:
        raise BadInput(f"{run} is a journal, which holds no candidates; add --cases FILE, the case file of the run")
    with read_setup(run).replay(run) as judge:
        for case, judgment in judge.run(cases.read()):
            yield msgspec.convert(judgment_row(case, judgment), kind)

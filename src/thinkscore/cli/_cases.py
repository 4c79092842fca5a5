"""The case file of a command: its options, and what there is to say about its rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from ..data import Cases, Skipped, join_anchors, read_cases
from ..errors import BadInput
from ..types import Case

__all__ = ["Anchors", "CaseFile", "Format", "SkipBad", "Thoughts"]

Anchors = Annotated[
    str | None, typer.Option("--anchors", help="rows with answers to compare with (strategy anchored), or: reference")
]
Format = Annotated[str | None, typer.Option("--format", help="form of the rows: trl, hh, ...; default: by the columns")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="leave out rows that cannot be read; they are counted")]
Thoughts = Annotated[str, typer.Option("--thoughts", help="keep or strip: <think> parts of candidates")]

_SAID = 5  # reasons that are printed


class CaseFile:
    """A case file that may be read more than once; standard input is held in memory for that. Raises `BadInput`."""

    def __init__(
        self,
        path: Path | str,
        format: str | None = None,
        skip_bad: bool = False,
        thoughts: str = "keep",
        anchors: str | None = None,
    ) -> None:
        if thoughts not in ("keep", "strip"):
            raise BadInput(f"--thoughts is keep or strip; got {thoughts!r}")
        self.path, self._format, self._skip_bad, self._thoughts = path, format, skip_bad, thoughts
        self._anchors = anchors
        self._held: list[Case] | None = None
        self.skipped = Skipped()
        """What `check` left out."""

    def read(self) -> Iterable[Case]:
        """Read the cases."""
        if self._held is None and str(self.path) == "-":
            self._held = list(self._cases([]))
        cases = self._cases([]) if self._held is None else self._held
        return cases if self._anchors is None else join_anchors(cases, self._anchors)

    def check(self, limit: int | None = None) -> int:
        """Read up to `limit` cases, print what is to be said about them, and return how many there are."""
        notes: list[str] = []
        cases = self._cases(notes)
        if str(self.path) == "-":
            self._held = list(islice(cases, limit))
        count = sum(1 for _ in islice(cases, limit)) if self._held is None else len(self._held)
        self.skipped = cases.skipped
        _say(notes, cases.skipped)
        return count

    def by_id(self) -> dict[str, Case]:
        """Hold all cases by their ids."""
        return {case.id: case for case in self.read()}

    def _cases(self, notes: list[str]) -> Cases:
        return read_cases(
            self.path,
            notes,
            format=self._format,
            skip_bad=self._skip_bad,
            thoughts=self._thoughts,  # type: ignore[arg-type]
        )


def _say(notes: Sequence[str], skipped: Skipped) -> None:
    for note in notes:
        print(f"thinkscore: note: {note}", file=sys.stderr)
    if skipped.count:
        print(f"thinkscore: bad rows left out: {skipped.count}; the first:", file=sys.stderr)
        for reason in skipped.reasons[:_SAID]:
            print(f"thinkscore:   {reason}", file=sys.stderr)

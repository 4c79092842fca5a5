"""Traces as rows of a file, and the report on how they came about: what `_synthesis` makes and recipes train on.

OUT/traces.jsonl and OUT/synthesis.json are written together, once; who comes again reads them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from ..data import write_rows
from ..errors import BadInput
from ..types import Message

__all__ = ["Report", "TraceRow", "Traced", "counted", "load", "made", "save"]

TRACES, REPORT = "traces.jsonl", "synthesis.json"


class TraceRow(msgspec.Struct, frozen=True):
    """One trace to learn from."""

    messages: tuple[Message, ...]
    """The prompt."""
    completion: str
    """What the judge should write after the prefill."""
    prefill: str = ""
    """What it has written already."""


class Traced(TraceRow, frozen=True, kw_only=True):
    """A trace with where it comes from."""

    id: str
    """The case."""
    order: tuple[int, ...]
    """Place i showed candidate order[i]."""
    source: Literal["zero_shot", "rewritten", "sampled", "hinted", "labels"]
    """How it was made."""


class Report(msgspec.Struct):
    """What became of every case and every sample: samples = all kept + all dropped."""

    cases: int = 0
    """Cases that were given."""
    skipped: dict[str, int] = {}
    """Cases that nothing was asked about, by reason."""
    samples: int = 0
    """Completions."""
    kept: dict[str, int] = {}
    """Traces, by source."""
    dropped: dict[str, int] = {}
    """Samples that are no traces, by reason."""
    source: str = ""
    """Hash of cases, protocol and settings that the traces were made from; empty if nobody noted it."""

    def lines(self) -> Iterator[str]:
        """Say it in words."""
        skipped = f", {sum(self.skipped.values())} not asked ({counted(self.skipped)})" if self.skipped else ""
        yield f"{self.cases} cases{skipped}; {self.samples} samples"
        yield f"kept {sum(self.kept.values())} traces" + (f": {counted(self.kept)}" if self.kept else "")
        if self.dropped:
            yield f"dropped {sum(self.dropped.values())}: {counted(self.dropped)}"


def counted(counts: Mapping[str, int]) -> str:
    """Say counts in words, the largest first."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def made(out: Path) -> bool:
    """Tell whether OUT holds traces. Raises `BadInput` if several processes would have to write them."""
    there = (out / TRACES).is_file() and (out / REPORT).is_file()
    if not there and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BadInput("several processes cannot write traces; write them first, in one process (train distill CASES "
                       "--only-traces), then train on them: train distill --traces FILE")  # fmt: skip
    return there


def save(out: Path, rows: Sequence[Traced], report: Report) -> None:
    """Write traces, then the report on them."""
    with write_rows(out / TRACES) as write:
        for row in rows:
            write(row)
    (out / REPORT).write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def load(out: Path, source: str) -> tuple[list[Traced], Report]:
    """Read what `save` wrote. Raises `BadInput` if it was made from another source."""
    rows = [msgspec.json.decode(line, type=Traced) for line in (out / TRACES).read_bytes().splitlines()]
    report = msgspec.json.decode((out / REPORT).read_bytes(), type=Report)
    if report.source and report.source != source:
        raise BadInput(f"{out / TRACES} was made from other cases or settings; give another --out, or delete it")
    return rows, report

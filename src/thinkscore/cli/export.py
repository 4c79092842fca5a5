"""`thinkscore export RUN`: the calls of a run, preference pairs, or traces to train on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ..data import write_rows
from ..data._parquet import write_parquet
from ..errors import BadInput
from ..protocols._base import Protocol
from ..report.export import CallRow, Left, calls_of_journal, calls_of_rows, is_run, pairs, traces
from ..report.rescore import Setup, read_setup
from ..report.terminal import console
from ..types import Case
from ._cases import CaseFile, Format, SkipBad, Thoughts
from ._recorded import judged
from ._run import distinct

__all__ = ["export"]

KINDS = ("jsonl", "parquet", "trl-pairs", "sft")


def export(
    run: Annotated[Path, typer.Argument(help="a journal, or rows of judge --out")],
    to: Annotated[str, typer.Option(help="jsonl or parquet: the calls; trl-pairs; sft")],
    out: Annotated[str, typer.Option(help="the file; - for standard output, except for Parquet")],
    cases: Annotated[Path | None, typer.Option(help="the case file; needed for all but the calls of a journal")] = None,
    protocol: Annotated[str | None, typer.Option(help="how it was asked; default: by the journal's manifest")] = None,
    parser: Annotated[str | None, typer.Option(help="how verdicts are read for sft; default: by the manifest")] = None,
    guard: Annotated[str | None, typer.Option(help="escape or none; default: by the manifest")] = None,
    by: Annotated[
        str, typer.Option(help="gold or judgment: what tells chosen from rejected in trl-pairs")
    ] = "judgment",
    format: Format = None,
    skip_bad: SkipBad = False,
    thoughts: Thoughts = "keep",
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object last")] = False,
) -> None:
    """Write out what a run holds; what is left out is counted by its reason."""
    distinct(out, run, cases)
    if to not in KINDS or by not in ("gold", "judgment"):
        raise BadInput(f"--to is one of {', '.join(KINDS)} and --by is gold or judgment; got {to} and {by}")
    file = None if cases is None else CaseFile(cases, format, skip_bad, thoughts)
    if file is not None:
        file.check()
    left = Left()
    if to == "trl-pairs":
        rows: Iterator[Any] = pairs(judged(run, file), _held(file, to), by == "gold", left)
    elif to == "sft":
        asked, held = _protocol(run, protocol, parser, guard), _held(file, to)
        rows = traces(_calls(run, held, asked, left), held, asked, left)
    elif is_run(run):
        rows = calls_of_journal(run, left)
    else:
        held = _held(file, "the calls of output rows, which hold no prompts,")
        rows = _calls(run, held, _protocol(run, protocol, parser, guard), left)
    written = _write(out, to, rows)
    result = {"written": written, "left_out": dict(sorted(left.items())), "out": out}
    where = console(stderr=out == "-" or as_json)
    where.print(f"{written:,} rows: {out}", soft_wrap=True)
    for reason, count in sorted(left.items()):
        where.print(f"left out: {count:,} {reason}")
    if as_json:
        print(msgspec.json.encode(result).decode())


def _calls(run: Path, cases: Mapping[str, Case], protocol: Protocol, left: Left) -> Iterator[CallRow]:
    return calls_of_journal(run, left) if is_run(run) else calls_of_rows(run, cases, protocol, left)


def _protocol(run: Path, name: str | None, parser: str | None, guard: str | None) -> Protocol:
    """Make the protocol of a run: by the manifest of a journal, or as named."""
    if name is None and not is_run(run):
        raise BadInput(f"{run} holds output rows, which do not name their protocol; add --protocol")
    setup = read_setup(run, name, "vote:k=1") if is_run(run) else Setup(str(name), "vote:k=1")
    return setup.but(name, parser=parser, guard=guard).make_protocol()


def _held(file: CaseFile | None, what: str) -> dict[str, Case]:
    if file is None:
        raise BadInput(f"{what} needs the case file; add --cases FILE")
    return file.by_id()


def _write(out: str, to: str, rows: Iterator[Any]) -> int:
    if to == "parquet":
        return write_parquet(out, CallRow, rows)
    written = 0
    with write_rows(out) as write:
        for row in rows:
            write(row)
            written += 1
    return written

"""`thinkscore rescore JOURNAL`: read recorded completions again, with another parser, protocol or strategy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ..errors import BadInput
from ..judge import Summary
from ..report.rescore import Changes, read_setup
from ..report.terminal import console, results_table
from ._cases import Anchors, CaseFile, Format, SkipBad, Thoughts
from ._run import distinct, run

__all__ = ["rescore"]


def rescore(
    journal: Annotated[Path, typer.Argument(help="the journal of a run, or recorded rows as replay: takes them")],
    cases: Annotated[Path, typer.Option(help="the case file of the run")],
    protocol: Annotated[str | None, typer.Option(help="how to read; default: as recorded in the manifest")] = None,
    strategy: Annotated[str | None, typer.Option(help="how to fold; default: as recorded")] = None,
    seed: Annotated[int | None, typer.Option(help="orders derive from it; default: as recorded")] = None,
    parser: Annotated[
        str | None, typer.Option(help="strict, or the authors' way by name; default: as recorded")
    ] = None,
    guard: Annotated[str | None, typer.Option(help="escape or none; default: as recorded")] = None,
    out: Annotated[str | None, typer.Option(help="rows as JSONL; - for standard output")] = None,
    format: Format = None,
    skip_bad: SkipBad = False,
    thoughts: Thoughts = "keep",
    anchors: Anchors = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object last")] = False,
) -> None:
    """Judge again from recorded completions, without any call, and count the verdicts that are read differently."""
    distinct(out, journal, cases)
    recorded = read_setup(journal, protocol, strategy)
    setup = recorded.but(protocol=protocol, strategy=strategy, seed=seed, parser=parser, guard=guard)
    file = CaseFile(cases, format, skip_bad, thoughts, anchors)
    total = file.check()
    changes = Changes(recorded.make_protocol())
    with setup.replay(journal) as judge:
        summary = run(judge, file.read(), out, setup.protocol, total, changes.add)
    if summary.cases and not changes.verdicts:
        raise BadInput(f"{journal} holds no completion for these cases in {setup.protocol}; see its manifest")
    _report(summary, changes, journal, setup.protocol, out, as_json)


def _report(summary: Summary, changes: Changes, journal: Path, name: str, out: str | None, as_json: bool) -> None:
    result: dict[str, Any] = {**summary.as_dict(f"{journal}.manifest.json"), "rescored": changes.as_dict()}
    where = console(stderr=out == "-" or as_json)
    if summary.tally.n:
        where.print(results_table(f"{summary.cases} cases, read again", {name: result}))
    if summary.failures:
        where.print("no verdict: " + ", ".join(f"{count} {kind}" for kind, count in sorted(summary.failures.items())))
    where.print(f"{changes.count:,} of {changes.verdicts:,} verdicts are read differently")
    for kind, count in sorted(changes.by_kind.items()):
        where.print(f"  {count:,} {kind}")
    if as_json:
        print(msgspec.json.encode(result).decode())

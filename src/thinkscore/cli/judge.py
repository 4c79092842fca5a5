"""`thinkscore judge CASES`: judge every case of a file."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..data import read_cases
from ..errors import BadInput
from ..judge import Judge, Summary
from ..report.terminal import console, results_table
from ._run import run

__all__ = ["judge"]


def judge(
    cases: Annotated[Path, typer.Argument(help="JSONL: id, prompt, candidates, and if known gold, reference, tags")],
    protocol: Annotated[str, typer.Option(help="rm_r1, rrm, deepseek_grm, verdict_only, or a path to your own .py")],
    engine: Annotated[str, typer.Option(help="URI of the engine: embedded, replay:FILE, scripted:, oracle: ...")] = (
        "embedded"
    ),
    strategy: Annotated[str, typer.Option(help="how to spend calls, e.g. vote:k=8")] = "vote:k=1",
    seed: Annotated[int, typer.Option(help="orders and samples derive from it")] = 0,
    journal: Annotated[
        Path | None, typer.Option(help="keeps every call; the same command goes on after a stop")
    ] = None,
    out: Annotated[str | None, typer.Option(help="rows as JSONL; - for standard output")] = None,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token")] = 1.0,
    top_p: Annotated[float, typer.Option(help="nucleus, 0 < p <= 1")] = 1.0,
    max_tokens: Annotated[int, typer.Option(help="limit per completion")] = 4096,
    guard: Annotated[str, typer.Option(help="escape or none: our delimiters inside candidates")] = "escape",
    limit: Annotated[int | None, typer.Option(help="judge only the first so many cases")] = None,
    max_failures: Annotated[float, typer.Option(help="share of cases without a verdict that is still success")] = 0.01,
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object last")] = False,
) -> None:
    """Judge every case of a file; rows and journal are kept if you name them."""
    if guard not in ("escape", "none"):
        raise BadInput(f"--guard is escape or none; got {guard!r}")
    notes: list[str] = []
    # Bad rows end the run before the first call is paid.
    total = sum(1 for _ in islice(read_cases(cases, notes), limit))
    for note in notes:
        print(f"thinkscore: note: {note}", file=sys.stderr)
    with Judge(
        protocol,
        engine,
        strategy,
        seed=seed,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        journal=journal,
        guard=guard,  # type: ignore[arg-type]
    ) as judge:
        _announce(judge)
        summary = run(judge, islice(read_cases(cases), limit), out, protocol, total)
    _report(summary, judge, protocol, out, as_json)
    failed = sum(summary.failures.values())
    if failed > max_failures * summary.cases:
        raise typer.Exit(1)


def _announce(judge: Judge) -> None:
    interrupted = judge.journal.interrupted
    if interrupted:
        print(
            f"thinkscore: {interrupted} calls were in flight when the last run ended; they are asked again",
            file=sys.stderr,
        )


def _report(summary: Summary, judge: Judge, name: str, out: str | None, as_json: bool) -> None:
    manifest = None if judge.journal.path is None else f"{judge.journal.path}.manifest.json"
    result = summary.as_dict(manifest)
    # Standard output belongs to the rows if they go there.
    where = console(stderr=out == "-" or as_json)
    if summary.tally.n:
        where.print(results_table(f"{summary.cases} cases", {name: result}))
    if summary.failures:
        where.print("no verdict: " + ", ".join(f"{count} {kind}" for kind, count in sorted(summary.failures.items())))
    if out not in (None, "-"):
        where.print(f"rows: {out}")
    if judge.journal.path is not None:
        where.print(f"journal: {judge.journal.path}", soft_wrap=True)
    if as_json:
        print(msgspec.json.encode(result).decode())

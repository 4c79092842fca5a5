"""`thinkscore demo`: judge held-out lab pairs with the embedded reward model and show what it decided and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ..data import case_row, write_rows
from ..judge import Judge
from ..lab import world
from ..report.terminal import case_view, console, results_table
from ..types import Case
from ._run import run

__all__ = ["demo"]

PROTOCOLS = ("rm_r1", "rrm", "deepseek_grm", "verdict_only")
PARITY = (
    "verdict_only answers without reasoning. It is not trained to parity: the packaged judge saw fewer labels and "
    "less compute in that form, so this is no measure of what reasoning is worth."
)


def demo(
    n: Annotated[int, typer.Option(help="held-out pairs", min=1)] = 300,
    votes: Annotated[int, typer.Option(help="votes per pair", min=1)] = 8,
    seed: Annotated[int, typer.Option(help="another seed, other pairs")] = 1,
    split: Annotated[str, typer.Option(help="test or ood")] = "test",
    engine: Annotated[str, typer.Option(help="the judge")] = "embedded",
    out: Annotated[Path, typer.Option(help="folder for cases, rows and journals")] = Path("thinkscore-demo"),
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object last")] = False,
) -> None:
    """Judge held-out pairs in four protocols; print accuracy and one trace in full."""
    cases = list(world.make(seed, split, n))
    out.mkdir(parents=True, exist_ok=True)
    with write_rows(out / "cases.jsonl") as write:
        for case in cases:
            write(case_row(case))
    results = {}
    for protocol in PROTOCOLS:
        journal = out / f"{protocol}.journal"
        with Judge(protocol, engine, f"vote:k={votes}", seed=seed, journal=journal) as judge:
            summary = run(judge, cases, out / f"{protocol}.jsonl", f"{protocol:13}", n)
        results[protocol] = summary.as_dict(f"{journal}.manifest.json")
    _print(results, cases[0], f"{n} held-out {split} pairs, {votes} votes each, seed {seed}", out, as_json)
    if as_json:
        typer.echo(msgspec.json.encode(results).decode())


def _print(results: Mapping[str, Mapping[str, Any]], case: Case, title: str, out: Path, as_json: bool) -> None:
    where = console(stderr=as_json)
    where.print(results_table(f"{title}: accuracy in percent", results, ("difficulty", "family")))
    where.print(PARITY, style="dim")
    where.print()
    with (out / "rm_r1.jsonl").open("rb") as rows:
        where.print(case_view(msgspec.json.decode(rows.readline()), case))
    where.print(f"cases, rows and journals: {out}/", soft_wrap=True)
    where.print(f"another one: thinkscore show {out}/rm_r1.jsonl --cases {out}/cases.jsonl --wrong", soft_wrap=True)

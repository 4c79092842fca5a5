"""`thinkscore judge CASES`: judge every case of a file."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..errors import BadInput
from ..judge import Judge, Summary, make_engine, make_protocol
from ..report.plan import plan
from ..report.terminal import console, results_table
from ..scaling._base import parse_strategy
from ._budget import MaxCost, MaxTotalTokens, Prices, budget_of
from ._cases import Anchors, CaseFile, Format, SkipBad, Thoughts
from ._model import chosen
from ._plan import print_plan
from ._run import distinct, run

__all__ = ["judge"]


def judge(
    cases: Annotated[
        Path, typer.Argument(help="rows with prompt, candidates and if known gold; or TRL, HH, ... (docs/data.md)")
    ],
    protocol: Annotated[
        str | None, typer.Option(help="rm_r1, rrm, deepseek_grm, rubric:FILE ..., or a path to your own .py")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="a released checkpoint (see `models`): sets what you do not")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="URI of the engine: embedded, hf:ID, http://..., replay:FILE ...")
    ] = None,
    strategy: Annotated[str, typer.Option(help="how to spend calls, e.g. vote:k=8")] = "vote:k=1",
    seed: Annotated[int, typer.Option(help="orders and samples derive from it")] = 0,
    journal: Annotated[
        Path | None, typer.Option(help="keeps every call; the same command goes on after a stop")
    ] = None,
    out: Annotated[str | None, typer.Option(help="rows as JSONL; - for standard output")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 takes the likeliest token; default 1")] = None,
    top_p: Annotated[float | None, typer.Option(help="nucleus, 0 < p <= 1; default 1")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="limit per completion; default 8192")] = None,
    parser: Annotated[str | None, typer.Option(help="how to read: strict, or the authors' way by name")] = None,
    template: Annotated[
        str | None, typer.Option(help="own, an official text (see `templates list`), or your own file")
    ] = None,
    guard: Annotated[
        str | None, typer.Option(help="escape or none: delimiters inside candidates; default none for official texts")
    ] = None,
    format: Format = None,
    skip_bad: SkipBad = False,
    thoughts: Thoughts = "keep",
    anchors: Anchors = None,
    calibration: Annotated[Path | None, typer.Option(help="turn scores into gold; see `calibrate`")] = None,
    too_long: Annotated[
        str, typer.Option(help="a case that the model cannot read in full: fail, or middle (cut out the middles)")
    ] = "fail",
    max_total_tokens: MaxTotalTokens = None,
    max_cost: MaxCost = None,
    prices: Prices = None,
    limit: Annotated[int | None, typer.Option(help="judge only the first so many cases", min=1)] = None,
    max_failures: Annotated[float, typer.Option(help="share of cases without a verdict that is still success")] = 0.01,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what it would ask and cost; make no call")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object last")] = False,
) -> None:
    """Judge every case of a file; rows and journal are kept if you name them."""
    _check(guard, too_long, out, cases, journal)
    budget = budget_of(max_total_tokens, max_cost, prices)
    choice = chosen(model, protocol, engine, parser, template, temperature, top_p, max_tokens)
    asked = make_protocol(choice.protocol, guard, choice.parser, choice.template)  # type: ignore[arg-type]
    file = CaseFile(cases, format, skip_bad, thoughts, anchors)
    total = file.check(limit)  # bad rows end the run before the first call is paid
    if dry_run:
        how = asked, parse_strategy(strategy)
        # Some engines know the name of their model only once they are open, and then there is no price for it.
        price = budget.prices.get(getattr(make_engine(choice.engine), "model", ""))
        planned = plan(
            islice(file.read(), limit), *how, sampling=choice.sampling, seed=seed, journal=journal, price=price
        )
        return print_plan(planned, as_json)
    with Judge(
        asked,
        choice.engine,
        strategy,
        seed=seed,
        temperature=choice.sampling.temperature,
        top_p=choice.sampling.top_p,
        max_tokens=choice.sampling.max_tokens,
        journal=journal,
        too_long=too_long,  # type: ignore[arg-type]
        budget=budget,
        calibration=calibration,
    ) as judge:
        _announce(judge)
        summary = run(judge, islice(file.read(), limit), out, choice.protocol, total)
    _report(summary, judge, choice.protocol, out, as_json, file.skipped.count)
    failed = sum(summary.failures.values())
    if failed > max_failures * summary.cases:
        raise typer.Exit(1)


def _check(guard: str | None, too_long: str, out: str | None, cases: Path, journal: Path | None) -> None:
    _one_of("--guard", guard or "escape", "escape", "none")
    _one_of("--too-long", too_long, "fail", "middle")
    distinct(out, cases, journal)
    distinct(journal, cases)


def _one_of(flag: str, given: str, *accepted: str) -> None:
    if given not in accepted:
        raise BadInput(f"{flag} is {' or '.join(accepted)}; got {given!r}")


def _announce(judge: Judge) -> None:
    interrupted = judge.journal.interrupted
    if interrupted:
        print(
            f"thinkscore: {interrupted} calls were in flight when the last run ended; they are asked again",
            file=sys.stderr,
        )


def _report(summary: Summary, judge: Judge, name: str, out: str | None, as_json: bool, skipped: int) -> None:
    manifest = None if judge.journal.path is None else f"{judge.journal.path}.manifest.json"
    result = {**summary.as_dict(manifest, judge.budget.price), "skipped": skipped}
    # Standard output belongs to the rows if they go there.
    where = console(stderr=out == "-" or as_json)
    if summary.tally.n:
        where.print(results_table(f"{summary.cases} cases", {name: result}))
    if summary.failures:
        where.print("no verdict: " + ", ".join(f"{count} {kind}" for kind, count in sorted(summary.failures.items())))
        for kind, reasons in sorted(summary.reasons.items()):
            ((detail, _),) = reasons.most_common(1)
            where.print(f"  {kind}, mostly: {detail}", markup=False, soft_wrap=True)
    if summary.shortened:
        where.print(f"{summary.shortened} cases were too long and lost their middles")
    if judge.budget.price is not None:
        where.print(f"cost: {judge.budget.price.cost(summary.usage):.4g}, in the unit of the price file")
    if out not in (None, "-"):
        where.print(f"rows: {out}")
    if judge.journal.path is not None:
        where.print(f"journal: {judge.journal.path}", soft_wrap=True)
    if as_json:
        print(msgspec.json.encode(result).decode())

"""What `judge` and `rank` share: their options, and the run from case file to rows and report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from ..budget import Budget
from ..data import judgment_row
from ..errors import BadInput
from ..judge import Judge, Summary, make_engine, make_protocol
from ..report.plan import plan
from ..report.terminal import console, results_table
from ..scaling._base import parse_strategy
from ..types import Case, Judgment
from ._budget import budget_of
from ._cases import CaseFile
from ._model import Choice, chosen
from ._plan import print_plan
from ._run import distinct, run

__all__ = ["Wanted", "carry_out"]

CaseRows = Annotated[
    Path, typer.Argument(help="rows with prompt, candidates and if known gold; or TRL, HH, ... (docs/data.md)")
]
Protocol = Annotated[
    str | None, typer.Option(help="rm_r1, rrm, deepseek_grm, rubric:FILE ..., or a path to your own .py")
]
Model = Annotated[str | None, typer.Option(help="a released checkpoint (see `models`): sets what you do not")]
Engine = Annotated[
    str | None, typer.Option(help="URI of the engine: embedded, hf:ID, http://..., replay:FILE ...")
]  # fmt: skip
Strategy = Annotated[str, typer.Option(help="how to spend calls, e.g. vote:k=8")]
Seed = Annotated[int, typer.Option(help="orders and samples derive from it")]
Journal = Annotated[Path | None, typer.Option(help="keeps every call; the same command goes on after a stop")]
Out = Annotated[str | None, typer.Option(help="rows as JSONL; - for standard output")]
Temperature = Annotated[float | None, typer.Option(help="0 takes the likeliest token; default 1")]
TopP = Annotated[float | None, typer.Option(help="nucleus, 0 < p <= 1; default 1")]
MaxTokens = Annotated[int | None, typer.Option(help="limit per completion; default 8192")]
Parser = Annotated[str | None, typer.Option(help="how to read: strict, or the authors' way by name")]
Template = Annotated[
    str | None, typer.Option(help="own, an official text (see `templates list`), or your own file")
]  # fmt: skip
Guard = Annotated[
    str | None, typer.Option(help="escape or none: delimiters inside candidates; default none for official texts")
]
Calibration = Annotated[Path | None, typer.Option(help="turn scores into gold; see `calibrate`")]
TooLong = Annotated[
    str, typer.Option(help="a case that the model cannot read in full: fail, or middle (cut out the middles)")
]
Limit = Annotated[int | None, typer.Option(help="judge only the first so many cases", min=1)]
MaxFailures = Annotated[float, typer.Option(help="share of cases without a verdict that is still success")]
MaxCalls = Annotated[
    int | None, typer.Option("--max-calls-per-case", help="verdicts that a case may cost at most", min=1)
]
Others = Annotated[
    list[str] | None, typer.Option("--with", help="another judge that the strategy asks, as NAME=PROTOCOL@ENGINE")
]
Ground = Annotated[
    bool, typer.Option("--ground", help="add to each verdict what its reasoning gets right by its own words")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what it would ask and cost; make no call")]
AsJson = Annotated[bool, typer.Option("--json", help="print one machine-readable object last")]


class Wanted(NamedTuple):
    """The options of a run, by the names of the flags."""

    cases: Path
    protocol: str | None
    model: str | None
    engine: str | None
    strategy: str
    seed: int
    journal: Path | None
    out: str | None
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    parser: str | None
    template: str | None
    guard: str | None
    format: str | None
    skip_bad: bool
    thoughts: str
    anchors: str | None
    calibration: Path | None
    too_long: str
    max_total_tokens: int | None
    max_cost: float | None
    prices: Path | None
    limit: int | None
    max_failures: float
    dry_run: bool
    as_json: bool
    max_calls_per_case: int | None = None
    others: list[str] | None = None
    ground: bool = False


class Extra(NamedTuple):
    """What a command adds to the report of a run."""

    add: Callable[[Case, Judgment], None] = lambda case, judgment: None
    """Called for every case."""
    result: Callable[[], dict[str, Any]] = dict
    """Further keys of `--json`."""
    lines: Callable[[], list[str]] = list
    """Further lines for people."""
    notes: bool = True
    """Whether what the strategy measured is told in lines of its own."""


def carry_out(wanted: Wanted, extra: Extra | None = None) -> None:
    """Judge every case of the file as wanted; rows and journal are kept if they are named."""
    extra = extra or Extra()
    _check(wanted)
    budget = budget_of(wanted.max_total_tokens, wanted.max_cost, wanted.prices)
    choice = chosen(
        wanted.model, wanted.protocol, wanted.engine, wanted.parser, wanted.template,
        wanted.temperature, wanted.top_p, wanted.max_tokens,
    )  # fmt: skip
    file = CaseFile(wanted.cases, wanted.format, wanted.skip_bad, wanted.thoughts, wanted.anchors)
    total = file.check(wanted.limit)  # bad rows end the run before the first call is paid
    if wanted.dry_run:
        return _plan(wanted, choice, file, budget)
    with _judge(wanted, choice, budget) as judge:
        _announce(judge)
        summary = run(
            judge, islice(file.read(), wanted.limit), wanted.out, choice.protocol, total, extra.add, _row(wanted)
        )
    _report(summary, judge, choice.protocol, wanted, file.skipped.count, extra)
    failed = sum(summary.failures.values())
    if failed > wanted.max_failures * summary.cases:
        raise typer.Exit(1)


def _row(wanted: Wanted) -> Callable[[Case, Judgment], object]:
    """Say how rows are written."""
    if not wanted.ground:
        return judgment_row
    from ..report.grounded import grounded_row

    return grounded_row


def _check(wanted: Wanted) -> None:
    if wanted.ground and wanted.out is None:
        raise BadInput("--ground adds to the rows, and there are none; give --out FILE")
    _one_of("--guard", wanted.guard or "escape", "escape", "none")
    _one_of("--too-long", wanted.too_long, "fail", "middle")
    distinct(wanted.out, wanted.cases, wanted.journal)
    distinct(wanted.journal, wanted.cases)


def _one_of(flag: str, given: str, *accepted: str) -> None:
    if given not in accepted:
        raise BadInput(f"{flag} is {' or '.join(accepted)}; got {given!r}")


def _protocol(wanted: Wanted, choice: Choice) -> Any:
    return make_protocol(choice.protocol, wanted.guard, choice.parser, choice.template)  # type: ignore[arg-type]


def _plan(wanted: Wanted, choice: Choice, file: CaseFile, budget: Budget) -> None:
    # Some engines know the name of their model only once they are open, and then there is no price for it.
    price = budget.prices.get(getattr(make_engine(choice.engine), "model", ""))
    planned = plan(
        islice(file.read(), wanted.limit),
        _protocol(wanted, choice),
        parse_strategy(wanted.strategy),
        sampling=choice.sampling,
        seed=wanted.seed,
        journal=wanted.journal,
        price=price,
        most=wanted.max_calls_per_case,
    )
    print_plan(planned, wanted.as_json)


def _judge(wanted: Wanted, choice: Choice, budget: Budget) -> Judge:
    return Judge(
        _protocol(wanted, choice),
        choice.engine,
        wanted.strategy,
        seed=wanted.seed,
        temperature=choice.sampling.temperature,
        top_p=choice.sampling.top_p,
        max_tokens=choice.sampling.max_tokens,
        journal=wanted.journal,
        too_long=wanted.too_long,  # type: ignore[arg-type]
        budget=budget,
        calibration=wanted.calibration,
        most=wanted.max_calls_per_case,
        others=dict(_named(text) for text in wanted.others or []),
    )


def _named(text: str) -> tuple[str, str]:
    name, _, judge = text.partition("=")
    return name, judge


def _announce(judge: Judge) -> None:
    interrupted = judge.journal.interrupted
    if interrupted:
        print(
            f"thinkscore: {interrupted} calls were in flight when the last run ended; they are asked again",
            file=sys.stderr,
        )


def _report(summary: Summary, judge: Judge, name: str, wanted: Wanted, skipped: int, extra: Extra) -> None:
    out, as_json = wanted.out, wanted.as_json
    manifest = None if judge.journal.path is None else f"{judge.journal.path}.manifest.json"
    result = {**summary.as_dict(manifest, judge.budget.price), "skipped": skipped, **extra.result()}
    # Standard output belongs to the rows if they go there.
    where = console(stderr=out == "-" or as_json)
    if summary.tally.n:
        where.print(results_table(f"{summary.cases} cases", {name: result}))
    for note, (total, count) in sorted(summary.notes.items()) if extra.notes else ():
        where.print(f"{note.replace('_', ' ')}: {total / count:.3g} on average", highlight=False)
    for line in extra.lines():
        where.print(line, markup=False, highlight=False)
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

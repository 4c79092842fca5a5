"""`thinkscore audit`: is the score caused by the reasoning and by the answer, and can the judge be fooled?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..ask import Asker
from ..data.sources import open_source
from ..data.verdicts import read_verdicts
from ..errors import BadInput
from ..journal import open_journal, write_manifest
from ..judge import make_engine, make_protocol
from ..lab import world
from ..protocols.verdict_only import VerdictOnly
from ..report.terminal import console
from ..types import Case
from ._budget import budget_of
from ._cases import CaseFile, Format, SkipBad
from ._model import chosen

if TYPE_CHECKING:
    from ..audits._audit import Card, Profile

__all__ = ["audit"]

COMPARE = "compare"


def audit(
    files: Annotated[
        list[str] | None, typer.Argument(help="a file of pairs (default: lab cases), or: compare OUT OUT")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="rm_r1, rrm, deepseek_grm ..., or a path to your own .py")
    ] = None,
    model: Annotated[str | None, typer.Option(help="a released checkpoint (see `models`)")] = None,
    engine: Annotated[
        str | None, typer.Option(help="URI of the engine: embedded, hf:ID, http://..., planted:NAME")
    ] = None,
    recorded: Annotated[
        Path | None, typer.Option(help="audit verdicts that are there: rows of judge --out, CARE-Judge, AlpacaEval")
    ] = None,
    profile: Annotated[str, typer.Option(help="quick (100 cases, the main probes) or full (300, all)")] = "quick",
    out: Annotated[Path, typer.Option(help="folder for audit.json, card.html, card.md and the journal")] = Path(
        "audit"
    ),
    seed: Annotated[int, typer.Option(help="cases of the lab and samples derive from it")] = 0,
    limit: Annotated[int | None, typer.Option(help="cases, instead of the profile's number", min=1)] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="run this probe; again for more")] = None,
    votes: Annotated[int, typer.Option(help="verdicts per reading where there are no log-probabilities", min=1)] = 4,
    reader: Annotated[
        str | None, typer.Option(help="URI of a model that reads reasoning blindly, for judges that state no scores")
    ] = None,
    writer: Annotated[
        str | None, typer.Option(help="URI of a model that says your texts in other words (rewording)")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="as the judge is used; default 1")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="limit per completion; default 8192")] = None,
    template: Annotated[str | None, typer.Option(help="own, an official text, or your own file")] = None,
    budget_tokens: Annotated[int | None, typer.Option("--budget-tokens", help="tokens that the audit may cost")] = None,
    format: Format = None,
    skip_bad: SkipBad = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what it would cost; make no call")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object last")] = False,
) -> None:
    """Audit a judge on pairs: causal, grounded, robust. The same command goes on after a stop."""
    files = files or []
    if files[:1] == [COMPARE]:
        return _compare(files[1:], as_json)
    if len(files) > 1:
        raise BadInput(f"give one file of pairs, or: audit compare OUT OUT; got {' '.join(files)}")
    if recorded is not None:
        return _recorded(recorded, out, as_json)
    from ..audits._audit import PROFILES, expected_calls, probes_of

    if profile not in PROFILES:
        raise BadInput(f"--profile is {' or '.join(PROFILES)}; got {profile!r}")
    chosen_profile = PROFILES[profile]
    probes = probes_of(chosen_profile, only or ())
    choice = chosen(model, protocol, engine, None, template, temperature, None, max_tokens)
    cases = _cases(files, format, skip_bad, seed, limit or chosen_profile.cases)
    calls = expected_calls(probes, chosen_profile, len(cases), votes, choice.engine.startswith(("embedded", "hf:")))
    where = console(stderr=True)
    where.print(f"{len(cases)} pairs, {len(probes)} probes: about {calls:,} calls", highlight=False)
    if dry_run:
        if as_json:
            print(
                msgspec.json.encode(
                    {"cases": len(cases), "probes": [one.id for one in probes], "calls": calls}
                ).decode()
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    journal = open_journal(out / "audit.journal")
    asker = Asker(
        make_protocol(choice.protocol, None, choice.parser, choice.template), make_engine(choice.engine), journal,
        sampling=choice.sampling, seed=seed, budget=budget_of(budget_tokens, None, None),
    )  # fmt: skip
    helpers = {
        name: Asker(VerdictOnly(), make_engine(uri), open_journal(out / f"{name}.journal"), budget=asker.budget)
        for name, uri in (("reader", reader), ("writer", writer))
        if uri is not None
    }
    how: dict[str, Any] = {"name": profile, "probes": probes, "votes": votes}
    card = asyncio.run(_run(asker, helpers, cases, chosen_profile, how))
    _tell(card, out, as_json)


async def _run(
    asker: Asker, helpers: dict[str, Asker], cases: Sequence[Case], profile: Profile, how: dict[str, Any]
) -> Card:
    from ..audits._audit import audit as run

    started, every = time.monotonic(), [asker, *helpers.values()]
    try:
        for one in every:
            await one.open()
        asker.budget.open(asker.engine.model)
        if asker.journal.path is not None:
            write_manifest(asker.journal.path, {"audit": how["name"], "protocol": asker.protocol.identity(),
                                                "model": asker.engine.identity, "seed": asker.seed})  # fmt: skip
        with _progress() as tell:
            card = await run(asker, cases, profile, **(how | helpers), tell=tell)
    finally:
        for one in every:
            await one.close()
            one.journal.close()
    return msgspec.structs.replace(card, seconds=round(time.monotonic() - started, 1))


def _recorded(file: Path, out: Path, as_json: bool) -> None:
    """Audit verdicts that somebody recorded: our own rows, or a form that `data.verdicts` reads."""
    from ..audits._recorded import audit_recorded
    from ..report._rows import read_judgments

    with open_source(file) as source:
        _, first = next(source.items, (0, b""))
    own = isinstance(first, bytes) and b'"verdicts"' in first
    rows = ((case, list(one.verdicts)) for case, one in read_judgments(file)) if own else read_verdicts(file)
    card = audit_recorded(rows, file.name)
    out.mkdir(parents=True, exist_ok=True)
    _tell(card, out, as_json)


def _cases(files: Sequence[str], format: str | None, skip_bad: bool, seed: int, limit: int) -> list[Case]:
    """Read the pairs of a file, or make some."""
    if not files:
        return list(world.make(seed, "test", limit))
    file = CaseFile(Path(files[0]), format, skip_bad, "keep", None)
    file.check()
    pairs: Iterator[Case] = (case for case in file.read() if len(case.candidates) == 2)
    return [case for _, case in zip(range(limit), pairs, strict=False)]


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    columns = (TextColumn("{task.description:<16}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    shown = console(stderr=True)
    with Progress(*columns, console=shown, disable=not shown.is_terminal, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def tell(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done)

        yield tell


def _tell(card: Card, out: Path, as_json: bool) -> None:
    from ..report.card import between, number, wish, write_card

    files = write_card(card, out)
    table = Table(
        "group", "probe", "status", "metric", "value", "90 %", "wanted", "note", box=None, title_justify="left"
    )
    for name, one in card.probes.items():
        style = {"fail": "bold red", "pass": "green"}.get(one.status, "")
        table.add_row(one.group, name, one.status, one.metric, number(one.value, one.metric),
                      between(one.interval, one.metric), wish(one), one.note, style=style)  # fmt: skip
    where = console(stderr=as_json)
    where.print(table)
    where.print(
        f"leans: {card.method_said()}; {100 * card.failures:.1f} % of the verdicts could not be read", highlight=False
    )
    where.print("written: " + ", ".join(str(file) for file in files), soft_wrap=True)
    if as_json:
        print(msgspec.json.encode(card).decode())


def _compare(folders: Sequence[str], as_json: bool) -> None:
    from ..report.card import between, changes, number, read_card

    if len(folders) != 2:
        raise BadInput(f"compare takes the --out folders of two audits; got {len(folders)}")
    rows = changes(*(read_card(Path(folder)) for folder in folders))
    table = Table("probe", "metric", "before", "after", "value", "value", "apart", box=None)
    for row in rows:
        a, b = row.before, row.after
        apart = {True: "yes", False: "no", None: ""}[row.apart]
        table.add_row(
            row.probe, b.metric, a.status, b.status, f"{number(a.value, a.metric)} ({between(a.interval, a.metric)})",
            f"{number(b.value, b.metric)} ({between(b.interval, b.metric)})", apart,
            style="bold" if a.status != b.status or row.apart else "",
        )  # fmt: skip
    console(stderr=as_json).print(table)
    if as_json:
        found = {row.probe: {"before": row.before, "after": row.after, "apart": row.apart} for row in rows}
        print(msgspec.json.encode(found).decode())

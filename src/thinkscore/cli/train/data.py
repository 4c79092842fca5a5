"""`thinkscore train data FILE...`: preference files made ready for every stage of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ...errors import BadInput
from ...report.terminal import console
from .._cases import Format, SkipBad, Thoughts

if TYPE_CHECKING:
    from ...train.mixture import Mixture, Report

__all__ = ["data"]


def data(
    files: Annotated[list[str], typer.Argument(help="preference files; FILE:N takes N rows; .toml lists files")],
    out: Annotated[Path, typer.Option(help="a new folder")],
    rules: Annotated[str, typer.Option(help="published rules to start from: rm_r1, or none")] = "none",
    exclude: Annotated[list[str] | None, typer.Option(help="drop rows of this source; can be repeated")] = None,
    orders: Annotated[str | None, typer.Option(help="balanced, alternate or as_is: place of the best reply")] = None,
    distill_share: Annotated[float | None, typer.Option(help="share of the training rows for distillation")] = None,
    held_out: Annotated[float | None, typer.Option(help="share (below 1) or number of rows; default: 0.05")] = None,
    decontaminate: Annotated[list[str] | None, typer.Option(help="a benchmark file; can be repeated")] = None,
    ngram: Annotated[int, typer.Option(help="words that a prompt must not share with a benchmark")] = 13,
    in_replies: Annotated[bool, typer.Option("--in-replies", help="search the replies of rows as well")] = False,
    seed: Annotated[int, typer.Option(help="decides every draw")] = 0,
    format: Format = None,
    skip_bad: SkipBad = False,
    thoughts: Thoughts = "keep",
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object last")] = False,
) -> None:
    """Clean, decontaminate and part preference files: distill.jsonl, rl.jsonl, held_out.jsonl, report.json."""
    from ...train.mixture import mix, read_sources

    said = {"distill_share": distill_share, "held_out": held_out, "orders": orders, "exclude": exclude}
    settings = _settings(
        rules,
        {
            **{name: value for name, value in said.items() if value is not None},
            "decontaminate": decontaminate or [],
            "ngram": ngram,
            "in_replies": in_replies,
            "seed": seed,
            "skip_bad": skip_bad,
            "thoughts": thoughts,
        },
    )
    where = console(stderr=as_json)
    sources = [msgspec.structs.replace(one, format=one.format or format) for one in read_sources(files)]
    with _progress() as say:
        report, same = mix(sources, out, settings, say)
    _print(where, report, out, same)
    if as_json:
        print(msgspec.json.encode({**msgspec.to_builtins(report), "out": str(out)}).decode())


def _settings(rules: str, said: dict[str, Any]) -> Mixture:
    """Lay what was said over the rules; what is excluded is added to theirs."""
    from ...train.mixture import RULES, Mixture

    if rules not in ("none", *RULES):
        raise BadInput(f"--rules is none or one of {', '.join(RULES)}; got {rules!r}")
    base = msgspec.to_builtins(RULES.get(rules, Mixture()))
    said["exclude"] = [*base["exclude"], *said.get("exclude", [])]
    try:
        return msgspec.convert({**base, **said}, Mixture)
    except msgspec.ValidationError as error:
        raise BadInput(
            "--orders is balanced, alternate or as_is, --thoughts keep or strip; "
            f"got {said.get('orders', base['orders'])} and {said['thoughts']}"
        ) from error


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None] | None]:
    """Show how many rows were read, on a terminal."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield None
        return
    with screen.status("reading") as status:
        yield lambda name, count: status.update(f"{name}: {count:,} rows read")


def _print(where: Console, report: Report, out: Path, same: bool) -> None:
    where.print(_table(report))
    for reason, count in report.dropped.items():
        ids = ", ".join(report.examples[reason][:3])
        where.print(f"dropped: {count:,} {reason} ({ids}{', ...' if count > 3 else ''})", soft_wrap=True, markup=False)
    for benchmark in report.benchmarks:
        where.print(
            f"{benchmark['file']}: {benchmark['dropped']:,} rows share {report.settings.ngram} words or a whole prompt "
            f"with one of its {benchmark['prompts']:,} prompts",
            soft_wrap=True,
            markup=False,
        )
    for note in report.notes:
        where.print(f"note: {note}", soft_wrap=True, markup=False)
    where.print(f"{out}{': was there already, nothing changed' if same else ''}", soft_wrap=True, markup=False)


def _table(report: Report) -> Table:
    """Tabulate where the rows of each source went."""
    table = Table(box=None, pad_edge=False)
    table.add_column("source", style="cyan")
    heads = ["read", *report.written, "dropped"]
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    total = {"read": report.read, **report.written, "dropped": sum(report.dropped.values())}
    rows = {**report.sources, **({"all": total} if len(report.sources) > 1 else {})}
    for name, counts in rows.items():
        lost = {"dropped": sum(counts.get(reason, 0) for reason in report.dropped)}
        table.add_row(name, *(f"{({**lost, **counts}).get(head, 0):,}" for head in heads))
    return table

"""`thinkscore diff RUN RUN`: what changed from one run to another on the same cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from ..report.diff import compare
from ..report.terminal import console
from ._cases import CaseFile, Format, SkipBad, Thoughts
from ._recorded import judged

__all__ = ["diff"]


def diff(
    first: Annotated[Path, typer.Argument(help="rows of judge --out, or a journal")],
    second: Annotated[Path, typer.Argument(help="the other run")],
    cases: Annotated[Path | None, typer.Option(help="the case file; needed for a journal")] = None,
    show: Annotated[int, typer.Option(help="how many changed cases to print", min=0)] = 10,
    seed: Annotated[int, typer.Option(help="the interval is resampled from it")] = 0,
    format: Format = None,
    skip_bad: SkipBad = False,
    thoughts: Thoughts = "keep",
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object last")] = False,
) -> None:
    """Compare two runs case by case: winners, failures, accuracy with a paired interval, cost."""
    file = None if cases is None else CaseFile(cases, format, skip_bad, thoughts)
    if file is not None:
        file.check()
    result = compare(judged(first, file), judged(second, file), seed)
    _print(console(stderr=as_json), result, (str(first), str(second)), show)
    if as_json:
        print(msgspec.json.encode(result).decode())


def _print(where: Console, result: Mapping[str, Any], names: tuple[str, str], show: int) -> None:
    cases, changed = result["cases"], result["changed"]
    for side, name in zip(("first", "second"), names, strict=True):
        where.print(f"{side}: {name}, {_usage(result['usage'][side])}", soft_wrap=True)
    where.print(f"{cases['both']:,} cases in both{_missing('first', cases)}{_missing('second', cases)}")
    where.print(
        f"{result['winners_changed']:,} winners changed, {result['failures']['appeared']:,} failures appeared, "
        f"{result['failures']['gone']:,} gone"
    )
    if result["gold_differs"]:
        where.print(f"{result['gold_differs']:,} cases have another gold in the second run; accuracy leaves them out")
    if result["accuracy"] is not None:
        where.print(_accuracy(result["accuracy"]))
    for change in changed[:show]:
        where.print(_change(change), soft_wrap=True)
    if len(changed) > show:
        where.print(f"... and {len(changed) - show:,} more; --json lists all")


def _usage(usage: Mapping[str, int]) -> str:
    return (
        f"{usage['calls']:,} calls, {usage['prompt_tokens']:,} prompt tokens, "
        f"{usage['completion_tokens']:,} completion tokens"
    )


def _missing(side: str, cases: Mapping[str, Sequence[str]]) -> str:
    ids = cases[f"only_{side}"]
    return f", {len(ids):,} only in the {side} ({', '.join(ids[:3])}{', ...' if len(ids) > 3 else ''})" if ids else ""


def _accuracy(accuracy: Mapping[str, Any]) -> str:
    first, second = (100 * accuracy[side]["accuracy_all"] for side in ("first", "second"))
    low, high = (100 * bound for bound in accuracy["interval"])
    difference = 100 * accuracy["difference"]
    return (
        f"accuracy {first:.1f} -> {second:.1f} percent over {accuracy['n']:,} cases with gold: "
        f"{difference:+.1f}, 95 % interval {low:+.1f} to {high:+.1f}"
    )


def _change(change: Mapping[str, Any]) -> str:
    before, after = change["standing"]
    held = "" if before is None and after is None else f" ({before} -> {after})"
    return f"  {change['id']}: {change['first']} -> {change['second']}{held}"

"""`thinkscore scale JOURNAL`: what accuracy costs, from one recorded pool of verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from ..errors import BadInput
from ..report.rescore import read_setup
from ..report.terminal import console
from ..scaling._base import parse_strategy
from ._cases import Anchors, CaseFile, Format, SkipBad, Thoughts
from ._run import distinct

if TYPE_CHECKING:
    from ..report.scale import Choice, Scale

__all__ = ["scale"]

Strategies = Annotated[
    list[str] | None, typer.Option(help="strategies to compare, again or in one text with spaces; default: a ladder")
]


def scale(
    journal: Annotated[Path, typer.Argument(help="the journal of a run that asked many verdicts of every case")],
    cases: Annotated[Path, typer.Option(help="the case file of the run, with gold")],
    strategies: Strategies = None,
    repeats: Annotated[int, typer.Option(help="draws from the pool that each strategy is averaged over", min=1)] = 8,
    want: Annotated[
        float | None, typer.Option(help="recommend the cheapest that surely has this accuracy, 0-1")
    ] = None,
    tokens: Annotated[
        float | None, typer.Option(help="recommend the best for so many completion tokens per case", min=0)
    ] = None,
    by: Annotated[str | None, typer.Option(help="a tag of the cases to tell accuracy by, e.g. family")] = None,
    picture: Annotated[Path | None, typer.Option(help="accuracy over tokens, as SVG")] = None,
    out: Annotated[Path | None, typer.Option(help="what --json prints, as a file")] = None,
    protocol: Annotated[str | None, typer.Option(help="how to read; default: as recorded in the manifest")] = None,
    parser: Annotated[
        str | None, typer.Option(help="strict, or the authors' way by name; default: as recorded")
    ] = None,
    format: Format = None,
    skip_bad: SkipBad = False,
    thoughts: Thoughts = "keep",
    anchors: Anchors = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object last")] = False,
) -> None:
    """Compare strategies on recorded verdicts, without any call: accuracy, cost, and the setting to choose."""
    if want is not None and not 0 < want <= 1:
        raise BadInput(f"--want is a share of the cases, above 0 and at most 1, e.g. 0.9; got {want:g}")
    for target in (picture, out):
        distinct(target, journal, cases, f"{journal}.manifest.json")
        if target is not None and not target.parent.is_dir():
            raise BadInput(f"cannot write {target}: {target.parent} is no folder")
    texts = [text for given in strategies or () for text in given.split()]
    for text in texts:
        parse_strategy(text)  # what cannot be read is told before the pool is
    setup = read_setup(journal, protocol, None if protocol is None else "vote:k=1")
    setup = setup.but(protocol=protocol, parser=parser)
    file = CaseFile(cases, format, skip_bad, thoughts, anchors)
    file.check()
    from ..report._recorded import read_pool  # here: they load numpy, and no other command needs it
    from ..report.scale import choose, compare, groups, ladder

    with _progress() as start:
        every = list(file.read())
        recorded = read_pool(journal, setup, every, start("reading verdicts", len(every)))
        if by is not None:
            groups(recorded.cases, by)  # what is no grouping is told before the work
        texts = texts or ladder(recorded)
        found = compare(recorded, texts, setup.seed, repeats, start("trying strategies", len(texts)))
    choice = None if want is None and tokens is None else choose(found, want, tokens)
    result = {"journal": str(journal), "verdicts": recorded.size, "notes": recorded.notes, **found.as_dict(by)}
    if choice is not None:
        result["recommended"] = {"want": want, "tokens": tokens, **choice.as_dict()}
    if picture is not None:
        _draw(found, picture)
    if out is not None:
        _write(out, msgspec.json.format(msgspec.json.encode(result)).decode() + "\n")
    _print(console(stderr=as_json), found, choice, result, by)
    if as_json:
        print(msgspec.json.encode(result).decode())


@contextmanager
def _progress() -> Iterator[Callable[[str, int], Callable[[], None]]]:
    """Show what is being done on standard error; gives a function that starts a part and returns what counts it on."""
    shown = console(stderr=True)
    with Progress(console=shown, disable=not shown.is_terminal, transient=True) as bar:

        def start(what: str, total: int) -> Callable[[], None]:
            task = bar.add_task(what, total=total)
            return lambda: bar.advance(task)

        yield start


def _draw(found: Scale, path: Path) -> None:
    from ..report._scale_picture import Mark, picture

    marks = [Mark(arm.text, found.cost(arm), *arm.means().accuracy) for arm in found.arms]
    _write(path, picture([mark for mark in marks if mark.cost > 0], found.unit))


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error


def _print(where: Console, found: Scale, choice: Choice | None, result: dict[str, Any], by: str | None) -> None:
    from ..report._scale_tables import advice, family_table, scale_table

    title = f"{len(found.cases):,} cases, {result['verdicts']} recorded verdicts each"
    where.print(scale_table(found, title))
    if by is not None:
        where.print(family_table(found, by))
    for note in result["notes"]:
        where.print(f"note: {note}", soft_wrap=True)
    if choice is not None:
        wish = result["recommended"]
        for line in advice(choice, wish["want"], wish["tokens"], found.unit):
            where.print(line, soft_wrap=True)

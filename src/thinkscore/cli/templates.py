"""`thinkscore templates list|show|import`: the official prompt texts of released checkpoints, on your machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from ..errors import BadInput
from ..protocols._import import import_template
from ..protocols._published import Published, find_published, load_template, published
from ..report.terminal import console

__all__ = ["templates"]

templates = typer.Typer(no_args_is_help=True, help="Official prompt texts: taken from their authors, checked, kept.")


@templates.command("list")
def listed(
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object")] = False,
) -> None:
    """List what can be imported, and what is."""
    if as_json:
        rows = [{"name": name, "imported": _imported(name), **_row(one)} for name, one in published().items()]
        typer.echo(msgspec.json.encode(rows).decode())
        return
    table = Table(box=None, pad_edge=False)
    for title in ("template", "protocol", "imported", "published"):
        table.add_column(title)
    for name, one in published().items():
        where = one.repository or f"arXiv {one.paper}, print only"
        table.add_row(name, ", ".join(one.protocols) or "-", "yes" if _imported(name) else "no", where)
    console().print(table)


@templates.command("show")
def show(name: Annotated[str, typer.Argument(help="a name from the list")]) -> None:
    """Print where a template is from, its hashes and slots, and its text if it is imported."""
    one = find_published(name)
    typer.echo(f"{name}: {_where(one)}" + (f"\n{one.note}" if one.note else ""))
    for slot, spelled in one.slots.items():
        typer.echo(f"slot {slot}: {spelled}")
    for part, pinned in one.parts.items():
        typer.echo(f"part {part}: sha256 {pinned.sha256}")
    if not _imported(name):
        source = "" if one.repository else " --from FILE"
        typer.echo(f"not imported; run: thinkscore templates import {name}{source}")
        return
    for part, text in load_template(name).parts.items():
        typer.echo(f"--- {part}")
        typer.echo(text)


@templates.command("import")
def imported(
    names: Annotated[list[str], typer.Argument(help="names from the list")],
    source: Annotated[
        Path | None,
        typer.Option("--from", help="a text file, the authors' Python file (read, never run), or a folder of such"),
    ] = None,
) -> None:
    """Take templates from their authors' publication or from a file, check their hashes, keep them in the cache."""
    for name in names:
        for part, text in import_template(name, source).parts.items():
            typer.echo(f"{name} {part}: {len(text)} characters, sha256 as pinned")


def _imported(name: str) -> bool:
    try:
        load_template(name)
    except BadInput:
        return False
    return True


def _where(one: Published) -> str:
    if not one.repository:
        return f"{one.place} (print only: import it --from FILE)"
    return f"github.com/{one.repository} at {one.commit[:7]}, {one.path}"


def _row(one: Published) -> dict[str, object]:
    fields = ("protocols", "paper", "repository", "commit", "path", "place", "slots", "note")
    return {
        **{field: getattr(one, field) for field in fields},
        "sha256": {part: pinned.sha256 for part, pinned in one.parts.items()},
    }

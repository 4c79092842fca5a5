"""`thinkscore models [NAME]`: released checkpoints that `--model` knows."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from ..protocols._models import Model, find_model
from ..protocols._models import models as known
from ..report.terminal import console

__all__ = ["models"]


def models(
    name: Annotated[str | None, typer.Argument(help="full name or alias, exactly")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object")] = False,
) -> None:
    """List the released checkpoints, or show one: how it is asked, read and sampled, and where that is known from."""
    found = list(known().values()) if name is None else [find_model(name)]
    if as_json:
        typer.echo(msgspec.json.encode(found if name is None else found[0]).decode())
    elif name is None:
        console().print(_table(found))
    else:
        _show(found[0])


def _table(found: list[Model]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("alias", "protocol", "template", "context", "licence"):
        table.add_column(title)
    for model in found:
        context = "unknown" if model.context is None else f"{model.context:,}"
        template = model.template or "-"
        table.add_row(model.aliases[0], model.protocol or "-", template, context, model.licence or "unknown")
    return table


def _show(model: Model) -> None:
    """Print every fact with its source; what nobody published is unknown."""
    for field, value in msgspec.structs.asdict(model).items():
        if field in ("notes", "sources"):
            continue
        said = ", ".join(value) if isinstance(value, tuple) else "unknown" if value is None else str(value)
        source = model.sources.get(field)
        typer.echo(f"{field:12} {said}" + (f"  ({source})" if source else ""))
    for note in model.notes:
        typer.echo(f"- {note}")

"""`thinkscore train presets [NAME]`: the published settings, with their sources."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from ...report.terminal import console

__all__ = ["presets"]


def presets(
    name: Annotated[str | None, typer.Argument(help="show this one")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object")] = False,
) -> None:
    """List the presets, or show one: every value, how it is known and where from."""
    from ...train._presets import preset, presets

    found = list(presets().values()) if name is None else [preset(name)]
    if as_json:
        typer.echo(msgspec.json.encode(found if name is None else found[0]).decode())
        return
    if name is None:
        table = Table(box=None, pad_edge=False)
        for title in ("preset", "stages", "what"):
            table.add_column(title)
        for one in found:
            table.add_row(one.name, ", ".join(one.stages), one.about)
        console().print(table)
        return
    shown = found[0]
    typer.echo(f"{shown.name}: {shown.about}")
    for part, values in {"model": shown.model, **shown.stages}.items():
        typer.echo(f"\n{part}")
        for key, value in values.items():
            remark = f"; {value.remark}" if value.remark else ""
            typer.echo(f"  {key:18} {value!s:26} {value.standing:9} ({value.source}{remark})")

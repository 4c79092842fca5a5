"""`thinkscore train scalar PREFS`: preferences and a model become a Bradley-Terry reward model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ...errors import require
from ._heads import options_of, with_head
from ._settings import Given, Model, Out, Preset, source_of, with_settings
from ._teaching import staged, tell

__all__ = ["scalar"]


@with_settings
@with_head
def scalar(
    prefs: Annotated[Path, typer.Argument(help="preferences with gold, in any format (docs/data.md)")],
    model: Model,
    out: Out,
    given: Given,
    head: Given,
    held_out: Annotated[Path | None, typer.Option("--held-out", help="other cases: accuracy after each epoch")] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="also by this tag of the held-out cases (repeat)")
    ] = None,
    margin: Annotated[float, typer.Option("--margin", help="per unit of gold between the two; 0: none", min=0)] = 0.0,
    centering: Annotated[
        float, typer.Option("--centering", help="coefficient of (better + worse)^2; 0.01 is usual", min=0)
    ] = 0.0,
    preset: Preset = None,
) -> None:
    """Train a scalar head on pairs; the result runs as --protocol scalar --engine hf:OUT."""
    require("trl", "train")
    from ...train import scalar as recipe

    settings, values = staged(preset, "scalar", given, recipe.DEFAULTS)
    options = recipe.Options(margin=margin, centering=centering, by=tuple(by or ()), **options_of(values, head))
    cases = source_of(prefs, head).read()
    held = () if held_out is None else source_of(held_out, head).read()
    rows = recipe.train_scalar(model, cases, out, settings, options, held, tell)
    _told(rows, out)


def _told(rows: Sequence[dict[str, Any]], out: Path) -> None:
    for row in rows:
        parts = {name.partition("/")[2]: value for name, value in row.items() if "/" in name}
        groups = "".join(f"; {name} {value:.3f}" for name, value in sorted(parts.items()))
        held = f"on {row['held_out_n']:.0f} held-out cases"
        typer.echo(f"epoch {row['epoch']:.3g}: accuracy {row['held_out_accuracy']:.3f} {held}{groups}")
    typer.echo(f"model: {out}; try: thinkscore judge FILE --protocol scalar --engine hf:{out}")

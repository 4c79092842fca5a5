"""`thinkscore train scalar PREFS`: preferences and a model become a Bradley-Terry reward model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ...errors import require
from .._cases import CaseFile, Format, SkipBad, Thoughts
from ._settings import Given, Model, Out, Preset, with_settings
from ._teaching import MuonLr, staged

__all__ = ["Drop", "KeepBest", "Longest", "scalar"]

Drop = Annotated[bool, typer.Option("--drop", help="leave out what cannot be trained on, counted; else it is refused")]
KeepBest = Annotated[bool, typer.Option("--keep-best", help="keep the best epoch by the held-out figures")]
Longest = Annotated[int, typer.Option("--max-length", help="tokens of a conversation; 0: what the model reads", min=0)]


@with_settings
def scalar(
    prefs: Annotated[Path, typer.Argument(help="preferences with gold, in any format (docs/data.md)")],
    model: Model,
    out: Out,
    given: Given,
    held_out: Annotated[Path | None, typer.Option("--held-out", help="other cases: accuracy after each epoch")] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="also by this tag of the held-out cases (repeat)")
    ] = None,
    margin: Annotated[float, typer.Option("--margin", help="per unit of gold between the two; 0: none", min=0)] = 0.0,
    centering: Annotated[
        float, typer.Option("--centering", help="coefficient of (better + worse)^2; 0.01 is usual", min=0)
    ] = 0.0,
    keep_best: KeepBest = False,
    muon_lr: MuonLr = None,
    max_length: Longest = 0,
    drop: Drop = False,
    preset: Preset = None,
    format: Format = None,
    skip_bad: SkipBad = False,
    thoughts: Thoughts = "keep",
) -> None:
    """Train a scalar head on pairs; the result runs as --protocol scalar --engine hf:OUT."""
    require("trl", "train")
    from ...train import scalar as recipe

    settings, values = staged(preset, "scalar", given, recipe.DEFAULTS)
    options = recipe.Options(
        margin=margin,
        centering=centering,
        muon_lr=muon_lr or values.get("muon_lr", 0.0),
        keep_best=keep_best,
        by=tuple(by or ()),
        max_length=max_length or values.get("max_length", 0),
        drop=drop,
    )
    cases, held = CaseFile(prefs, format, skip_bad, thoughts), None
    cases.check()
    if held_out is not None:
        held = CaseFile(held_out, format, skip_bad, thoughts)
        held.check()
    rows = recipe.train_scalar(model, cases.read(), out, settings, options, held.read() if held else ())
    _told(rows, out)


def _told(rows: Sequence[dict[str, Any]], out: Path) -> None:
    for row in rows:
        parts = {name.partition("/")[2]: value for name, value in row.items() if "/" in name}
        groups = "".join(f"; {name} {value:.3f}" for name, value in sorted(parts.items()))
        held = f"on {row['held_out_n']:.0f} held-out cases"
        typer.echo(f"epoch {row['epoch']:g}: accuracy {row['held_out_accuracy']:.3f} {held}{groups}")
    typer.echo(f"model: {out}; try: thinkscore judge FILE --protocol scalar --engine hf:{out}")

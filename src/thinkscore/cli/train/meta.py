"""`thinkscore train meta RUN.journal`: the traces of a run on cases with gold become a meta reward model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import BadInput, require
from ...report.export import is_run
from ...report.rescore import read_setup
from ._heads import options_of, with_head
from ._settings import Given, Model, Out, Preset, source_of, with_settings
from ._teaching import staged, tell

if TYPE_CHECKING:
    from ...train._labels import Report

__all__ = ["meta"]


@with_settings
@with_head
def meta(
    runs: Annotated[list[Path], typer.Argument(help="journals of judge --journal, asked in one protocol")],
    cases: Annotated[Path, typer.Option("--cases", help="the case file of the runs, with gold")],
    model: Model,
    out: Out,
    given: Given,
    head: Given,
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="how it was asked; default: by the manifest")
    ] = None,
    form: Annotated[
        str, typer.Option("--form", help="before the trace: prompt (the judge's own), or plain (the candidates alone)")
    ] = "prompt",
    held_out: Annotated[
        float, typer.Option("--held-out", help="share of prompts to measure on", min=0.0, max=0.9)
    ] = 0.2,
    balanced: Annotated[bool, typer.Option("--balanced", help="weigh right and wrong traces alike")] = False,
    preset: Preset = None,
) -> None:
    """Train a scalar head to tell right traces from wrong ones, and say how well it does."""
    require("trl", "train")
    from ...journal import read_journal
    from ...protocols._meta import form_of
    from ...train import meta as recipe
    from ...train._head import Refused

    settings, values = staged(preset, "meta", given, recipe.DEFAULTS)
    options = recipe.Options(form=form_of(form), held_out=held_out, balanced=balanced, **options_of(values, head))
    held, rows, refused = source_of(cases, head).by_id(), [], Refused()
    for run in runs:
        if not is_run(run):
            raise BadInput(f"{run} is no journal, and traces are labelled from journals; give what --journal wrote")
        asked = read_setup(run, protocol, "vote:k=1").but(protocol).make_protocol()
        rows += recipe.labelled(read_journal(run), held, asked, refused, options.form)
    right = sum(row.right for row in rows)
    tell(f"{len(rows)} traces: {right} right, {len(rows) - right} wrong, "
         f"of them {sum(not row.readable for row in rows)} without a verdict")  # fmt: skip
    _told(recipe.train_meta(model, rows, out, settings, options, refused, tell), out)


def _told(report: Report, out: Path) -> None:
    typer.echo(f"held out: {report.traces} traces on {report.cases} cases; {report.right} right, "
               f"{report.unreadable} without a verdict (left out below)")  # fmt: skip
    for name, value, bounds in (
        ("AUC over all traces", report.auc, report.auc_95),
        (f"AUC within a case ({report.mixed} with both)", report.auc_within, report.auc_within_95),
        ("accuracy", report.accuracy, report.accuracy_95),
    ):
        said = "-" if value is None or bounds is None else f"{value:.3f} ({bounds[0]:.3f} to {bounds[1]:.3f})"
        typer.echo(f"{name}: {said}")
    typer.echo(f"model: {out}")

"""The verbs, put together."""

from __future__ import annotations

import typer

from .audit import audit
from .calibrate import calibrate
from .demo import demo
from .diff import diff
from .engines import engines
from .export import export
from .judge import judge
from .lab import lab
from .models import models
from .rank import rank
from .report import report
from .rescore import rescore
from .scale import scale
from .show import show
from .templates import templates
from .train import train

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Reward models that reason before they score.",
)
app.command()(demo)
app.command()(judge)
app.command()(rank)
app.command()(show)
app.command()(report)
app.command()(rescore)
app.command()(scale)
app.command()(audit)
app.command()(export)
app.command()(diff)
app.command()(calibrate)
app.command()(models)
app.add_typer(lab, name="lab")
app.add_typer(templates, name="templates")
app.add_typer(engines, name="engines")
app.add_typer(train, name="train")


@app.callback()
def _verbs() -> None:
    """Hold the verbs together; `thinkscore VERB --help` explains each."""

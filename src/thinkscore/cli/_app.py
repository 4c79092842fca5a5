"""The verbs, put together."""

from __future__ import annotations

import typer

from .demo import demo
from .judge import judge
from .lab import lab
from .show import show

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Reward models that reason before they score.",
)
app.command()(demo)
app.command()(judge)
app.command()(show)
app.add_typer(lab, name="lab")


@app.callback()
def _verbs() -> None:
    """Hold the verbs together; `thinkscore VERB --help` explains each."""

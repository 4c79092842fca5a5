"""`thinkscore train RECIPE`: one file per recipe; torch is loaded when a recipe runs."""

from __future__ import annotations

import typer

from .data import data
from .distill import distill
from .meta import meta
from .patterns import patterns
from .plan import plan
from .presets import presets
from .rft import rft
from .rl import rl
from .scalar import scalar

__all__ = ["train"]

train = typer.Typer(no_args_is_help=True, help="Train a judge, from data to a model; plan what it costs.")
train.command()(data)
train.command()(plan)
train.command()(presets)
train.command()(rl)
train.command()(distill)
train.command()(rft)
train.command()(meta)
train.command()(scalar)
train.command()(patterns)

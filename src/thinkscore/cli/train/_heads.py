"""What the recipes with a scalar head share on the command line.

A command that is decorated with `with_head` gets those of its options that were given as one mapping, `head`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from .._cases import Format, SkipBad, Thoughts
from ._settings import Given, MuonLr, picked, with_options

__all__ = ["options_of", "with_head"]

_OPTIONS: dict[str, Any] = {
    "keep_best": Annotated[
        bool | None, typer.Option("--keep-best", help="keep the best epoch by the held-out figures")
    ],
    "muon_lr": MuonLr,
    "max_length": Annotated[
        int | None, typer.Option("--max-length", help="tokens of a conversation; 0: what the model reads", min=0)
    ],
    "drop": Annotated[
        bool | None,
        typer.Option("--drop/--no-drop", help="leave out what cannot be trained on, counted; else it is refused"),
    ],
    "format": Format,
    "skip_bad": SkipBad,
    "thoughts": Thoughts,
}

with_head = with_options("head", _OPTIONS)
"""Add them to a command that has a parameter `head: Given`."""


def options_of(values: Mapping[str, Any], head: Given) -> dict[str, Any]:
    """Lay flags over a preset's values, as the `Options` of both recipes take them."""
    return picked(values, "muon_lr", "max_length", "drop") | picked(head, "keep_best", "muon_lr", "max_length", "drop")

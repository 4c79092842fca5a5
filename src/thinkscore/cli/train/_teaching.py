"""What the recipes that learn from traces share on the command line: who writes, how it draws, what was done.

A command that is decorated with `with_teaching` gets those of its options that were given as one mapping, `taught`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import BadInput
from ...judge import make_protocol
from ...protocols._base import Protocol
from ...types import Sampling
from .._budget import MaxCost, MaxTotalTokens, Prices, budget_of
from .._cases import Format, SkipBad
from ._settings import Given, MuonLr, picked, settings_of, with_options

if TYPE_CHECKING:
    from ...train._run import Settings
    from ...train.distill import Synthesis, Trained

__all__ = ["how_of", "protocol_of", "staged", "synthesis_of", "tell", "told", "with_teaching", "work_of"]

_OPTIONS: dict[str, Any] = {
    "protocol": Annotated[
        str | None, typer.Option("--protocol", help="how the judge will be asked: rm_r1, rrm, ... or the preset's")
    ],
    "template": Annotated[
        str | None, typer.Option("--template", help="own, an official text by name, or your own file (or the preset's)")
    ],
    "samples": Annotated[int | None, typer.Option("--samples", help="rejection: per case; default 3", min=1)],
    "hinted": Annotated[
        bool | None,
        typer.Option("--hinted/--no-hinted", help="rejection: one more sample, told the verdict; default yes"),
    ],
    "drop_easy": Annotated[
        bool | None,
        typer.Option(
            "--drop-easy/--no-drop-easy", help="rejection: drop cases that all samples get right; default yes"
        ),
    ],
    "orders": Annotated[
        str | None, typer.Option("--orders", help="balanced (default), or as_is: candidates as the file has them")
    ],
    "temperature": Annotated[float | None, typer.Option("--temperature", help="of the teacher; default 1", min=0)],
    "top_p": Annotated[float | None, typer.Option("--top-p", help="of the teacher, 0 < p <= 1; default 1")],
    "max_tokens": Annotated[int | None, typer.Option("--max-tokens", help="limit per trace; default 8192", min=1)],
    "max_length": Annotated[
        int | None, typer.Option("--max-length", help="tokens of prompt and trace; longer ones are left out", min=1)
    ],
    "muon_lr": MuonLr,
    "batch_tokens": Annotated[
        int | None,
        typer.Option("--batch-tokens", help="small models: passes of so many tokens; a batch counts passes", min=0),
    ],
    "format": Format,
    "skip_bad": SkipBad,
    "max_lost": Annotated[
        float | None,
        typer.Option("--max-lost", help="share of the teacher's calls that may fail; default 0.01", min=0, max=1),
    ],
    "max_total_tokens": MaxTotalTokens,
    "max_cost": MaxCost,
    "prices": Prices,
}

with_teaching = with_options("taught", _OPTIONS)
"""Add them to a command that has a parameter `taught: Given`."""


def tell(line: str) -> None:
    """Say something before the training starts, once for all processes of a launcher."""
    if os.environ.get("RANK", "0") == "0":
        print(f"thinkscore: {line}", file=sys.stderr)


def staged(
    preset: str | None, stage: str, given: Given, defaults: Mapping[str, Any]
) -> tuple[Settings, dict[str, Any]]:
    """Return the settings, and all values of the preset's stage with its protocol and template.

    What nobody published is told.
    """
    if preset is None:
        return settings_of(given, defaults), {}
    from ...train._presets import preset as find

    found = find(preset)
    for note in found.notes(stage):
        tell(note)
    asked = {name: found.model[name].value for name in ("protocol", "template")}
    return settings_of(given, found.loop(stage)), {**found.values(stage), **asked}


def protocol_of(values: Mapping[str, Any], taught: Given, default: str) -> Protocol:
    """Make the protocol that was given, else the preset's, else the default; a preset's template goes with its own."""
    name, template = taught.get("protocol", values.get("protocol", default)), taught.get("template")
    if template is None and name == values.get("protocol"):
        template = values["template"]
    return make_protocol(name, template=template)


def synthesis_of(taught: Given, sampling: Mapping[str, Any], **more: Any) -> Synthesis:
    """Say how traces are made: what was given, else what is told here."""
    from ...train.distill import Synthesis

    if taught.get("orders", "balanced") not in ("balanced", "as_is"):
        raise BadInput(f"--orders is balanced or as_is; got {taught['orders']!r}")
    drawn = Sampling(**{**sampling, **picked(taught, "temperature", "top_p", "max_tokens")})
    return Synthesis(**{**more, **picked(taught, "samples", "hinted", "drop_easy", "orders")}, sampling=drawn)


def how_of(values: Mapping[str, Any], taught: Given, header: bool = False) -> dict[str, Any]:
    """Lay flags over a preset's values for what is special to this recipe; what is not set is left out."""
    found = {**picked(values, "max_length", "muon_lr", "batch_tokens"),
             **picked(taught, "max_length", "muon_lr", "batch_tokens"),
             "header": header or values.get("header_loss", False)}  # fmt: skip
    return {name: value for name, value in found.items() if value}


def work_of(taught: Given) -> dict[str, Any]:
    """Say what the teacher may cost and leave unanswered."""
    limits = picked(taught, "max_total_tokens", "max_cost", "prices")
    return {**picked(taught, "max_lost"), "budget": budget_of(**limits)}


def told(done: Trained, out: Path, protocol: Protocol | None = None) -> None:
    """Say what a training did, and how to ask the judge that it made."""
    asked = (
        f" --protocol {protocol.id}{f':{protocol.rest}' if protocol.rest else ''}" if protocol else " --protocol NAME"
    )
    if protocol is not None and protocol.template is not None:
        asked += f" --template {protocol.template.name}"
    seconds = f" in {done.seconds:.0f} s" if done.seconds else " (it was done before)"
    typer.echo(f"trained on {done.rows} traces, {done.steps} updates{seconds}")
    typer.echo(f"loss {done.first:.4f} at first, {done.last:.4f} at last")
    typer.echo(f"model: {out}; try: thinkscore judge FILE{asked} --engine hf:{out}")

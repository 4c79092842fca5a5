"""What the recipes that learn from traces share on the command line: who writes, how it draws, what was done."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import BadInput
from ...judge import make_protocol
from ...protocols._base import Protocol
from ...types import Sampling
from ._settings import Given, settings_of

if TYPE_CHECKING:
    from ...train._run import Settings
    from ...train.distill import Trained

__all__ = [
    "BatchTokens",
    "MaxLength",
    "MaxLost",
    "MaxTokens",
    "MuonLr",
    "Orders",
    "ProtocolName",
    "Second",
    "Temperature",
    "TemplateName",
    "TopP",
    "how_of",
    "orders_of",
    "protocol_of",
    "sampling_of",
    "staged",
    "tell",
    "told",
]

Second = Annotated[str, typer.Option("--second", help="URI of the engine that writes with the verdict given")]
Orders = Annotated[str, typer.Option("--orders", help="balanced, or as_is: candidates as the file has them")]
ProtocolName = Annotated[
    str | None, typer.Option("--protocol", help="how the judge will be asked: rm_r1, rrm, ... (default: the preset's)")
]
TemplateName = Annotated[
    str | None, typer.Option("--template", help="own, an official text by name, or your own file (or the preset's)")
]
Temperature = Annotated[float | None, typer.Option("--temperature", help="of the teacher; default 1", min=0)]
TopP = Annotated[float, typer.Option("--top-p", help="of the teacher, 0 < p <= 1")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", help="limit per trace; default 8192", min=1)]
MaxLost = Annotated[
    float, typer.Option("--max-lost", help="share of the teacher's calls that may stay unanswered", min=0, max=1)
]
MaxLength = Annotated[
    int | None, typer.Option("--max-length", help="tokens of prompt and trace; longer ones are left out", min=1)
]
MuonLr = Annotated[float | None, typer.Option("--muon-lr", help="small models: Muon at this rate for hidden matrices")]
BatchTokens = Annotated[
    int, typer.Option("--batch-tokens", help="small models: passes of so many tokens; a batch counts passes", min=0)
]


def tell(line: str) -> None:
    """Say something before the training starts."""
    print(f"thinkscore: {line}", file=sys.stderr)


def sampling_of(temperature: float | None, top_p: float, max_tokens: int | None) -> Sampling:
    """Make what the teacher draws by."""
    default = Sampling()
    return Sampling(
        default.temperature if temperature is None else temperature,
        top_p,
        default.max_tokens if max_tokens is None else max_tokens,
    )


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


def protocol_of(values: Mapping[str, Any], protocol: str | None, template: str | None, default: str) -> Protocol:
    """Make the protocol that was given, else the preset's, else the default; a preset's template goes with its own."""
    name = protocol or values.get("protocol", default)
    if template is None and name == values.get("protocol"):
        template = values["template"]
    return make_protocol(name, template=template)


def how_of(
    values: dict[str, Any], header: bool, max_length: int | None, muon_lr: float | None, batch_tokens: int
) -> dict[str, Any]:
    """Lay flags over a preset's values for what is special to this recipe; what is not set is left out."""
    found = {
        "header": header or values.get("header_loss", False),
        "max_length": max_length or values.get("max_length"),
        "muon_lr": muon_lr or values.get("muon_lr"),
        "batch_tokens": batch_tokens or values.get("batch_tokens", 0),
    }
    return {name: value for name, value in found.items() if value}


def orders_of(given: str) -> Any:
    """Check the name of an order."""
    if given not in ("balanced", "as_is"):
        raise BadInput(f"--orders is balanced or as_is; got {given!r}")
    return given


def told(done: Trained, out: Path, protocol: Protocol | None = None) -> None:
    """Say what a training did, and how to ask the judge that it made."""
    asked = "" if protocol is None else f" --protocol {protocol.id}{f':{protocol.rest}' if protocol.rest else ''}"
    if protocol is not None and protocol.template is not None:
        asked += f" --template {protocol.template.name}"
    seconds = f" in {done.seconds:.0f} s" if done.seconds else " (it was done before)"
    typer.echo(f"trained on {done.rows} traces, {done.steps} updates{seconds}")
    typer.echo(f"loss {done.first:.4f} at first, {done.last:.4f} at last")
    typer.echo(f"model: {out}; try: thinkscore judge FILE{asked} --engine hf:{out}")

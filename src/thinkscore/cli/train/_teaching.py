"""What the recipes that learn from traces share on the command line: who writes, how it draws, what was done."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import BadInput
from ...types import Sampling
from ._settings import Given, settings_of

if TYPE_CHECKING:
    from ...train._run import Settings
    from ...train.distill import Trained

__all__ = [
    "BatchTokens",
    "MaxLength",
    "MaxTokens",
    "MuonLr",
    "Orders",
    "Second",
    "Temperature",
    "TopP",
    "how_of",
    "orders_of",
    "sampling_of",
    "staged",
    "tell",
    "told",
]

Second = Annotated[str, typer.Option("--second", help="URI of the engine that writes with the verdict given")]
Orders = Annotated[str, typer.Option("--orders", help="balanced, or file: candidates as the file has them")]
Temperature = Annotated[float, typer.Option("--temperature", help="of the teacher", min=0)]
TopP = Annotated[float, typer.Option("--top-p", help="of the teacher, 0 < p <= 1")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", help="limit per trace; default 8192", min=1)]
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


def sampling_of(temperature: float, top_p: float, max_tokens: int | None) -> Sampling:
    """Make what the teacher draws by."""
    return Sampling(temperature, top_p, Sampling().max_tokens if max_tokens is None else max_tokens)


def staged(
    preset: str | None, stage: str, given: Given, defaults: Mapping[str, Any]
) -> tuple[Settings, dict[str, Any]]:
    """Return the settings, and all values of the preset's stage; what nobody published is told."""
    if preset is None:
        return settings_of(given, defaults), {}
    from ...train._presets import preset as find

    found = find(preset)
    for note in found.notes(stage):
        tell(note)
    return settings_of(given, found.loop(stage)), found.values(stage)


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
    if given not in ("balanced", "file"):
        raise BadInput(f"--orders is balanced or file; got {given!r}")
    return given


def told(done: Trained, out: Path) -> None:
    """Say what a training did."""
    seconds = f" in {done.seconds:.0f} s" if done.seconds else " (it was done before)"
    typer.echo(f"trained on {done.rows} traces, {done.steps} updates{seconds}")
    typer.echo(f"loss {done.first:.4f} at first, {done.last:.4f} at last")
    typer.echo(f"model: {out}; try: thinkscore judge FILE --engine hf:{out}")

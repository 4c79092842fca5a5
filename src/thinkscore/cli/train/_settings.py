"""The options that every recipe shares: model, folder, preset, and the settings of the training loop.

A command that is decorated with `with_settings` takes them all and gets those that were given as one mapping,
`given`; `settings_of` lays them over the defaults of the recipe (or of a preset's stage).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ...errors import BadInput
from .._cases import CaseFile

if TYPE_CHECKING:
    from ...train._run import Settings

__all__ = [
    "Given",
    "Model",
    "MuonLr",
    "Out",
    "Preset",
    "picked",
    "settings_of",
    "source_of",
    "with_options",
    "with_settings",
]

Given = Mapping[str, Any]
"""The options that were given, by the field of `train._run.Settings`."""

Model = Annotated[str, typer.Option("--model", help="what to train: a folder or a Hub id")]


def _folder(out: Path) -> Path:
    """Refuse a place where no folder can be."""
    for place in (out, *out.parents):
        if place.exists() and not place.is_dir():
            raise BadInput(f"--out {out}: {place} is a file; give a folder, new or of the run that is to go on")
    return out


Out = Annotated[
    Path,
    typer.Option("--out", callback=_folder, help="folder of the trained model; the same command goes on after a stop"),
]
Preset = Annotated[str | None, typer.Option("--preset", help="published settings: rm_r1_7b, rrm_32b, grm_27b, lab ...")]
MuonLr = Annotated[
    float | None, typer.Option("--muon-lr", help="small models: Muon at this rate for hidden matrices", min=0)
]

_OPTIONS: dict[str, Any] = {
    "seed": Annotated[int | None, typer.Option("--seed", help="orders, samples and batches derive from it")],
    "learning_rate": Annotated[float | None, typer.Option("--lr", help="highest learning rate", min=0)],
    "batch_size": Annotated[int | None, typer.Option("--batch-size", help="rows per update", min=1)],
    "micro_batch": Annotated[int | None, typer.Option("--micro-batch", help="rows per forward pass", min=1)],
    "epochs": Annotated[float | None, typer.Option("--epochs", help="passes over the rows", min=0)],
    "steps": Annotated[int | None, typer.Option("--steps", help="updates, instead of --epochs", min=1)],
    "schedule": Annotated[str | None, typer.Option("--schedule", help="of the learning rate: cosine, linear, ...")],
    "warmup": Annotated[float | None, typer.Option("--warmup", help="steps; below 1 a share of all steps", min=0)],
    "weight_decay": Annotated[float | None, typer.Option("--weight-decay", min=0)],
    "lora": Annotated[int | None, typer.Option("--lora", help="rank of an adapter; 0 trains all weights", min=0)],
    "bf16": Annotated[bool | None, typer.Option("--bf16/--no-bf16", help="compute in bfloat16")],
    "dtype": Annotated[str | None, typer.Option("--dtype", help="of the weights: float32, bfloat16, float16")],
    "checkpointing": Annotated[
        bool | None, typer.Option("--checkpointing/--no-checkpointing", help="less memory, more time")
    ],
    "save_steps": Annotated[int | None, typer.Option("--save-steps", help="updates between saves; 0: none", min=0)],
    "report_to": Annotated[list[str] | None, typer.Option("--report-to", help="tensorboard, wandb, trackio (repeat)")],
    "threads": Annotated[int | None, typer.Option("--threads", help="CPU threads; 0 leaves it to torch", min=0)],
}  # fmt: skip


def with_options(parameter: str, options: Mapping[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add options to a command that has a parameter for all of them: it gets those that were given, by name."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        own = [
            one.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            for name, one in inspect.signature(command).parameters.items()
            if name != parameter
        ]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in options.items()
        ]

        @functools.wraps(command)
        def run(**values: Any) -> None:
            given = {name: value for name in options if (value := values.pop(name)) is not None}
            command(**values, **{parameter: given})

        signature = inspect.Signature([*own, *added])
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
        return run

    return add


with_settings = with_options("given", _OPTIONS)
"""Add the options of the training loop to a command that has a parameter `given: Given`."""


def picked(given: Given, *names: str) -> dict[str, Any]:
    """Return those of the named options that were given."""
    return {name: given[name] for name in names if name in given}


def source_of(file: Path, given: Given) -> CaseFile:
    """Open the cases of a recipe, and say what is to be said about them."""
    source = CaseFile(file, **picked(given, "format", "skip_bad", "thoughts"))
    source.check()
    return source


def settings_of(given: Given, defaults: Mapping[str, Any]) -> Settings:
    """Lay the given options over a recipe's (or preset's) values. Raises `BadInput` for one that is needed."""
    from ...train._run import Settings

    values = {**defaults, **given}
    if "epochs" in given and "steps" not in given:
        values.pop("steps", None)
    if "schedule" in given:
        values.pop("final", None)  # it belongs to the schedule that it came with
    for name, flag in (("learning_rate", "--lr"), ("batch_size", "--batch-size")):
        if name not in values:
            raise BadInput(f"this recipe has no default for {flag}; give it, or --preset")
    if values.get("epochs", 1) <= 0:
        raise BadInput(f"--epochs {values['epochs']:g} would train on nothing; give more than 0")
    values["report_to"] = tuple(values.get("report_to", ()))
    return Settings(**values)

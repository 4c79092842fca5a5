"""`thinkscore train rft`: learn from samples that gold confirms, a generator's or the model's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...errors import require
from ._settings import Given, Model, Out, Preset, source_of, with_settings
from ._teaching import how_of, protocol_of, staged, synthesis_of, tell, told, with_teaching, work_of

__all__ = ["rft"]

DEFAULTS = {"learning_rate": 5e-6, "batch_size": 32, "schedule": "cosine", "warmup": 0.03}


@with_settings
@with_teaching
def rft(
    file: Annotated[Path, typer.Argument(help="preferences with gold, in any format (docs/data.md)")],
    model: Model,
    out: Out,
    given: Given,
    taught: Given,
    generator: Annotated[
        str, typer.Option("--generator", help="URI of the engine that writes the samples; default: the model itself")
    ] = "",
    sampler: Annotated[str, typer.Option(help="engine for the model's own samples: hf, embedded, hf?batch=64")] = "hf",
    rounds: Annotated[int, typer.Option(min=1, help="further rounds learn from the model's own samples")] = 1,
    general: Annotated[Path | None, typer.Option("--general", help="rows of general instruction to mix in")] = None,
    preset: Preset = None,
) -> None:
    """Fine-tune on samples that gold confirms; wrong ones and cases that are too easy are dropped."""
    require("trl", "train")
    from ...train import rft as recipe
    from ...train.distill import read_traces

    settings, values = staged(preset, "rft", given, DEFAULTS)
    asked = protocol_of(values, taught, "deepseek_grm")
    sampling = {"temperature": values["generator_temperature"]} if "generator_temperature" in values else {}
    more = {"method": "rejection", "teacher": generator, "seed": settings.seed, "samples": values.get("samples", 3)}
    synthesis = synthesis_of(taught, sampling, **more)
    if "generator" in values and not generator:
        tell(f"{preset}, rft: the published samples are by {values['generator']}; without --generator URI the model "
             "draws its own")  # fmt: skip
    results = recipe.rft(
        model, source_of(file, taught).read(), out, settings, synthesis, protocol=asked,
        general=[] if general is None else read_traces(general), rounds=rounds, sampler=sampler, tell=tell,
        **work_of(taught), **how_of(values, taught),
    )  # fmt: skip
    for number, (_, done) in enumerate(results, 1):
        told(done, out if number == rounds else out / f"round-{number}", asked)

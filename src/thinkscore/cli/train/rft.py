"""`thinkscore train rft`: learn from samples that gold confirms, a generator's or the model's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...errors import require
from .._budget import MaxCost, MaxTotalTokens, Prices, budget_of
from .._cases import CaseFile, Format, SkipBad
from ._settings import Given, Model, Out, Preset, with_settings
from ._teaching import (
    BatchTokens,
    MaxLength,
    MaxLost,
    MaxTokens,
    MuonLr,
    Orders,
    ProtocolName,
    Temperature,
    TemplateName,
    TopP,
    how_of,
    orders_of,
    protocol_of,
    sampling_of,
    staged,
    tell,
    told,
)

__all__ = ["rft"]

DEFAULTS = {"learning_rate": 5e-6, "batch_size": 32, "schedule": "cosine", "warmup": 0.03}


@with_settings
def rft(
    file: Annotated[Path, typer.Argument(help="preferences with gold, in any format (docs/data.md)")],
    model: Model,
    out: Out,
    given: Given,
    protocol: ProtocolName = None,
    template: TemplateName = None,
    generator: Annotated[
        str, typer.Option("--generator", help="URI of the engine that writes the samples; default: the model itself")
    ] = "",
    sampler: Annotated[str, typer.Option(help="engine for the model's own samples: hf, embedded, hf?batch=64")] = "hf",
    rounds: Annotated[int, typer.Option(min=1, help="further rounds learn from the model's own samples")] = 1,
    general: Annotated[Path | None, typer.Option("--general", help="rows of general instruction to mix in")] = None,
    samples: Annotated[int | None, typer.Option("--samples", help="per case; default 3", min=1)] = None,
    hinted: Annotated[bool, typer.Option(help="one more sample per case that is told the best response")] = True,
    drop_easy: Annotated[bool, typer.Option(help="drop cases that all samples get right")] = True,
    orders: Orders = "balanced",
    temperature: Temperature = None,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = None,
    max_length: MaxLength = None,
    muon_lr: MuonLr = None,
    batch_tokens: BatchTokens = 0,
    preset: Preset = None,
    format: Format = None,
    skip_bad: SkipBad = False,
    max_lost: MaxLost = 0.01,
    max_total_tokens: MaxTotalTokens = None,
    max_cost: MaxCost = None,
    prices: Prices = None,
) -> None:
    """Fine-tune on samples that gold confirms; wrong ones and cases that are too easy are dropped."""
    require("trl", "train")
    from ...train import rft as recipe
    from ...train.distill import Synthesis, read_traces

    settings, values = staged(preset, "rft", given, DEFAULTS)
    asked = protocol_of(values, protocol, template, "deepseek_grm")
    synthesis = Synthesis(
        method="rejection",
        teacher=generator,
        samples=samples or values.get("samples", 3),
        hinted=hinted,
        drop_easy=drop_easy,
        orders=orders_of(orders),
        seed=settings.seed,
        sampling=sampling_of(
            values.get("generator_temperature") if temperature is None else temperature, top_p, max_tokens
        ),
    )
    if "generator" in values and not generator:
        tell(f"{preset}, rft: the published samples are by {values['generator']}; without --generator URI the model "
             "draws its own")  # fmt: skip
    source = CaseFile(file, format, skip_bad)
    source.check()
    results = recipe.rft(
        model, source.read(), out, settings, synthesis, protocol=asked,
        general=[] if general is None else read_traces(general), rounds=rounds, sampler=sampler, tell=tell,
        max_lost=max_lost, budget=budget_of(max_total_tokens, max_cost, prices),
        **how_of(values, False, max_length, muon_lr, batch_tokens),
    )  # fmt: skip
    for number, (_, done) in enumerate(results, 1):
        told(done, out if number == rounds else out / f"round-{number}", asked)

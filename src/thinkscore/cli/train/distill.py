"""`thinkscore train distill`: a preference file and a model become a judge that reasons, with a teacher's traces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ...errors import BadInput, require
from .._budget import MaxCost, MaxTotalTokens, Prices, budget_of
from .._cases import CaseFile, Format, SkipBad
from .._run import distinct
from ._settings import Given, Model, Out, Preset, with_settings
from ._teaching import (
    BatchTokens,
    MaxLength,
    MaxLost,
    MaxTokens,
    MuonLr,
    Orders,
    ProtocolName,
    Second,
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

__all__ = ["distill"]

DEFAULTS = {"learning_rate": 1e-5, "batch_size": 32, "schedule": "cosine", "warmup": 0.03}


@with_settings
def distill(
    model: Model,
    out: Out,
    given: Given,
    file: Annotated[Path | None, typer.Argument(help="preferences with gold, in any format (docs/data.md)")] = None,
    traces: Annotated[Path | None, typer.Option("--traces", help="train on these traces instead")] = None,
    protocol: ProtocolName = None,
    template: TemplateName = None,
    teacher: Annotated[
        str, typer.Option("--teacher", help="URI of the engine that writes the traces, or: labels (verdicts alone)")
    ] = "",
    second: Second = "",
    method: Annotated[str, typer.Option("--method", help="two_pass (RM-R1) or rejection (DeepSeek-GRM)")] = "two_pass",
    samples: Annotated[int, typer.Option("--samples", help="rejection: per case", min=1)] = 3,
    hinted: Annotated[bool, typer.Option(help="rejection: one more sample that is told the verdict")] = True,
    drop_easy: Annotated[bool, typer.Option(help="rejection: drop cases that all samples get right")] = True,
    orders: Orders = "balanced",
    temperature: Temperature = None,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = None,
    header: Annotated[bool, typer.Option("--header", help="train the assistant header too, as RM-R1's script")] = False,
    max_length: MaxLength = None,
    muon_lr: MuonLr = None,
    batch_tokens: BatchTokens = 0,
    only_traces: Annotated[bool, typer.Option("--only-traces", help="write OUT/traces.jsonl, train nothing")] = False,
    preset: Preset = None,
    format: Format = None,
    skip_bad: SkipBad = False,
    max_lost: MaxLost = 0.01,
    max_total_tokens: MaxTotalTokens = None,
    max_cost: MaxCost = None,
    prices: Prices = None,
) -> None:
    """Let a teacher write traces, keep those that gold confirms, and train a model on them."""
    if (file is None) == (traces is None):
        raise BadInput("give a preference file, for which a teacher writes traces, or --traces FILE; not both")
    require("trl", "train")
    from ...train import distill as recipe

    settings, values = staged(preset, "distill", given, DEFAULTS)
    how = how_of(values, header, max_length, muon_lr, batch_tokens)
    if traces is not None:
        distinct(out / "traces.jsonl", traces)
        return told(recipe.distill(model, recipe.read_traces(traces), out, settings, tell=tell, **how), out)
    asked = protocol_of(values, protocol, template, "rm_r1")
    synthesis = recipe.Synthesis(
        method="labels" if teacher == "labels" else _method(method),
        teacher="" if teacher == "labels" else teacher,
        second=second,
        samples=samples,
        hinted=hinted,
        drop_easy=drop_easy,
        orders=orders_of(orders),
        seed=settings.seed,
        sampling=sampling_of(temperature, top_p, max_tokens or values.get("teacher_max_tokens")),
    )
    source = CaseFile(file, format, skip_bad)  # type: ignore[arg-type]
    source.check()
    _, done = recipe.teach(
        model, source.read(), out, settings, synthesis, protocol=asked, tell=tell, max_lost=max_lost,
        budget=budget_of(max_total_tokens, max_cost, prices), only_traces=only_traces, **how,
    )  # fmt: skip
    typer.echo(f"traces: {out / 'traces.jsonl'}")
    if done is not None:
        told(done, out, asked)


def _method(given: str) -> Any:
    if given not in ("two_pass", "rejection"):
        raise BadInput(f"--method is two_pass or rejection; got {given!r}")
    return given

"""`thinkscore train distill`: a preference file and a model become a judge that reasons, with a teacher's traces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...errors import BadInput, require
from .._run import distinct
from ._settings import Given, Model, Out, Preset, source_of, with_settings
from ._teaching import how_of, protocol_of, staged, synthesis_of, tell, told, with_teaching, work_of

__all__ = ["distill"]

DEFAULTS = {"learning_rate": 1e-5, "batch_size": 32, "schedule": "cosine", "warmup": 0.03}


@with_settings
@with_teaching
def distill(
    model: Model,
    out: Out,
    given: Given,
    taught: Given,
    file: Annotated[Path | None, typer.Argument(help="preferences with gold, in any format (docs/data.md)")] = None,
    traces: Annotated[Path | None, typer.Option("--traces", help="train on these traces instead")] = None,
    teacher: Annotated[
        str, typer.Option("--teacher", help="URI of the engine that writes the traces, or: labels (verdicts alone)")
    ] = "",
    second: Annotated[str, typer.Option("--second", help="URI of the engine that writes with the verdict given")] = "",
    method: Annotated[str, typer.Option("--method", help="two_pass (RM-R1) or rejection (DeepSeek-GRM)")] = "two_pass",
    header: Annotated[bool, typer.Option("--header", help="train the assistant header too, as RM-R1's script")] = False,
    only_traces: Annotated[bool, typer.Option("--only-traces", help="write OUT/traces.jsonl, train nothing")] = False,
    preset: Preset = None,
) -> None:
    """Let a teacher write traces, keep those that gold confirms, and train a model on them."""
    if (file is None) == (traces is None):
        raise BadInput("give a preference file, for which a teacher writes traces, or --traces FILE; not both")
    require("trl", "train")
    from ...train import distill as recipe

    settings, values = staged(preset, "distill", given, DEFAULTS)
    how = how_of(values, taught, header)
    if traces is not None:
        distinct(out / "traces.jsonl", traces)
        return told(recipe.distill(model, recipe.read_traces(traces), out, settings, tell=tell, **how), out)
    asked = protocol_of(values, taught, "rm_r1")
    if method not in ("two_pass", "rejection"):
        raise BadInput(f"--method is two_pass or rejection; got {method!r}")
    sampling = {"max_tokens": values["teacher_max_tokens"]} if "teacher_max_tokens" in values else {}
    who = {"method": "labels"} if teacher == "labels" else {"method": method, "teacher": teacher}
    synthesis = synthesis_of(taught, sampling, **who, second=second, seed=settings.seed)
    cases = source_of(file, taught).read()  # type: ignore[arg-type]
    _, done = recipe.teach(
        model, cases, out, settings, synthesis, protocol=asked, tell=tell, only_traces=only_traces,
        **work_of(taught), **how,
    )  # fmt: skip
    typer.echo(f"traces: {out / 'traces.jsonl'}")
    if done is not None:
        told(done, out, asked)

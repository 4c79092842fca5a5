"""`thinkscore train plan`: what a preset would take on some GPUs, with every assumption."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from ...errors import BadInput

__all__ = ["plan"]


def plan(
    preset: Annotated[str, typer.Option("--preset", help="whose settings")],
    gpus: Annotated[int, typer.Option("--gpus", min=1, help="how many")],
    gpu: Annotated[str, typer.Option(help="h100, h200, a100-80, or NAME:GIB:TERAFLOPS:TERABYTES_PER_SECOND")] = "h100",
    stage: Annotated[str, typer.Option(help="distill, rft, rl, meta, scalar or all")] = "all",
    model: Annotated[str | None, typer.Option(help="another base: a folder with its config.json")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="cases or traces, if not as many as the authors had")] = None,
    lora: Annotated[int, typer.Option(min=0, help="rank of an adapter; 0 trains all weights")] = 0,
    prompt_tokens: Annotated[float | None, typer.Option(min=1, help="mean length of a prompt")] = None,
    answer_tokens: Annotated[float | None, typer.Option(min=1, help="mean length of an answer")] = None,
    busy: Annotated[float | None, typer.Option(min=0.01, max=1, help="share of the peak in training")] = None,
    hours_rate: Annotated[float | None, typer.Option(min=0, help="price of a GPU-hour")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object")] = False,
) -> None:
    """Estimate memory, tokens, operations and GPU-hours of a training, and whether it fits."""
    from ...train import plan as planning
    from ...train._plan_text import lines
    from ...train._presets import preset as find_preset
    from ...train._sizes import shape_of

    found, kind = find_preset(preset), planning.find_gpu(gpu)
    base = model or found.base
    if base is None:
        raise BadInput(f"preset {preset} starts from no model of its own; give --model a folder with its config.json")
    stated = {"prompt": prompt_tokens, "answer": answer_tokens, "busy": busy}
    given = {name: value for name, value in stated.items() if value is not None}
    plans, left_out = [], []
    for name in found.stages if stage == "all" else [stage]:
        try:
            assumed = msgspec.structs.replace(planning.assumed(found.values(name)), **given)
            plans.append(planning.plan(found, name, base, shape_of(base), gpus=gpus, gpu=kind, rows=rows, lora=lora,
                                       assumptions=assumed))  # fmt: skip
        except BadInput as error:
            if stage != "all":
                raise
            left_out.append(f"{name} is not planned: {error}")
    if not plans:
        raise BadInput("; ".join(left_out))
    if as_json:
        objects = [{**msgspec.to_builtins(p), "wall": p.wall, "gpu_hours": p.gpu_hours} for p in plans]
        typer.echo(msgspec.json.encode(objects))
        return
    typer.echo("\n\n".join([*("\n".join(lines(p, hours_rate)) for p in plans), *left_out]))

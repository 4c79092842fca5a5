"""`thinkscore train rl CASES --model M --out DIR`: reinforcement learning with a verifiable reward."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ...errors import BadInput, require
from ...judge import make_protocol
from .._cases import CaseFile, Format, SkipBad
from ._settings import Given, Model, Out, Preset, settings_of, with_settings

__all__ = ["rl"]

_LOOP = {"learning_rate": 1e-6, "batch_size": 128, "betas": (0.9, 0.99)}
"""Without a preset: a rate at which models of billions of weights are tuned."""


@with_settings
def rl(
    cases: Annotated[Path, typer.Argument(help="preferences with gold, in any format (docs/data.md)")],
    model: Model,
    out: Out,
    given: Given,
    protocol: Annotated[str | None, typer.Option(help="rm_r1, rrm, deepseek_grm, ... (default: the preset's)")] = None,
    template: Annotated[str | None, typer.Option(help="own, an official text by name, or your own file")] = None,
    preset: Preset = None,
    held_out: Annotated[Path | None, typer.Option(help="cases that are only measured on")] = None,
    check_every: Annotated[int | None, typer.Option(help="updates between measurements", min=1)] = None,
    faithful: Annotated[
        bool, typer.Option("--faithful", help="pay a right verdict only if it follows from a sound evaluation")
    ] = False,
    lenient: Annotated[bool, typer.Option("--lenient", help="with --faithful: let pass what is not stated")] = False,
    rule: Annotated[str | None, typer.Option(help="strict, or official: the authors' own reading of a verdict")] = None,
    orders: Annotated[str | None, typer.Option(help="balanced, both (and pay only if both are right), as_is")] = None,
    group: Annotated[int | None, typer.Option(help="completions per prompt", min=2)] = None,
    prompts: Annotated[int | None, typer.Option(help="prompts per round of rollouts", min=1)] = None,
    beta: Annotated[float | None, typer.Option(help="weight of the KL divergence", min=0)] = None,
    clip_low: Annotated[float | None, typer.Option(min=0)] = None,
    clip_high: Annotated[float | None, typer.Option(help="above clip-low: clip-higher", min=0)] = None,
    loss: Annotated[str | None, typer.Option(help="grpo, bnpo, dapo, dr_grpo (TRL's names)")] = None,
    temperature: Annotated[float | None, typer.Option(min=0.01)] = None,
    top_p: Annotated[float | None, typer.Option(min=0.01, max=1)] = None,
    max_prompt: Annotated[int | None, typer.Option(help="leave out longer prompts (tokens)", min=1)] = None,
    max_tokens: Annotated[int | None, typer.Option(help="limit of a completion", min=1)] = None,
    mask_cut: Annotated[bool | None, typer.Option("--mask-cut", help="no loss on completions that were cut")] = None,
    rounds: Annotated[int | None, typer.Option(help="times that cases without a signal are replaced", min=0)] = None,
    rollouts: Annotated[str | None, typer.Option(help="auto, transformers, decoder, vllm")] = None,
    vllm_mode: Annotated[str | None, typer.Option(help="colocate or server")] = None,
    limit: Annotated[int | None, typer.Option(help="use only the first so many cases", min=1)] = None,
    format: Format = None,
    skip_bad: SkipBad = False,
) -> None:
    """Train a judge by GRPO: +1 for a verdict that gold confirms, else -1."""
    require("torch", "train")
    require("trl", "train")
    from ...train import _presets
    from ...train._rewards import Reward
    from ...train.rl import Rl, train_rl

    known = _presets.preset(preset) if preset else None
    loop, own = known.rl() if known else (dict(_LOOP), {})
    named = {name: value.value for name, value in known.model.items()} if known else {}
    told: dict[str, Any] = {
        "check_every": check_every, "orders": orders, "group": group, "prompts": prompts, "beta": beta,
        "clip_low": clip_low, "clip_high": clip_high, "loss": loss, "temperature": temperature, "top_p": top_p,
        "max_prompt": max_prompt, "max_tokens": max_tokens, "mask_cut": mask_cut, "rounds": rounds,
        "rollouts": rollouts, "vllm_mode": vllm_mode,
    }  # fmt: skip
    plan = _checked(Rl, {**own, **{name: value for name, value in told.items() if value is not None}})
    if known and "batch_size" not in given and (group or prompts):
        loop["batch_size"] = min(loop["batch_size"], plan.prompts * plan.group)
    settings = settings_of(given, loop)
    asked = make_protocol(protocol or named.get("protocol", "rm_r1"), None, "strict", template or named.get("template"))
    pay = Reward(
        asked,
        rule=rule or ("official" if named.get("parser", "").startswith("official") else "strict"),  # type: ignore[arg-type]
        faithful="lenient" if lenient else faithful,
        both_orders=plan.orders == "both",
    )
    for note in known.notes("rl") if known else []:
        typer.echo(f"note: {note}", err=True)
    rows = _read(cases, format, skip_bad, limit)
    measured = _read(held_out, format, skip_bad, None) if held_out else []
    left = train_rl(model, rows, asked, out, settings, plan, pay, measured)
    for reason, count in left.most_common():
        typer.echo(f"left out: {count:,} {reason}")
    typer.echo(f"trained: {out}; judge with: --engine hf:{out}")


def _read(path: Path, format: str | None, skip_bad: bool, limit: int | None) -> list[Any]:
    file = CaseFile(path, format, skip_bad, "keep", None)
    file.check(limit)
    return list(file.read())[:limit]


def _checked(kind: Any, values: dict[str, Any]) -> Any:
    """Make the settings of the recipe. Raises `BadInput` for a name that it does not know."""
    import msgspec

    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise BadInput(f"{error}; see thinkscore train rl --help") from error

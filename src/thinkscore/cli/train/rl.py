"""`thinkscore train rl CASES --model M --out DIR`: reinforcement learning with a verifiable reward."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import msgspec
import typer

from ...errors import BadInput, require
from ...judge import make_protocol
from .._cases import CaseFile, Format, SkipBad
from ._settings import Given, Model, Out, Preset, settings_of, with_options, with_settings
from ._teaching import tell

if TYPE_CHECKING:
    from ...train._rewards import Reward
    from ...train.rl import Rl
    from ...types import Case

__all__ = ["rl"]

_LOOP = {"learning_rate": 1e-6, "betas": (0.9, 0.99)}
"""Without a preset: a rate at which models of billions of weights are tuned; one update per round of rollouts."""

_UNSCORED = ("rm_r1", "rrm")
"""Protocols whose own wording lets a judge that follows it to the letter state no score."""

_PLAN: dict[str, Any] = {
    "group": Annotated[int | None, typer.Option("--group", help="completions per prompt", min=2)],
    "prompts": Annotated[int | None, typer.Option("--prompts", help="prompts per round of rollouts", min=1)],
    "iterations": Annotated[int | None, typer.Option("--iterations", help="times a rollout is trained on", min=1)],
    "beta": Annotated[float | None, typer.Option("--beta", help="weight of the KL divergence (k3)", min=0)],
    "clip_low": Annotated[float | None, typer.Option("--clip-low", help="ratios are cut at 1 - this", min=0)],
    "clip_high": Annotated[float | None, typer.Option("--clip-high", help="and at 1 + this (clip-higher)", min=0)],
    "loss": Annotated[str | None, typer.Option("--loss", help="grpo, bnpo, dapo, dr_grpo (TRL's names)")],
    "scale": Annotated[str | None, typer.Option("--scale", help="deviation that divides: group, batch, none")],
    "temperature": Annotated[float | None, typer.Option("--temperature", help="of the rollouts", min=0.01)],
    "top_p": Annotated[float | None, typer.Option("--top-p", help="of the rollouts", min=0.01, max=1)],
    "max_prompt": Annotated[int | None, typer.Option("--max-prompt", help="leave out longer prompts (tokens)", min=1)],
    "max_tokens": Annotated[int | None, typer.Option("--max-tokens", help="limit of a completion", min=1)],
    "mask_cut": Annotated[bool | None, typer.Option("--mask-cut", help="no loss on completions that were cut")],
    "orders": Annotated[str | None, typer.Option("--orders", help="balanced; both (paid if both are right); as_is")],
    "rounds": Annotated[int | None, typer.Option("--rounds", help="times cases without a signal are replaced", min=0)],
    "rollouts": Annotated[str | None, typer.Option("--rollouts", help="auto, transformers, decoder, vllm")],
    "vllm_mode": Annotated[str | None, typer.Option("--vllm-mode", help="colocate or server")],
    "vllm_memory": Annotated[float | None, typer.Option("--vllm-memory", help="share of a GPU for vLLM")],
    "vllm_parallel": Annotated[int | None, typer.Option("--vllm-parallel", help="GPUs of one vLLM engine", min=1)],
    "check_every": Annotated[int | None, typer.Option("--check-every", help="updates between checks", min=1)],
}  # fmt: skip
_PAY: dict[str, Any] = {
    "faithful": Annotated[
        bool | None, typer.Option("--faithful", help="pay a right verdict only if it follows from a sound evaluation")
    ],
    "lenient": Annotated[bool | None, typer.Option("--lenient", help="with --faithful: let pass what is not stated")],
    "rule": Annotated[
        str | None, typer.Option("--rule", help="strict, or official: the authors' reading of a verdict")
    ],
}
_CLUSTER: dict[str, Any] = {
    "nodes": Annotated[int | None, typer.Option("--nodes", help="verl: machines", min=1)],
    "gpus": Annotated[int | None, typer.Option("--gpus", help="verl: GPUs of one machine", min=1)],
    "gpu": Annotated[str | None, typer.Option("--gpu", help="verl: their kind, for the plan")],
}


@with_settings
@with_options("told", _PLAN)
@with_options("paid", _PAY)
@with_options("cluster", _CLUSTER)
def rl(
    cases: Annotated[Path, typer.Argument(help="preferences with gold, in any format (docs/data.md)")],
    model: Model,
    out: Out,
    given: Given,
    told: Given,
    paid: Given,
    cluster: Given,
    protocol: Annotated[str | None, typer.Option(help="rm_r1, rrm, deepseek_grm, ... (default: the preset's)")] = None,
    template: Annotated[str | None, typer.Option(help="own, an official text by name, or your own file")] = None,
    preset: Preset = None,
    held_out: Annotated[Path | None, typer.Option(help="cases that are only measured on")] = None,
    backend: Annotated[str, typer.Option(help="trl: train here; verl: write a run for a Ray cluster")] = "trl",
    limit: Annotated[int | None, typer.Option(help="use only the first so many cases", min=1)] = None,
    format: Format = None,
    skip_bad: SkipBad = False,
) -> None:
    """Train a judge by GRPO: +1 for a verdict that gold confirms, else -1."""
    if backend not in ("trl", "verl"):
        raise BadInput(f"the backend is trl or verl; got {backend!r}")
    require("trl", "train")
    from ...train import _presets
    from ...train.rl import left_out, train_rl

    if cluster and backend == "trl":
        raise BadInput("--nodes, --gpus and --gpu go with --backend verl")
    known = _presets.preset(preset) if preset else None
    loop, plan = known.rl(**told) if known else (dict(_LOOP), dict(told))
    named = {name: value.value for name, value in known.model.items()} if known else {}
    if known and paid.get("faithful"):
        loop["learning_rate"] = known.values("rl").get("faithful_learning_rate", loop["learning_rate"])
    rl = _plan({"check_every": 10 if held_out else 0, **plan})
    settings = settings_of(given, {"batch_size": rl.prompts * rl.group, **loop})
    asked, template = protocol or named.get("protocol", "rm_r1"), template or named.get("template")
    worded = f" --template {template}" if template not in (None, "own") else ""
    reward = _reward(asked, template, {"rule": _rule(named), **paid}, rl)
    for note in known.notes("rl") if known else []:
        typer.echo(f"note: {note}", err=True)
    if paid.get("faithful") and not paid.get("lenient") and asked in _UNSCORED and template in (None, "own"):
        tell(f"note: the wording of {asked} asks for no scores, and --faithful pays no trace without them; take "
             f"{'--template own:scored, or ' * (asked == 'rm_r1')}--lenient")  # fmt: skip
    rows = _read(cases, format, skip_bad, limit)
    measured = _read(held_out, format, skip_bad, None) if held_out else []
    if backend == "verl":
        from ...train.verl import write_verl

        for line in left_out(write_verl(model, rows, out, settings, rl, reward, measured, **cluster, preset=known)):
            tell(line)
        typer.echo(f"run for verl: {out}; start it with {out}/launch.sh (see {out}/README.md)")
        return
    train_rl(model, rows, reward.protocol, out, settings, rl, reward, measured, tell)
    _went(out)
    typer.echo(f"model: {out}; try: thinkscore judge FILE --protocol {asked}{worded} --engine hf:{out}")


def _plan(values: Mapping[str, Any]) -> Rl:
    """Make the settings of the recipe. Raises `BadInput` for a value that it does not know."""
    from ...train.rl import Rl

    try:
        return msgspec.convert(dict(values), Rl)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("$.")[2].rstrip("`")
        known = get_args(get_type_hints(Rl).get(name))
        accepted = f"--{name.replace('_', '-')} is one of {', '.join(known)}; " if known else ""
        raise BadInput(f"{accepted}{error}; see thinkscore train rl --help") from error


def _rule(named: Mapping[str, Any]) -> str:
    return "official" if str(named.get("parser", "")).startswith("official") else "strict"


def _reward(protocol: str, template: str | None, paid: Mapping[str, Any], rl: Rl) -> Reward:
    from ...train._rewards import Reward

    if paid.get("lenient") and not paid.get("faithful"):
        raise BadInput("--lenient goes with --faithful")
    return Reward(
        make_protocol(protocol, None, "strict", template),
        rule=paid["rule"],
        faithful="lenient" if paid.get("lenient") else bool(paid.get("faithful")),
        both_orders=rl.orders == "both",
    )


def _read(path: Path, format: str | None, skip_bad: bool, limit: int | None) -> list[Case]:
    file = CaseFile(path, format, skip_bad)
    file.check(limit)
    return list(file.read())[:limit]


def _went(out: Path) -> None:
    """Say how it went, by the log."""
    from ...train._progress import ends, silent

    rows = [msgspec.json.decode(line) for line in (out / "log.jsonl").read_bytes().splitlines()]
    for name, (first, last) in ends(rows).items():
        typer.echo(f"{name}: {first:.3g} at first, {last:.3g} at last")
    if silent(rows):
        typer.echo(
            "note: in no round did two completions of a case differ in reward, so nothing was learned; start from a "
            "judge that is right now and then (train distill), or give more --max-tokens",
            err=True,
        )

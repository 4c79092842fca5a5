"""Beyond one machine: writes a complete run of verl 0.9 for a Ray cluster, with the settings of `train rl`.

verl (arXiv 2409.19256) trains where TRL no longer reaches. Written is a folder that every node must see: rows, reward,
overrides of verl's configuration, a launcher and what the plan says. Nothing is started. The reward is `_rewards.py`'s;
the prompts are rendered here, so that the places of the better answer are balanced in every batch as `train rl` does.
For that cases with too long prompts are left out here; verl, which measures them again, takes out single rows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from transformers import PreTrainedTokenizerBase

from ..data._parquet import write_parquet
from ..errors import BadInput, EngineUnavailable
from ..protocols._base import Protocol
from ..types import Case, Message
from ._plan_text import lines
from ._presets import RL, Preset
from ._rewards import Reward
from ._rl_rows import Shown, row, shown, split, usable
from ._run import Settings, load_tokenizer
from ._sizes import shape_of
from ._verl_reward import Rule
from .plan import find_gpu, plan
from .rl import Rl

__all__ = ["VERL", "overrides", "write_verl"]

VERL = "0.9.1"
"""The version that the run is written for and was tested with."""
_LOSSES = {
    "grpo": "seq-mean-token-mean",
    "dapo": "token-mean",
    "bnpo": "token-mean",
    "dr_grpo": "seq-mean-token-sum-norm",
}
_SCHEDULES = {"constant": "constant", "constant_with_warmup": "constant", "cosine": "cosine"}
_ENDLESS = 1000
"""Passes over the rows where a number of steps ends the run."""
_FEW = 64
"""Rows of training that stand in for held-out ones, which verl wants to have."""


class _Gold(msgspec.Struct):
    """What verl calls the reward model of a row."""

    style: str
    ground_truth: str


class _Extra(msgspec.Struct):
    """What the reward needs of a row."""

    index: int
    case: str
    order: list[int]


class _Row(msgspec.Struct):
    """A row of verl's data."""

    data_source: str
    prompt: list[Message]
    ability: str
    reward_model: _Gold
    extra_info: _Extra


def write_verl(
    model: str,
    cases: Sequence[Case],
    out: Path,
    settings: Settings,
    rl: Rl,
    reward: Reward,
    held_out: Sequence[Case] = (),
    *,
    nodes: int = 1,
    gpus: int = 8,
    gpu: str = "h100",
    preset: Preset | None = None,
) -> Counter[str]:
    """Write a run in the folder `out`; return how many cases were left out, by reason.

    `gpus` are those of one node; `preset` and `gpu` serve the plan in the README. Where the model's tokenizer cannot be
    had, prompts that are too long are left to verl. Raises `BadInput` for no usable case and for what verl cannot do.
    """
    if out.exists() and any(out.iterdir()):
        raise BadInput(f"{out} is not empty; give another --out")
    chosen = overrides(model, settings, rl, reward, nodes=nodes, gpus=gpus)
    tokenizer = _tokenizer(model)
    read = partial(usable, reward=reward, tokenizer=tokenizer, max_prompt=rl.max_prompt)
    kept, measured, left = split(cases, held_out, rl.orders, read)
    if len(kept) * _per_case(rl) < rl.prompts:
        unusable = f" ({left.total()} left out: {', '.join(left)})" if left else ""
        raise BadInput(
            f"{len(kept)} usable cases{unusable} do not fill one round of {rl.prompts} prompts; give fewer prompts"
        )
    out.mkdir(parents=True, exist_ok=True)
    protocol = reward.protocol
    count = write_parquet(out / "train.parquet", _Row, _rows(protocol, kept, rl, settings.seed))
    write_parquet(out / "val.parquet", _Row, _rows(protocol, measured or kept[:_FEW], rl, settings.seed))
    (out / "reward.json").write_bytes(msgspec.json.format(msgspec.json.encode(_rule(reward, rl, out))) + b"\n")
    (out / "overrides.txt").write_text("".join(f"{name}={_written(value)}\n" for name, value in chosen.items()))
    texts = files(__package__)
    (out / "reward.py").write_text(texts.joinpath("verl_reward.txt").read_text())
    launcher = texts.joinpath("verl_launch.txt").read_text()
    for slot, value in {"@MODEL@": model, "@NODES@": str(nodes), "@GPUS@": str(gpus)}.items():
        launcher = launcher.replace(slot, value)
    (out / "launch.sh").write_text(launcher)
    (out / "launch.sh").chmod(0o755)
    planned = _plan(model, count, settings, rl, nodes * gpus, gpu, preset)
    (out / "README.md").write_text(_readme(count, left, tokenizer is None, bool(held_out), planned))
    return left


def overrides(
    model: str, settings: Settings, rl: Rl, reward: Reward, *, nodes: int = 1, gpus: int = 8
) -> dict[str, Any]:
    """Return what differs from verl's own configuration, by its names. Raises `BadInput` for what it cannot do."""
    _check(settings, rl, reward)
    per_round = rl.updates(settings)
    warmup = {"lr_warmup_steps": int(settings.warmup)} if settings.warmup >= 1 else {
        "lr_warmup_steps_ratio": settings.warmup}  # fmt: skip
    actor: dict[str, Any] = {
        **{f"optim.{name}": value for name, value in warmup.items()},
        "optim.lr": settings.learning_rate,
        "optim.lr_scheduler_type": _SCHEDULES[settings.schedule],
        "optim.min_lr_ratio": settings.final,
        "optim.weight_decay": settings.weight_decay,
        "optim.betas": settings.betas,
        "grad_clip": settings.clip_norm,
        "ppo_mini_batch_size": settings.batch_size // rl.group,
        "ppo_micro_batch_size_per_gpu": settings.micro_batch,
        "ppo_epochs": rl.iterations,
        "use_kl_loss": rl.beta > 0,
        "kl_loss_coef": rl.beta,
        "kl_loss_type": "low_var_kl",
        "clip_ratio": rl.clip_low,
        "clip_ratio_low": rl.clip_low,
        "clip_ratio_high": rl.clip_high,
        "clip_ratio_c": 1e6,  # verl's second clip of wrong answers, which neither the papers nor TRL have
        "loss_agg_mode": _LOSSES[rl.loss],
        "entropy_coeff": 0,
    }
    rollout: dict[str, Any] = {
        "name": "vllm",
        "n": rl.group,
        "temperature": rl.temperature,
        "top_p": rl.top_p,
        "tensor_model_parallel_size": min(rl.vllm_parallel, gpus),
        "gpu_memory_utilization": rl.vllm_memory,
        "max_model_len": rl.max_prompt + rl.max_tokens,
        "max_num_batched_tokens": max(8192, rl.max_prompt + rl.max_tokens),
        "log_prob_micro_batch_size_per_gpu": settings.micro_batch,
        **({"load_format": "safetensors"} if settings.lora else {}),  # the base is loaded once, then adapters alone
    }
    whole = {"trainer.total_training_steps": -(-settings.steps // per_round)} if settings.steps > 0 else {}
    return {
        "algorithm.adv_estimator": "grpo",
        "algorithm.norm_adv_by_std_in_grpo": rl.scale == "group",
        "algorithm.use_kl_in_reward": False,
        "algorithm.filter_groups.enable": rl.rounds > 0,
        "data.train_batch_size": rl.prompts,
        "data.max_prompt_length": rl.max_prompt,
        "data.max_response_length": rl.max_tokens,
        "data.filter_overlong_prompts": True,
        "data.shuffle": False,  # the rows are shuffled already, and balanced
        "actor_rollout_ref.model.enable_gradient_checkpointing": settings.checkpointing,
        "actor_rollout_ref.model.use_remove_padding": True,
        "actor_rollout_ref.model.lora_rank": settings.lora,
        "actor_rollout_ref.model.lora_alpha": 2 * settings.lora or 16,
        **{f"actor_rollout_ref.actor.{name}": value for name, value in actor.items()},
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": settings.micro_batch,
        **{f"actor_rollout_ref.rollout.{name}": value for name, value in rollout.items()},
        "reward.custom_reward_function.name": "compute_score",
        "reward.reward_manager.source": "importlib",
        "reward.reward_manager.name": "JudgeManager",
        "trainer.total_epochs": max(1, math.ceil(settings.epochs)) if settings.steps <= 0 else _ENDLESS,
        **whole,
        "trainer.save_freq": max(1, settings.save_steps // per_round) if settings.save_steps else -1,
        "trainer.test_freq": max(1, rl.check_every // per_round) if rl.check_every else -1,
        "trainer.val_before_train": False,
        "trainer.logger": ["console", *settings.report_to],
        "trainer.project_name": "thinkscore",
        "trainer.experiment_name": f"{reward.protocol.id}-rl",
    }


def _check(settings: Settings, rl: Rl, reward: Reward) -> None:
    problems = {
        f"the schedule {settings.schedule}; it has constant and cosine": settings.schedule not in _SCHEDULES,
        f"the loss {rl.loss}; it has {', '.join(_LOSSES)}": rl.loss not in _LOSSES,
        f"advantages scaled by {rl.scale}; it has group and none": rl.scale not in ("group", "none"),
        "rewards that join both orders of a case": reward.both_orders,
        "answers left out because they were cut": rl.mask_cut,
    }
    found = [problem for problem, there in problems.items() if there]
    if found:
        raise BadInput(f"a verl run cannot have {'; nor '.join(found)}; change that, or use --backend trl")


def _tokenizer(model: str) -> PreTrainedTokenizerBase | None:
    """Load the model's tokenizer; None where this machine, which need not have the model, cannot."""
    try:
        return load_tokenizer(model)
    except EngineUnavailable:
        return None


def _per_case(rl: Rl) -> int:
    return 2 if rl.orders == "both" else 1


def _rows(protocol: Protocol, cases: Sequence[Case], rl: Rl, seed: int) -> Iterator[_Row]:
    """Show every case once (or in both orders), in a sequence drawn by the seed."""
    said: Iterator[Shown] = (one for block in shown(cases, rl.orders, seed) for one in block)
    for index, one in enumerate(islice(said, len(cases) * _per_case(rl))):
        if protocol.render(*one).prefill:
            raise BadInput(f"{protocol.id} starts the answer itself, which verl's prompts cannot; use --backend trl")
        made = row(protocol, one)
        prompt = [Message(**message) for message in made["prompt"]]
        extra = _Extra(index, made["case"], made["order"])
        yield _Row("thinkscore", prompt, "judging", _Gold("rule", str(made["place"])), extra)


def _rule(reward: Reward, rl: Rl, out: Path) -> Rule:
    """Describe the reward so that a worker needs no imported template; files of the user are copied."""
    protocol, template = reward.protocol, reward.protocol.template
    name = None if template is None else template.name
    if template is not None and template.official:
        name = "own:single" if template.scores == (0, 1) else None
    elif name is not None and Path(name).is_file():
        raise BadInput(f"the template {name} is a file, which the nodes of a cluster may not have; use a named one")
    rest = f":{protocol.rest}" if protocol.rest else ""
    if rest:
        raise BadInput(f"{protocol.id}{rest} hangs on a file, which the nodes of a cluster may not have")
    return Rule(protocol.id, protocol.parser, name, reward.faithful, reward.checks, rl.max_tokens)


def _written(value: object) -> str:
    """Write a value in Hydra's grammar."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_written, value)) + "]"
    return str(value)


def _plan(model: str, rows: int, settings: Settings, rl: Rl, gpus: int, gpu: str, preset: Preset | None) -> str:
    """Plan the run as it is written, whatever the preset says."""
    if preset is None:
        return "No preset was named, so there is no plan."
    changed = {name: getattr(rl, name) for name in RL if name != "prompts"} | {
        "batch_size": rl.prompts,
        "mini_batch": settings.batch_size // rl.group,
        "micro_batch": settings.micro_batch,
        "checkpointing": settings.checkpointing,
        "epochs": settings.epochs,
        **({"steps": -(-settings.steps // rl.updates(settings))} if settings.steps > 0 else {}),
    }
    try:
        found = plan(preset, "rl", model, shape_of(model), gpus=gpus, gpu=find_gpu(gpu), rows=rows, lora=settings.lora,
                     changed=changed)  # fmt: skip
    except BadInput as error:
        return f"No plan: {error}."
    return "```text\n" + "\n".join(lines(found)) + "\n```"


def _readme(rows: int, left: Mapping[str, int], unmeasured: bool, held_out: bool, planned: str) -> str:
    text = files(__package__).joinpath("verl_readme.txt").read_text()
    gone = "".join(f"\n- {number:,} cases left out: {reason}" for reason, number in left.items())
    if unmeasured:
        gone += "\n- the model's tokenizer was not at hand: too long prompts are taken out by verl, which loosens that"
    checked = "held-out cases" if held_out else f"the first {_FEW} training cases, a stand-in that is not measured"
    slots = {"@VERL@": VERL, "@ROWS@": f"{rows:,}", "@LEFT@": gone, "@CHECKED@": checked, "@PLAN@": planned}
    for slot, value in slots.items():
        text = text.replace(slot, value)
    return text

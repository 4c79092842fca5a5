"""The published settings by name: what each paper trained with, where that is known from, and what nobody knows.

The numbers are in `presets.toml`; sources: RM-R1 (arXiv 2505.02387), RRM (2505.14674), DeepSeek-GRM (2504.02495) and
the code their authors published. What is unknown has our default, and `notes` says so. The names, by stage:

The loop (all stages), as in `_run.Settings`: learning_rate, batch_size (rows per update; in `rl` prompts per rollout),
micro_batch (rows per forward pass and process), epochs, steps (updates; in `rl` rollouts), schedule, warmup,
final (the share of the learning rate that a falling schedule ends at), weight_decay, betas, clip_norm, bf16,
checkpointing, save_steps (in the unit of steps). Beside it, in any stage: max_length (tokens of prompt and answer),
rows (how many the authors had), gpus and gpu (what they trained on).

rl, as in `rl.Rl`: group, iterations, beta, clip_low, clip_high, temperature, top_p, max_prompt, max_tokens, scale,
loss, orders, rounds, vllm_parallel, vllm_memory. Beside them mini_batch (prompts per update), kl (the estimator of the
KL term), reference (what it is measured from: "start" is the model before RL), too_long ("drop": a prompt over the
limit is left out, and counted), entropy (weight of an entropy bonus), faithful_learning_rate (with the faithful
reward).

distill: packing, header_loss (train the assistant's header too), teacher, second_teacher, teacher_max_tokens, muon_lr.
rft: samples and hinted (per item), drop_easy, generator, generator_temperature. meta: samples, loss, muon_lr, drop.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

import msgspec

from ..errors import BadInput

__all__ = ["LOOP", "RL", "STAGES", "Preset", "Standing", "Value", "preset", "presets"]

Standing = Literal["published", "inferred", "unknown", "ours"]
"""How a value is known. Unknown: nobody published it, and ours is used."""

STAGES = ("distill", "rft", "rl", "meta", "scalar")
LOOP = ("learning_rate", "batch_size", "micro_batch", "epochs", "steps", "schedule", "final", "warmup",
        "weight_decay", "betas", "clip_norm", "bf16", "checkpointing", "save_steps")  # fmt: skip
"""Names that `_run.Settings` has as well."""


RL = ("prompts", "group", "iterations", "beta", "clip_low", "clip_high", "loss", "scale", "temperature", "top_p",
      "max_prompt", "max_tokens", "orders", "rounds", "vllm_parallel", "vllm_memory")  # fmt: skip
"""Names that `rl.Rl` has as well."""


FIXED = {"packing": False, "kl": "k3", "reference": "start", "too_long": "drop", "entropy": 0.0}
"""What every recipe does, whatever a preset says."""


class _Row(NamedTuple):
    """A value as the table writes it."""

    value: Any
    standing: Standing
    source: str
    remark: str = ""


class Value(msgspec.Struct, frozen=True):
    """One setting and how it is known."""

    value: Any
    """What is used: a number, a text, a truth value, or a tuple of them."""
    standing: Standing
    """How it is known."""
    source: str
    """Where it stands."""
    remark: str = ""
    """What a user should know; empty if nothing."""

    def __str__(self) -> str:
        text = ", ".join(map(str, self.value)) if isinstance(self.value, tuple) else f"{self.value}"
        return text if isinstance(self.value, str | bool | tuple) else f"{self.value:g}" if self.value < 1 else text


class Preset(msgspec.Struct, frozen=True):
    """The settings of one published model, by stage."""

    name: str
    """As `--preset` takes it."""
    about: str
    """What was trained, in a line."""
    model: dict[str, Value]
    """base (a Hub id), protocol, template and parser of training."""
    stages: dict[str, dict[str, Value]]
    """Settings by stage and name."""

    @property
    def base(self) -> str | None:
        """The model that training starts from; None if the user has to name one."""
        return self.model["base"].value if "base" in self.model else None

    def stage(self, name: str) -> dict[str, Value]:
        """Return the settings of a stage. Raises `BadInput` if this model was not trained so."""
        if name not in self.stages:
            raise BadInput(f"preset {self.name} has no stage {name!r}; it has {', '.join(self.stages)}")
        return self.stages[name]

    def values(self, stage: str) -> dict[str, Any]:
        """Return the bare values of a stage, by name."""
        return {name: value.value for name, value in self.stage(stage).items()}

    def loop(self, stage: str) -> dict[str, Any]:
        """Return those of them that `_run.Settings` takes."""
        return {name: value for name, value in self.values(stage).items() if name in LOOP}

    def rl(self, **told: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the stage `rl` as `_run.Settings` and `rl.Rl` take it, with what is told of `Rl` laid over it.

        They count completions per update and updates, where the papers count prompts and rounds of rollouts.
        """
        loop, found = self.loop("rl"), {**self.values("rl"), "prompts": self.values("rl")["batch_size"], **told}
        # Fewer prompts are cut into as many updates, as far as that goes.
        updates = max(1, self.values("rl")["batch_size"] // found["mini_batch"])
        updates = next(n for n in range(min(updates, found["prompts"]), 0, -1) if found["prompts"] % n == 0)
        loop["batch_size"] = found["prompts"] // updates * found["group"]
        per_round = updates * found["iterations"]
        loop |= {name: loop[name] * per_round for name in ("steps", "save_steps") if name in loop}
        return loop, {name: found[name] for name in (*RL, *told)}

    def notes(self, stage: str) -> list[str]:
        """Say of every value that is not published what it is and how it came about, unknown ones first.

        And what was published and is not done here.
        """
        found = {**self.model, **self.stage(stage)}
        lines = []
        unknown = [f"{name} {value}" for name, value in found.items() if value.standing == "unknown"]
        if unknown:
            lines.append(f"{self.name}, {stage}: unknown, our defaults are used: {'; '.join(unknown)}")
        by_source: dict[str, list[str]] = {}
        for name, value in found.items():
            if value.standing == "inferred":
                remark = f" ({value.remark})" if value.remark else ""
                by_source.setdefault(value.source, []).append(f"{name} {value}{remark}")
        lines += [f"{self.name}, {stage}: inferred from {src}: {'; '.join(said)}" for src, said in by_source.items()]
        other = [f"{name} {value}" for name, value in found.items() if value.value != FIXED.get(name, value.value)]
        return [*lines, f"{self.name}, {stage}: not done here: {'; '.join(other)}"] if other else lines


def preset(name: str) -> Preset:
    """Find a preset by its name. Raises `BadInput` with the closest names."""
    known = presets()
    if name in known:
        return known[name]
    close = get_close_matches(name, known, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else "`thinkscore train presets` lists all"
    raise BadInput(f"got the preset {name!r}; there are {', '.join(known)}; {hint}")


@cache
def presets() -> dict[str, Preset]:
    """Return every preset by name, in the order of the table."""
    text = files(__package__).joinpath("presets.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return {name: _read(name, row, table) for name, row in table["preset"].items()}


def _read(name: str, row: dict[str, Any], table: dict[str, Any]) -> Preset:
    shared = table["family"][row["family"]] if "family" in row else {}
    parts = {
        part: {
            key: _value(cell, table["sources"]) for key, cell in {**shared.get(part, {}), **row.get(part, {})}.items()
        }
        for part in ("model", *STAGES)
    }
    return Preset(name, row["about"], parts["model"], {stage: parts[stage] for stage in STAGES if parts[stage]})


def _value(cell: list[Any], sources: dict[str, str]) -> Value:
    row = msgspec.convert(cell, _Row)
    value = tuple(row.value) if isinstance(row.value, list) else row.value
    return Value(value, row.standing, sources[row.source], row.remark)

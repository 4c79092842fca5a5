"""What a training would take before it is started: memory, tokens, operations, hours. Estimates, and called so.

Weights, gradients and Adam's moments are cut over all GPUs (FSDP full shard or ZeRO-3); the sampling engine (vLLM)
takes its share of each GPU's memory and sleeps while weights are updated. Every assumption is a field of `Assumptions`
and is printed with the result. Sizes and costs of a token are those of `_sizes.Shape`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import BadInput
from ._presets import Preset
from ._sizes import Shape

__all__ = ["GPUS", "Assumptions", "Gpu", "Plan", "assumed", "find_gpu", "plan"]

GIB = 2**30
LONGEST = 8192
"""Tokens of a text where a preset sets no limit."""


class Gpu(msgspec.Struct, frozen=True):
    """A GPU, by its data sheet."""

    name: str
    memory: float
    """Usable GiB."""
    teraflops: float
    """Dense bfloat16 products, at best."""
    bandwidth: float
    """Terabytes per second from its memory."""


GPUS = {
    gpu.name: gpu for gpu in (Gpu("h100", 78, 989, 3.35), Gpu("h200", 139, 989, 4.8), Gpu("a100-80", 78, 312, 2.04))
}


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """What nobody knows before the run."""

    prompt: float
    """Mean tokens of a prompt."""
    answer: float
    """Mean tokens of an answer."""
    busy: float = 0.4
    """Share of the peak that training and log-probabilities reach, recomputation counted as work."""
    sampling: float = 0.5
    """Share of the memory's bandwidth that sampling reaches."""
    seats: int = 256
    """Most sequences that an engine samples at a time."""
    overhead: float = 0.1
    """Further time for loading weights into the engine, data and saves."""
    headroom: float = 0.9
    """Share of a GPU's memory that may be planned with."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage would take. Memory is in GiB per GPU, time in hours."""

    preset: str
    stage: str
    model: str
    parameters: int
    active: int
    """Weights that each token is multiplied with."""
    gpus: int
    gpu: Gpu
    lora: int
    rows: int
    """Cases or traces per pass over the data."""
    steps: int
    """Rounds of rollouts in rl, else updates."""
    updates: int
    """Steps of the optimizer."""
    sampled_tokens: float
    """Tokens written: by the model in rl, else by whoever writes the traces (their hours are not counted)."""
    trained_tokens: float
    """Tokens read in forward and backward passes."""
    operations: dict[str, float]
    """Floating-point operations, by kind of work."""
    memory: dict[str, dict[str, float]]
    """By phase (train, sample), then by what fills it."""
    concurrent: int
    """Sequences that one engine samples at a time; 0 without sampling."""
    hours: dict[str, float]
    """By kind of work."""
    fits: bool
    """Whether every phase stays within the headroom."""
    advice: list[str]
    """What to change if it does not fit."""
    assumptions: Assumptions
    notes: list[str]
    """What is unknown or inferred of the preset's values."""

    @property
    def wall(self) -> float:
        """Hours from start to end."""
        return sum(self.hours.values())

    @property
    def gpu_hours(self) -> float:
        """Hours times GPUs."""
        return self.wall * self.gpus


def find_gpu(text: str) -> Gpu:
    """Read a GPU: a known name, or NAME:GIB:TERAFLOPS:TERABYTES_PER_SECOND. Raises `BadInput`."""
    if text in GPUS:
        return GPUS[text]
    name, *numbers = text.split(":")
    try:
        memory, teraflops, bandwidth = map(float, numbers)
    except ValueError:
        raise BadInput(f"got the GPU {text!r}; known are {', '.join(GPUS)}; another one is written "
                       "NAME:GIB:TERAFLOPS:TERABYTES_PER_SECOND, such as l40s:44:362:0.86") from None  # fmt: skip
    return Gpu(name, memory, teraflops, bandwidth)


def plan(
    preset: Preset,
    stage: str,
    model: str,
    shape: Shape,
    *,
    gpus: int,
    gpu: Gpu,
    rows: int | None = None,
    lora: int = 0,
    assumptions: Assumptions | None = None,
    changed: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan a stage of a preset on some GPUs, with the values in `changed` instead of its own.

    Raises `BadInput` if the number of rows is neither known nor given.
    """
    values = {**preset.values(stage), **(changed or {})}
    if stage == "rl":
        values["vllm_parallel"] = min(values["vllm_parallel"], gpus)
    count = rows or values.get("rows")
    if count is None and "steps" not in values:
        raise BadInput(f"how many rows {preset.name} had in {stage} is not published; give --rows")
    how = assumptions or assumed(values)
    given: dict[str, Any] = {"preset": preset.name, "stage": stage, "model": model, "gpus": gpus, "gpu": gpu,
                             "lora": lora, "assumptions": how, "notes": preset.notes(stage)}  # fmt: skip
    per_step = values["batch_size"]
    stated = "steps" in (changed or {}) or (rows is None and "steps" in values)
    steps = values["steps"] if stated else _steps(values, int(count or 0), stage == "rl")
    updates = steps * (per_step // values["mini_batch"] * values["iterations"] if stage == "rl" else 1)
    texts = steps * per_step * values.get("group", 1)
    work = _work(shape, values, stage, texts, lora, how)
    memory = _memory(shape, values, stage, gpus, gpu, lora, how)
    seats = _seats(shape, values, gpu, how) if stage == "rl" else 0
    hours = _hours(shape, values, steps, texts, work, gpus, gpu, seats, how)
    fits = all(sum(phase.values()) <= how.headroom * gpu.memory for phase in memory.values())
    fits = fits and (stage != "rl" or seats > 0)
    return Plan(
        **given,
        parameters=shape.parameters,
        active=shape.active,
        rows=int(count or steps * per_step),
        steps=steps,
        updates=updates,
        sampled_tokens=(texts if stage == "rl" else int(count or texts)) * how.answer,
        trained_tokens=texts * (how.prompt + how.answer) * values.get("iterations", 1),
        operations=work,
        memory=memory,
        concurrent=seats,
        hours=hours,
        fits=fits,
        advice=[] if fits else _advice(shape, values, stage, gpus, gpu, lora, how),
    )


def assumed(values: dict[str, Any]) -> Assumptions:
    """Guess mean lengths from the limits of a stage.

    Prompts fill a quarter of their limit, answers an eighth of theirs; with one limit for both a twelfth each.
    """
    if "max_tokens" in values:
        return Assumptions(prompt=values["max_prompt"] / 4, answer=values["max_tokens"] / 8)
    return Assumptions(prompt=values.get("max_length", LONGEST) / 12, answer=values.get("max_length", LONGEST) / 12)


def _steps(values: dict[str, Any], rows: int, whole: bool) -> int:
    """Steps for the epochs of a preset; only whole batches in rl."""
    batches: float = rows * values.get("epochs", 1) / values["batch_size"]
    return max(1, math.floor(batches) if whole else math.ceil(batches))


def _work(
    shape: Shape, values: dict[str, Any], stage: str, texts: int, lora: int, assumed: Assumptions
) -> dict[str, float]:
    """Operations by kind: a pass forward is one share, backward two, and one more where activations are recomputed.

    Under an adapter the gradients of the weights themselves, one of those two, are not needed.
    """
    length = assumed.prompt + assumed.answer
    forward = shape.forward(texts * length, length)
    again = 3 + bool(values.get("checkpointing")) - bool(lora)
    work = {"update": again * forward * values.get("iterations", 1)}
    if stage == "rl":
        # The prompt of a group is read once; a written token stands after all of the prompt and half of the answer.
        work["prompts"] = shape.forward(texts / values["group"] * assumed.prompt, assumed.prompt)
        work["sample"] = shape.forward(texts * assumed.answer, 2 * assumed.prompt + assumed.answer)
        work["old log-probabilities"] = forward
        work["reference"] = forward if values["beta"] else 0.0
    return work


def _memory(
    shape: Shape, values: dict[str, Any], stage: str, gpus: int, gpu: Gpu, lora: int, assumed: Assumptions
) -> dict[str, dict[str, float]]:
    """GiB per GPU in each phase. float32 weights, gradients and two moments; computation in bfloat16.

    A pass holds one text of the greatest length and, without padding, `micro_batch - 1` of mean length. A frozen base
    under an adapter is held in bfloat16, and is its own reference.
    """
    trained = shape.adapter(lora) if lora else shape.parameters
    size = shape.parameters
    states = {
        "weights": (2 * size + 4 * trained if lora else 4 * size) / gpus,
        "Adam's moments": 8 * trained / gpus,
        "reference model": 0.0 if lora or stage != "rl" or not values["beta"] else 2 * size / gpus,
    }
    others, mean = values["micro_batch"] - 1, assumed.prompt + assumed.answer
    longest = values["max_prompt"] + values["max_tokens"] if stage == "rl" else values.get("max_length", LONGEST)
    predicted = values["max_tokens"] + others * assumed.answer if stage == "rl" else longest + others * mean
    train = states | {
        "gradients": 4 * trained / gpus,
        "gathered layers": 2 * 2 * shape.largest_layer,
        "activations": (longest + others * mean) * shape.kept(bool(values.get("checkpointing"))),
        "logits": predicted * shape.vocab * 8,  # float32, and its gradient
    }
    phases = {"train": train}
    if stage == "rl":
        phases["sample"] = states | {"sampling engine": values["vllm_memory"] * gpu.memory * GIB}
    return {phase: {what: filled / GIB for what, filled in parts.items()} for phase, parts in phases.items()}


def _seats(shape: Shape, values: dict[str, Any], gpu: Gpu, assumed: Assumptions) -> int:
    """Sequences of mean length for which an engine has memory, beside the weights; at most `seats`."""
    parallel = values["vllm_parallel"]
    left = parallel * values["vllm_memory"] * gpu.memory * GIB - 2 * shape.parameters
    cache = 2 * shape.layers * shape.cached * (assumed.prompt + assumed.answer)
    return min(assumed.seats, max(0, int(left / cache)))


def _hours(
    shape: Shape,
    values: dict[str, Any],
    steps: int,
    texts: int,
    work: dict[str, float],
    gpus: int,
    gpu: Gpu,
    seats: int,
    assumed: Assumptions,
) -> dict[str, float]:
    rate = gpus * gpu.teraflops * 1e12 * assumed.busy
    seconds = {kind: done / rate for kind, done in work.items() if kind != "sample"}
    if "sample" in work:
        seconds["sample"] = _sampling(shape, values, steps, texts, gpus, gpu, max(1, seats), assumed)
    seconds["overhead"] = assumed.overhead * sum(seconds.values())
    return {kind: spent / 3600 for kind, spent in seconds.items()}


def _sampling(
    shape: Shape, values: dict[str, Any], steps: int, texts: int, gpus: int, gpu: Gpu, seats: int, assumed: Assumptions
) -> float:
    """Seconds of writing: each step of an engine reads the weights and the cache of all sequences once.

    A round lasts at least as long as one answer of the greatest length.
    """
    parallel = values["vllm_parallel"]
    engines = max(1, gpus // parallel)
    seats = max(1, min(seats, math.ceil(texts / steps / engines)))
    rate = parallel * gpu.bandwidth * 1e12 * assumed.sampling
    weights = 2 * shape.active
    cache = 2 * shape.layers * shape.cached * (assumed.prompt + assumed.answer / 2)
    round_ = texts / steps * assumed.answer / (engines * seats) * (weights + seats * cache) / rate
    longest = values["max_tokens"] * (weights + cache) / rate
    return float(steps * max(round_, longest))


def _advice(
    shape: Shape, values: dict[str, Any], stage: str, gpus: int, gpu: Gpu, lora: int, assumed: Assumptions
) -> list[str]:
    """Say what would make it fit: more GPUs, an adapter, shorter passes, another engine."""

    def fits(number: int, rank: int, changed: dict[str, Any]) -> bool:
        parts = _memory(shape, {**values, **changed}, stage, number, gpu, rank, assumed)
        enough = stage != "rl" or _seats(shape, {**values, **changed}, gpu, assumed) > 0
        return enough and all(sum(phase.values()) <= assumed.headroom * gpu.memory for phase in parts.values())

    found = []
    engine = values.get("vllm_parallel", 1)
    changes: list[tuple[str, dict[str, Any]]] = [("", {})]
    if values["micro_batch"] > 1:
        changes.append(("a micro-batch of 1", {"micro_batch": 1}))
    if not values.get("checkpointing"):
        changes.append(("activation checkpointing", {"checkpointing": True}))
    changes += [(f"one engine over {n} GPUs", {"vllm_parallel": n}) for n in (2, 4, 8) if engine < n and stage == "rl"]
    changes += [(f"{s:.0%} of the memory for sampling", {"vllm_memory": s}) for s in (0.5, 0.6) if stage == "rl"]
    for said, changed in changes[1:]:
        if fits(gpus, lora, changed):
            found.append(said)
    more = next((n for n in (gpus * 2**k for k in range(1, 8)) if fits(n, lora, {})), None)
    found += [f"{more} GPUs"] if more else []
    found += [] if lora or not fits(gpus, 16, {}) else ["a LoRA adapter of rank 16"]
    return found or ["a GPU with more memory, shorter limits of prompt and answer, or several of: checkpointing, a "
                     "micro-batch of 1, a LoRA adapter, more GPUs"]  # fmt: skip

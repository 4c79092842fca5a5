"""A training plan as text: every figure, then every assumption and what the preset leaves open."""

from __future__ import annotations

from collections.abc import Mapping

from .plan import Plan

__all__ = ["lines"]


def lines(p: Plan, rate: float | None = None) -> list[str]:
    """Write a plan, one fact per line; `rate` is the price of a GPU-hour."""
    unit = ("round" if p.steps == 1 else "rounds") + " of rollouts" if p.stage == "rl" else "steps"
    updates = f", {p.updates:,} updates" if p.updates != p.steps else ""
    adapter = f", a LoRA adapter of rank {p.lora}" if p.lora else ""
    active = f", {_size(p.active)} of them active per token" if p.active < 0.8 * p.parameters else ""
    cost = f", {p.gpu_hours * rate:,.2f} at {rate:g} each" if rate is not None else ""
    writer = "the model" if p.stage == "rl" else "the writer of the traces"
    return [
        f"{p.preset}, {p.stage}: {p.model} ({_size(p.parameters)} weights{active}){adapter}",
        f"on {p.gpus} x {p.gpu.name}, an estimate",
        _row("data", f"{p.rows:,} rows, {p.steps:,} {unit}{updates}"),
        _row("tokens", f"{p.trained_tokens / 1e6:,.0f} M trained, {p.sampled_tokens / 1e6:,.0f} M written by {writer}"),
        _row("operations", f"{sum(p.operations.values()):.3g}: {_parts(p.operations, '.3g')}"),
        *(_row(f"memory, {phase}", f"{sum(parts.values()):.1f} of {p.gpu.memory:g} GiB per GPU: {_parts(parts, '.1f')}")
          for phase, parts in p.memory.items()),
        *([_row("at a time", f"{p.concurrent} sequences per sampling engine")] if p.stage == "rl" else []),
        _row("time", f"{p.wall:.1f} hours, {p.gpu_hours:,.0f} GPU-hours{cost}: {_parts(p.hours, '.2f')}"),
        _row("fits", "yes" if p.fits else "no; what would help: " + "; ".join(p.advice)),
        _row("assumed", _assumed(p)),
        *(_row("note", note) for note in p.notes),
    ]  # fmt: skip


def _size(weights: int) -> str:
    return f"{weights / 1e9:.2f} billion" if weights >= 1e8 else f"{weights / 1e6:.2f} million"


def _row(name: str, text: str) -> str:
    return f"{name:15} {text}"


def _parts(parts: Mapping[str, float], form: str) -> str:
    return ", ".join(f"{name} {value:{form}}" for name, value in parts.items() if value)


def _assumed(p: Plan) -> str:
    a = p.assumptions
    said = [
        f"prompts of {a.prompt:,.0f} and answers of {a.answer:,.0f} tokens on average",
        f"{a.busy:.0%} of the peak ({p.gpu.teraflops:g} teraflops) in training, recomputation counted as work",
        "weights, gradients and moments in float32, cut over all GPUs; a pass holds one text of the greatest length",
        f"{a.overhead:.0%} more time for loading weights, data and saves",
        f"{1 - a.headroom:.0%} of the memory stays free",
    ]
    if p.stage == "rl":
        said.insert(2, f"sampling reaches {a.sampling:.0%} of {p.gpu.bandwidth:g} TB/s with at most {a.seats} "
                       "sequences per engine, and a round lasts as long as its longest answer")  # fmt: skip
    return "; ".join(said)

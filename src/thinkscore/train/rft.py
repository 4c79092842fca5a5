"""Rejective fine-tuning: learn from samples that gold confirms, leaving out what is wrong and what is too easy.

Source: DeepSeek-GRM (arXiv 2504.02495, section 3.2, appendix C.1): a strong generator writes three samples per case
and one with the best response named; all wrong ones are dropped, and cases that all three get right; the rest is
mixed with rows of general instruction. We differ: hinted traces that speak of the hint are dropped too, the strength
of a preference is not part of the hint, and the protocol is any. Our option: `rounds` in which the model learns from
its own samples, each round from the model of the one before (the paper does one round with a stronger model).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from ..budget import Budget
from ..errors import BadInput
from ..judge import make_protocol
from ..protocols._base import Protocol
from ..seeds import derive_seed
from ..types import Case, content_hash
from ._run import Settings, begin, done
from ._synthesis import LOST, Report, Synthesis, TraceRow, check, traced
from .distill import Trained, checked, fit, readable, trained

__all__ = ["rft"]


def rft(
    model: str | Path,
    cases: Iterable[Case],
    out: Path,
    settings: Settings,
    synthesis: Synthesis | None = None,
    *,
    protocol: str | Protocol = "deepseek_grm",
    general: Iterable[TraceRow] = (),
    rounds: int = 1,
    sampler: str = "hf",
    tell: Callable[[str], object] = lambda line: None,
    budget: Budget | None = None,
    max_lost: float = LOST,
    **how: Any,
) -> list[tuple[Report, Trained]]:
    """Train `model` by rejective fine-tuning; returns what each round did.

    The teacher of `synthesis` writes the samples of the first round; without one, and in all further rounds, the model
    does, by the engine `sampler` (hf or embedded, with options after a question mark). `general` rows are mixed in as
    they are. OUT is the last round, OUT/round-1, ... those before; a finished round is not done again. `max_lost` as in
    `distill.teach`. Raises `BadInput` in one of several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BadInput(
            "rft draws samples and trains on them by turns, in one process; under a launcher, sample first (train "
            "distill CASES --method rejection --teacher URI --only-traces) and train on that (train distill --traces)"
        )
    asked = make_protocol(protocol) if isinstance(protocol, str) else protocol
    general, synthesis = list(general), synthesis or Synthesis(method="rejection")
    cases = readable(model, cases, asked, how.get("max_length"), tell)
    checked(model, settings, how)
    check(cases, asked, _drawn(synthesis, 1, _own(sampler, model)))
    recipe = {"recipe": "rft", "model": str(model), "cases": len(cases), "content": content_hash([cases, general])}
    more = {
        "protocol": asked.identity(),
        "rounds": rounds,
        "sampler": sampler,
        "synthesis": synthesis,
        "settings": settings,
    }
    at_last = begin(out, {**recipe, **more, **how})
    results = []
    for number in range(1, rounds + 1):
        folder = out if number == rounds else out / f"round-{number}"
        checkpoint = at_last if number == rounds else begin(folder, {"recipe": "rft", "round": number})
        drawn = _drawn(synthesis, number, _own(sampler, model))
        tell(f"round {number} of {rounds}: samples by {drawn.teacher}")
        rows, report = traced(cases, asked, drawn, folder, tell, budget, max_lost)
        if done(folder):
            result = trained(folder, len(rows) + len(general), {}, 0.0)
        else:
            result = fit(model, [*rows, *general], folder, settings, checkpoint=checkpoint, tell=tell, **how)
        results.append((report, result))
        model = folder
    return results


def _drawn(synthesis: Synthesis, number: int, own: str) -> Synthesis:
    """Say who writes the samples of a round, and give each round another seed; the first is as it would be alone."""
    if number == 1:
        return msgspec.structs.replace(synthesis, teacher=synthesis.teacher or own)
    return msgspec.structs.replace(synthesis, teacher=own, seed=derive_seed(synthesis.seed, "round", number))


def _own(sampler: str, model: str | Path) -> str:
    """Name the engine that runs a model."""
    scheme, _, options = sampler.partition("?")
    return f"{scheme}:{model}" + (f"?{options}" if options else "")

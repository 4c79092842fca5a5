"""Drawing tokens from a transformers model's logits, one random stream per row: ENGINE (its arithmetic).

The same numbers as `_jobs.draw`, on torch: a row's tokens are drawn by inverting its distribution at uniforms that
derive from its own seed, so a sample does not depend on what else is in the batch, beyond the last bits of float32.

Axes: R rows, T generated tokens, V vocabulary.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..errors import EngineUnavailable
from ._hf_batches import Row
from ._jobs import Sample

__all__ = ["Sampler"]


class Sampler:
    """A logits processor for `generate`: draws each row's token itself and leaves only that one possible."""

    def __init__(self, rows: Sequence[Row], ends: Sequence[int], closed: threading.Event, device: Any) -> None:
        self.rows, self.ends, self.closed = rows, ends, closed
        self.room = max(row.room for row in rows)
        uniforms_RT = [np.random.Generator(np.random.Philox(key=row.seed)).random(self.room) for row in rows]
        self.uniforms_RT = torch.from_numpy(np.stack(uniforms_RT)).to(device)
        self.temperature_R1 = _column([row.sampling.temperature for row in rows], device)
        self.top_p_R1 = _column([row.sampling.top_p for row in rows], device)
        self.draws = any(row.sampling.temperature > 0 for row in rows)
        self.cuts = any(row.sampling.top_p < 1 for row in rows)
        self.room_R1 = _column([row.room for row in rows], device)
        self.tokens_TR: list[Any] = []
        self.logprobs_TR: list[Any] = []

    def __call__(self, input_ids: Any, scores_RV: Any) -> Any:
        """Draw the next token of every row. Raises `EngineUnavailable` once the engine is closed."""
        if self.closed.is_set():
            raise EngineUnavailable("the hf engine was closed while it was generating")
        step, logits_RV = len(self.tokens_TR), scores_RV.double()
        logprobs_RV = torch.log_softmax(logits_RV, -1)
        tokens_R1 = self._draw(logits_RV, self.uniforms_RT[:, step : step + 1])
        self.tokens_TR.append(tokens_R1[:, 0])
        self.logprobs_TR.append(logprobs_RV.gather(1, tokens_R1)[:, 0])
        if self.ends:  # a row that is full must not keep the others running
            tokens_R1 = torch.where(step + 1 < self.room_R1, tokens_R1, self.ends[0])
        return torch.full_like(scores_RV, -torch.inf).scatter_(1, tokens_R1, 0.0)

    def samples(self) -> list[Sample]:
        """Return what the rows became."""
        tokens_RT = torch.stack(self.tokens_TR, 1).tolist()
        logprobs_RT = torch.stack(self.logprobs_TR, 1).tolist()
        return [
            _sample(tokens_T[: row.room], logprobs_T, self.ends)
            for row, tokens_T, logprobs_T in zip(self.rows, tokens_RT, logprobs_RT, strict=True)
        ]

    def _draw(self, logits_RV: Any, uniforms_R1: Any) -> Any:
        likeliest_R1 = logits_RV.argmax(-1, keepdim=True)
        if not self.draws:
            return likeliest_R1
        sampled = self.temperature_R1 > 0
        weights_RV = torch.softmax(logits_RV / torch.where(sampled, self.temperature_R1, 1.0), -1)
        if self.cuts:
            weights_RV = _cut(weights_RV, self.top_p_R1)
        below_RV = weights_RV.cumsum(-1)
        total_R1 = below_RV[:, -1:]
        # rounding must not lift u * total to the total itself: nothing lies above that
        target_R1 = torch.minimum(uniforms_R1 * total_R1, torch.nextafter(total_R1, torch.zeros_like(total_R1)))
        return torch.where(sampled, torch.searchsorted(below_RV, target_R1, right=True), likeliest_R1)


def _column(values: Sequence[float], device: Any) -> Any:
    return torch.tensor(values, dtype=torch.float64, device=device)[:, None]


def _cut(weights_RV: Any, top_p_R1: Any) -> Any:
    """Nucleus: zero the unlikely tokens beyond those that together hold `top_p`; ties at the edge stay."""
    sorted_RV = weights_RV.sort(-1).values
    sums_RV = sorted_RV.cumsum(-1)
    dropped_R1 = (sums_RV <= (1 - top_p_R1) * sums_RV[:, -1:]).sum(-1, keepdim=True)
    least_R1 = sorted_RV.gather(1, dropped_R1.clamp(max=weights_RV.shape[1] - 1))
    return torch.where(weights_RV < least_R1, 0.0, weights_RV)


def _sample(tokens_T: list[int], logprobs_T: list[float], ends: Sequence[int]) -> Sample:
    length = next((i + 1 for i, token in enumerate(tokens_T) if token in ends), len(tokens_T))
    return Sample(tokens_T[:length], logprobs_T[:length], bool(length) and tokens_T[length - 1] in ends)

"""What the embedded engine asks of a worker process: case -> prompt -> ENGINE (drawing tokens) -> completion.

A `Group` decodes up to `ROWS` samples in step, `Scores` reads given continuations. Both are plain data with a
`run`, and what a sample becomes depends on its own tokens, seed and row only: a group always computes all `ROWS`
rows (the rest repeat a live one), because a matrix product of another height may round differently.

Axes: R rows, T generated tokens, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._decoder import Decoder, Floats, Rows

__all__ = ["ROWS", "Group", "Row", "Sample", "Scores", "Values", "draw"]

ROWS = 8
"""Rows of every decode step."""

Doubles = npt.NDArray[np.float64]
Tokens = npt.NDArray[np.intp]


class Row(NamedTuple):
    """One sample to draw."""

    place: int
    """Its row, 0 <= place < ROWS."""
    prompt: tuple[int, ...]
    """Token ids; those of a group fill the same multiple of `PADDED`."""
    seed: int
    """Of its own random numbers, one per token."""
    room: int
    """Most tokens to draw."""


class Sample(NamedTuple):
    """What a row became."""

    tokens: list[int]
    """With the end token, if one was drawn."""
    logprobs: list[float]
    """Natural log-probability of each token at temperature 1, before any cut."""
    ended: bool
    """Whether the last token is an end token."""


class Group(NamedTuple):
    """Samples that are decoded in step, each in its own row."""

    rows: list[Row]
    temperature: float
    top_p: float
    ends: frozenset[int]
    """End tokens."""

    def run(self, decoder: Decoder) -> list[Sample]:
        """Draw the samples, in the order of `rows`. Stops when all have ended; costs the longest one."""
        live = np.array([row.place for row in self.rows])
        by_place = {row.place: row for row in self.rows}
        prefixes = [decoder.prefill(by_place.get(place, self.rows[0]).prompt) for place in range(ROWS)]
        most = max(row.room for row in self.rows)
        cache, logits_RV = Rows(prefixes, most), np.stack([prefix.logits_V for prefix in prefixes])
        uniforms_RT = np.zeros((ROWS, most))
        uniforms_RT[live] = [_uniforms(row.seed, most) for row in self.rows]
        tokens_TR, logprobs_TR = np.zeros((most, ROWS), np.intp), np.zeros((most, ROWS))
        room_R = np.zeros(ROWS, np.intp)
        room_R[live] = [row.room for row in self.rows]
        ended_R = np.zeros(ROWS, bool)
        is_end_V = np.isin(np.arange(logits_RV.shape[1]), list(self.ends))
        for t in range(most):
            if t:
                logits_RV = decoder.step(tokens_TR[t - 1], cache)
            tokens_TR[t], logprobs_TR[t] = draw(logits_RV, uniforms_RT[:, t], self.temperature, self.top_p)
            ended_R |= is_end_V[tokens_TR[t]] | (t + 1 >= room_R)
            if ended_R[live].all():
                break
        return [
            _sample(tokens_TR[: row.room, row.place], logprobs_TR[: row.room, row.place], is_end_V) for row in self.rows
        ]


class Scores(NamedTuple):
    """The log-probabilities of continuations of one prompt, which is read once."""

    prompt: tuple[int, ...]
    continuations: list[tuple[int, ...]]

    def run(self, decoder: Decoder) -> list[float]:
        """Sum the natural log-probabilities of each continuation's tokens after the prompt."""
        read, longest = decoder.prefill(self.prompt), max(map(len, self.continuations))
        rows = np.arange(len(self.continuations))
        tokens_TR = np.zeros((longest, len(rows)), np.intp)
        said_TR = np.zeros((longest, len(rows)), bool)
        for row, continuation in enumerate(self.continuations):
            tokens_TR[: len(continuation), row], said_TR[: len(continuation), row] = continuation, True
        cache, logits_RV = Rows([read] * len(rows), longest), np.tile(read.logits_V, (len(rows), 1))
        totals_R = np.zeros(len(rows))
        for t in range(longest):
            if t:
                logits_RV = decoder.step(tokens_TR[t - 1], cache)
            scores_RV = logits_RV.astype(np.float64)
            scores_RV -= scores_RV.max(-1, keepdims=True)
            totals_R += said_TR[t] * (scores_RV[rows, tokens_TR[t]] - np.log(np.exp(scores_RV).sum(-1)))
        return totals_R.tolist()


class Values(NamedTuple):
    """What a scalar head gives for texts, each read alone."""

    texts: list[tuple[int, ...]]

    def run(self, decoder: Decoder) -> list[float]:
        """Return one number per text."""
        return [decoder.value(ids) for ids in self.texts]


def draw(logits_RV: Floats, uniforms_R: Doubles, temperature: float, top_p: float) -> tuple[Tokens, Doubles]:
    """Draw one token per row by inverting the distribution at `uniforms_R` (0 <= u < 1).

    Temperature 0 takes the likeliest. Returns the tokens and their natural log-probabilities at temperature 1.
    """
    scores_RV = logits_RV.astype(np.float64)
    scores_RV -= scores_RV.max(-1, keepdims=True)
    weights_RV = np.exp(scores_RV)
    totals_R = weights_RV.sum(-1)
    if temperature <= 0:
        tokens_R = logits_RV.argmax(-1)
    else:
        if temperature != 1:
            weights_RV = np.exp(scores_RV / temperature)
        if top_p < 1:
            _cut(weights_RV, top_p)
        below_RV = weights_RV.cumsum(-1)
        # rounding must not lift u * total to the total itself: nothing lies above that
        targets_R = np.minimum(uniforms_R * below_RV[:, -1], np.nextafter(below_RV[:, -1], 0))
        tokens_R = (below_RV > targets_R[:, None]).argmax(-1)
    return tokens_R, scores_RV[np.arange(len(tokens_R)), tokens_R] - np.log(totals_R)


def _cut(weights_RV: Doubles, top_p: float) -> None:
    """Nucleus: zero the unlikely tokens beyond those that together hold `top_p`; ties at the edge stay."""
    sorted_RV = np.sort(weights_RV, axis=-1)
    sums_RV = sorted_RV.cumsum(-1)
    dropped_R = (sums_RV <= (1 - top_p) * sums_RV[:, -1:]).sum(-1)
    least_R = sorted_RV[np.arange(len(sorted_RV)), np.minimum(dropped_R, sorted_RV.shape[1] - 1)]
    weights_RV[weights_RV < least_R[:, None]] = 0


def _uniforms(seed: int, count: int) -> Doubles:
    return np.random.Generator(np.random.Philox(key=seed)).random(count)


def _sample(tokens_T: Tokens, logprobs_T: Doubles, is_end_V: npt.NDArray[np.bool_]) -> Sample:
    ends = np.flatnonzero(is_end_V[tokens_T])
    length = int(ends[0]) + 1 if len(ends) else len(tokens_T)
    return Sample(tokens_T[:length].tolist(), logprobs_T[:length].tolist(), bool(len(ends)))

"""Calibration: a rising map from what a strategy's scores are to what they are worth by gold.

Judgments carry scores in the strategy's unit; fitted on judged cases with gold, the map says what gold to expect at a
score. It is the least-squares rising step function (isotonic regression by pooling adjacent violators, Ayer and others
1955), read off linearly between the centres of its steps, so that it also tells apart what lies between. It keeps the
order of scores, and ties only what no gold told apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import groupby, pairwise
from math import fsum
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from .data import read_rows
from .errors import BadInput
from .types import Judgment

__all__ = ["Calibration", "calibration_error", "fit_calibration", "read_calibration", "read_leads", "read_scores"]


class Calibration(msgspec.Struct, frozen=True):
    """A rising piecewise linear map; constant beyond its ends."""

    scores: tuple[float, ...]
    """Where it bends, rising."""
    gold: tuple[float, ...]
    """Its values there, not falling."""
    n: int
    """How many candidates it was fitted on."""

    def __call__(self, score: float) -> float:
        """Return the gold to expect."""
        place = bisect_left(self.scores, score)
        if place == 0 or place == len(self.scores):
            return self.gold[min(place, len(self.gold) - 1)]
        left, right = self.scores[place - 1], self.scores[place]
        share = (score - left) / (right - left)
        return self.gold[place - 1] + share * (self.gold[place] - self.gold[place - 1])

    def applied(self, judgment: Judgment) -> Judgment:
        """Return a judgment with its scores in gold; standard errors follow the map one error up and down."""
        if judgment.scores is None:
            return judgment
        errors = judgment.standard_errors
        if errors is not None:
            around = zip(judgment.scores, errors, strict=True)
            errors = tuple((self(score + error) - self(score - error)) / 2 for score, error in around)
        scores = tuple(map(self, judgment.scores))
        return msgspec.structs.replace(judgment, scores=scores, standard_errors=errors)

    def save(self, path: str | Path) -> None:
        """Write it as JSON; `read_calibration` reads it."""
        try:
            Path(path).write_bytes(msgspec.json.encode(self) + b"\n")
        except OSError as error:
            raise BadInput(f"cannot write {path}: {error.strerror}") from error


def read_calibration(path: str | Path) -> Calibration:
    """Read what `save` wrote. Raises `BadInput`."""
    try:
        found = msgspec.json.decode(Path(path).read_bytes(), type=Calibration)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        made = f"make one with: thinkscore calibrate ROWS --out {path}"
        raise BadInput(f"{path} is no calibration ({error}); {made}") from error
    rising = all(a < b for a, b in pairwise(found.scores))
    if not rising or list(found.gold) != sorted(found.gold) or not 0 < len(found.scores) == len(found.gold):
        raise BadInput(f"{path} is no calibration: scores must rise, and gold must not fall; as many of each")
    return found


def fit_calibration(scores: Sequence[float], gold: Sequence[float]) -> Calibration:
    """Fit the map to scores and the gold of the same candidates. Raises `BadInput` without two different scores."""
    if len(set(scores)) < 2:
        raise BadInput(f"got {len(scores)} scores, {len(set(scores))} different; a calibration needs 2 or more")
    steps: list[tuple[float, float, int]] = []  # sums of scores and of gold, and how many
    for score, same in groupby(sorted(zip(scores, gold, strict=True)), key=itemgetter(0)):
        values = [value for _, value in same]
        new = (score * len(values), fsum(values), len(values))
        while steps and _level(steps[-1]) >= _level(new):
            old = steps.pop()
            new = (old[0] + new[0], old[1] + new[1], old[2] + new[2])
        steps.append(new)
    return Calibration(tuple(map(_centre, steps)), tuple(map(_level, steps)), len(scores))


def _centre(step: tuple[float, float, int]) -> float:
    return step[0] / step[2]


def _level(step: tuple[float, float, int]) -> float:
    return step[1] / step[2]


def calibration_error(scores: Sequence[float], gold: Sequence[float], bins: int = 10) -> float:
    """Return the mean distance between score and gold over bins of equally many candidates, in the unit of gold.

    The bins follow the scores; within each the means are compared (expected calibration error for real values). It is
    not 0 for a perfect map either: with n/bins candidates in a bin, chance alone leaves about 0.8 sd / sqrt(n / bins).
    """
    pairs = sorted(zip(scores, gold, strict=True), key=lambda pair: pair[0])
    edges = [round(number * len(pairs) / bins) for number in range(bins + 1)]
    parts = [pairs[start:end] for start, end in pairwise(edges) if start < end]
    return fsum(abs(fsum(score - value for score, value in part)) for part in parts) / len(pairs)


class _Row(msgspec.Struct):
    id: str
    verdicts: list[Any]
    scores: tuple[float, ...] | None = None
    gold: tuple[float, ...] | None = None


def read_scores(path: str | Path) -> tuple[list[float], list[float]]:
    """Read the scores and the gold of all candidates in output rows; rows without either are left out.

    Raises `BadInput` if none is left.
    """
    scores: list[float] = []
    gold: list[float] = []
    for row in read_rows(path, _Row):
        if row.scores is not None and row.gold is not None and len(row.scores) == len(row.gold):
            scores += row.scores
            gold += row.gold
    if not scores:
        raise BadInput(f"{path}: no row has both scores and gold; a calibration is fitted on judged cases with gold")
    return scores, gold


def read_leads(path: str | Path) -> tuple[list[float], list[bool]]:
    """Read by how much the favourite leads in each output row, and whether it is wrong; failures are left out.

    Raises `BadInput` if no row has two scores or more, and gold.
    """
    leads: list[float] = []
    wrong: list[bool] = []
    for row in read_rows(path, _Row):
        if row.scores is not None and row.gold is not None and len(row.scores) == len(row.gold) > 1:
            first, second = sorted(row.scores, reverse=True)[:2]
            leads.append(first - second)
            wrong.append(row.scores.index(first) not in [i for i, g in enumerate(row.gold) if g == max(row.gold)])
    if not leads:
        raise BadInput(f"{path}: no row has two scores and gold; a margin is found on judged cases with gold")
    return leads, wrong

"""Our ratings against those of the package evalica, which RRM rates with, on the same sequence of duels."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from thinkscore.scaling._duels import Duel
from thinkscore.scaling._ratings import bradley_terry, elo

pytestmark = pytest.mark.peer


def sequence(seed: int, n: int) -> list[Duel]:
    """Draw duels with ties; a circle of wins, so that a fit without a ridge exists."""
    draw = random.Random(seed)
    drawn = [Duel(*draw.sample(range(n), 2), draw.choice([0.0, 0.5, 1.0, 1.0])) for _ in range(12 * n)]
    circle = [Duel(i, (i + 1) % n, 1.0) for i in range(n)]
    return draw.sample([*drawn, *circle], len(drawn) + n)


def theirs(name: str, n: int, duels: list[Duel], **options: Any) -> list[float]:
    import evalica

    said = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    columns = [duel.a for duel in duels], [duel.b for duel in duels], [said[duel.share] for duel in duels]
    scores = getattr(evalica, name)(*columns, **options).scores
    return [float(scores[i]) for i in range(n)]


@pytest.mark.parametrize("n", [2, 8, 30])
@pytest.mark.parametrize("seed", range(5))
def test_elo_is_that_of_evalica_with_its_defaults(seed: int, n: int) -> None:
    duels = sequence(seed, n)
    assert elo(n, duels) == pytest.approx(theirs("elo", n, duels), abs=1e-8)


def test_elo_takes_the_same_options() -> None:
    duels, options = sequence(7, 6), {"initial": 1500.0, "base": 2.0, "scale": 100.0, "k": 32.0}
    assert elo(6, duels, **options) == pytest.approx(theirs("elo", 6, duels, **options), abs=1e-8)


@pytest.mark.parametrize("n", [2, 8, 30])
@pytest.mark.parametrize("seed", range(5))
def test_strengths_are_those_of_evalica_without_a_ridge(seed: int, n: int) -> None:
    """They are given as odds there, in a scale of their own."""
    duels = sequence(seed, n)
    odds = theirs("bradley_terry", n, duels, tolerance=1e-14, limit=100_000)
    logs = np.log(odds)
    assert bradley_terry(n, duels, ridge=0.0) == pytest.approx(logs - logs.mean(), abs=1e-6)

"""Ratings: one number per candidate from duels.

Shared by the tournaments that rank all: duels, RATINGS, judgment. Four ways: the share of duels won; pairs won and
lost (Copeland 1951); strengths that explain the duels best (Bradley and Terry 1952), which count a win for more
against a strong candidate; and Elo's update after each duel in turn, as RRM (arXiv:2505.14674) takes it from the
package evalica.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._duels import Duel, leads

__all__ = ["RIDGE", "bradley_terry", "copeland", "elo", "win_rate"]

RIDGE = 0.1
"""Penalty on squared strengths: who has won all its duels stays finite."""
_DIGITS = 9
"""Ratings that are equal on paper must be equal numbers, or a tie is decided by rounding."""


def win_rate(n: int, duels: Sequence[Duel]) -> list[float]:
    """Return the share of its duels that each won, from 0 to 1, ties half.

    One tie is added to everyone's duels: two wins of two stand above one of one, and no duel gives 1/2.
    """
    won, played = [0.5] * n, [1] * n
    for a, b, share in duels:
        won[a] += share
        won[b] += 1 - share
        played[a] += 1
        played[b] += 1
    return [part / all_ for part, all_ in zip(won, played, strict=True)]


def copeland(n: int, duels: Sequence[Duel]) -> list[float]:
    """Return how many more candidates each beats than it is beaten by, from -(n - 1) to n - 1.

    A pair is won by whoever won more of its duels.
    """
    scores = [0.0] * n
    for (a, b), lead in leads(duels).items():
        sign = (lead > 0) - (lead < 0)
        scores[a] += sign
        scores[b] -= sign
    return scores


def elo(
    n: int, duels: Sequence[Duel], initial: float = 1000.0, base: float = 10.0, scale: float = 400.0, k: float = 4.0
) -> list[float]:
    """Return Elo ratings after the duels in their order: R + k (share - 1 / (1 + base^((other - R) / scale))).

    Every later duel is seen with the ratings that the earlier ones left, so the order matters. With the default k they
    hardly leave `initial`.
    """
    ratings = [initial] * n
    for a, b, share in duels:
        mine, theirs = ratings[a], ratings[b]
        ratings[a] = mine + k * (share - 1 / (1 + base ** ((theirs - mine) / scale)))
        ratings[b] = theirs + k * (1 - share - 1 / (1 + base ** ((mine - theirs) / scale)))
    return [round(rating, _DIGITS) for rating in ratings]


def bradley_terry(n: int, duels: Sequence[Duel], ridge: float = RIDGE) -> list[float]:
    """Return the strengths s that maximise sum of log P(who won) - ridge/2 sum s², P(a beats b) = 1/(1 + e^(b - a)).

    Log-odds, with mean 0; a tie is half a win for each. `ridge` 0 needs duels in which everybody can be reached from
    everybody else through wins; else nothing is largest.
    """
    import numpy as np

    first_D = np.array([duel.a for duel in duels], dtype=int)
    second_D = np.array([duel.b for duel in duels], dtype=int)
    share_D = np.array([duel.share for duel in duels])

    def likelihood(strengths_N: Any) -> float:
        apart_D = strengths_N[first_D] - strengths_N[second_D]
        return float((share_D * apart_D - np.logaddexp(0.0, apart_D)).sum() - ridge / 2 * (strengths_N**2).sum())

    def newton(strengths_N: Any) -> Any:
        chance_D = 1 / (1 + np.exp(np.clip(strengths_N[second_D] - strengths_N[first_D], -700, 700)))
        surplus_D, weight_D = share_D - chance_D, chance_D * (1 - chance_D)
        gradient_N = np.bincount(first_D, surplus_D, n) - np.bincount(second_D, surplus_D, n) - ridge * strengths_N
        # A constant added to all strengths changes no chance: 1/n throughout keeps their mean at 0, at any ridge.
        curvature_NN = np.full((n, n), 1 / n)
        np.subtract.at(curvature_NN, (first_D, second_D), weight_D)
        np.subtract.at(curvature_NN, (second_D, first_D), weight_D)
        own_N = np.bincount(first_D, weight_D, n) + np.bincount(second_D, weight_D, n) + ridge
        curvature_NN[np.diag_indices(n)] += own_N
        return np.linalg.solve(curvature_NN, gradient_N)

    strengths_N = np.zeros(n)
    for _ in range(100):
        step_N, value = newton(strengths_N), likelihood(strengths_N)
        while likelihood(strengths_N + step_N) < value - 1e-9:  # too far: the likelihood has one top
            step_N /= 2
        strengths_N = strengths_N + step_N
        if np.abs(step_N).max() < 1e-10:
            break
    # Adding zero turns -0.0 into 0.0.
    return [round(float(strength), _DIGITS) + 0.0 for strength in strengths_N]

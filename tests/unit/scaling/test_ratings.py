"""Ratings against numbers by hand and against other ways to the same numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.scaling._duels import Duel
from thinkscore.scaling._ratings import bradley_terry, copeland, elo, win_rate

A, B, C = 0, 1, 2
# a beats b twice and loses once, b ties c, d meets nobody
SOME = [Duel(A, B, 1.0), Duel(B, A, 0.0), Duel(A, B, 0.0), Duel(B, C, 0.5)]


def test_win_rates_by_hand() -> None:
    """One tie more for everybody: (won + 1/2) / (duels + 1)."""
    assert win_rate(4, SOME) == [2.5 / 4, 2 / 5, 1 / 2, 1 / 2]


def test_copeland_by_hand() -> None:
    assert copeland(4, SOME) == [1.0, -1.0, 0.0, 0.0]
    assert copeland(3, [Duel(A, B, 1.0), Duel(A, C, 1.0), Duel(C, B, 1.0)]) == [2.0, -2.0, 0.0]


def test_elo_by_hand() -> None:
    """At first each is expected to win half; then the one ahead by 4 points 10^(4/400) times as often as the other."""
    assert elo(2, [Duel(A, B, 1.0)]) == [1002.0, 998.0]
    behind = 1 / (1 + 10 ** (4 / 400))
    assert behind == pytest.approx(0.494243767)
    after = elo(3, [Duel(A, B, 1.0), Duel(A, B, 0.0)])
    assert after == pytest.approx([1002 - 4 * (1 - behind), 998 + 4 * (1 - behind), 1000], abs=1e-9)
    assert after[:2] == pytest.approx([999.976975, 1000.023025], abs=1e-6)
    assert elo(2, [Duel(A, B, 0.5)]) == [1000.0, 1000.0]
    assert elo(2, [Duel(B, A, 0.5)], initial=0, base=math.e, scale=1, k=1) == [0.0, 0.0]


def test_elo_depends_on_the_order_of_duels() -> None:
    duels = [Duel(A, B, 1.0), Duel(B, C, 1.0), Duel(C, A, 1.0)]
    assert elo(3, duels) != elo(3, duels[::-1])


def test_bradley_terry_by_hand() -> None:
    """Three wins of four against one opponent: log-odds of 3, without a ridge; half of it each side of 0."""
    found = bradley_terry(2, [Duel(A, B, 1.0)] * 3 + [Duel(B, A, 1.0)], ridge=0.0)
    assert found == pytest.approx([math.log(3) / 2, -math.log(3) / 2], abs=1e-8)
    # one win, with the ridge: 1 - p(2 s) = ridge s
    (up, down) = bradley_terry(2, [Duel(A, B, 1.0)])
    assert up == -down and 1 / (1 + math.exp(2 * up)) == pytest.approx(0.1 * up, abs=1e-8)


def test_nobody_is_rated_without_duels() -> None:
    assert bradley_terry(3, []) == [0.0] * 3
    assert bradley_terry(3, [Duel(A, B, 1.0)])[C] == 0.0


def test_a_win_against_a_strong_one_is_worth_more() -> None:
    ladder = [Duel(2, 3, 1.0)] * 3
    strong, weak = (bradley_terry(5, [*ladder, Duel(4, beaten, 1.0)])[4] for beaten in (2, 3))
    assert strong > weak


played = st.integers(2, 7).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(
            st.tuples(st.permutations(range(n)).map(lambda p: p[:2]), st.sampled_from([0.0, 0.5, 1.0])), max_size=25
        ),
    )
)


@settings(deadline=None)
@given(played, st.sampled_from([0.1, 0.5, 2.0]))
def test_bradley_terry_is_where_the_penalised_likelihood_is_highest(
    drawn: tuple[int, list[tuple[list[int], float]]], ridge: float
) -> None:
    """Another way to the same numbers: plain gradient ascent, with a step that no curvature exceeds."""
    n, found = drawn
    duels = [Duel(a, b, share) for (a, b), share in found]
    first, second, share = (np.array(column) for column in zip(*duels, strict=True)) if duels else ([], [], [])
    strengths, step = np.zeros(n), 1 / (ridge + len(duels) / 2)
    for _ in range(200_000):
        gradient = -ridge * strengths
        if duels:
            surplus = share - 1 / (1 + np.exp(strengths[second] - strengths[first]))
            gradient += np.bincount(first, surplus, n) - np.bincount(second, surplus, n)
        strengths = strengths + step * gradient
        if np.abs(gradient).max() < 1e-9:
            break
    assert bradley_terry(n, duels, ridge) == pytest.approx(strengths, abs=1e-6)


@settings(deadline=None)
@given(played)
def test_without_a_ridge_it_is_the_fit_of_minorise_and_maximise(
    drawn: tuple[int, list[tuple[list[int], float]]],
) -> None:
    """Hunter 2004: strength = wins / sum over duels of 1 / (own + other's); a circle of wins keeps all finite."""
    n, found = drawn
    duels = [Duel(a, b, share) for (a, b), share in found] + [Duel(i, (i + 1) % n, 1.0) for i in range(n)]
    won, met = np.zeros((n, n)), np.zeros((n, n))
    for a, b, share in duels:
        won[a, b] += share
        won[b, a] += 1 - share
        met[a, b] += 1
        met[b, a] += 1
    worth = np.ones(n)
    for _ in range(50_000):
        before = worth
        worth = won.sum(1) / (met / (worth[:, None] + worth[None, :])).sum(1)
        worth /= np.exp(np.log(worth).mean())
        if np.abs(worth - before).max() < 1e-12:
            break
    assert bradley_terry(n, duels, ridge=0.0) == pytest.approx(np.log(worth), abs=1e-6)

"""`round_robin`: all pairs, everybody about equally often at any time, folded in four ways."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.scaling._base import Ask, State, Stop, parse_strategy
from thinkscore.scaling._duels import Duel
from thinkscore.scaling._ratings import bradley_terry, copeland, elo, win_rate
from thinkscore.scaling.round_robin import RoundRobin
from thinkscore.types import Case, Completion, Failure, Message, Outcome, Tie, Trace, Verdict, Winner


def case_of(n: int) -> Case:
    return Case("c", (Message("user", "?"),), tuple(f"reply {i}" for i in range(n)))


def asked(n: int, strategy: RoundRobin | None = None, seed: int = 0, left: int | None = None) -> list[Ask]:
    move = (strategy or RoundRobin()).step(State(case_of(n), (), seed), left)
    assert isinstance(move, list)
    return move


@pytest.mark.parametrize("n", [2, 3, 8, 9])
@pytest.mark.parametrize("r", [1, 2, 3])
def test_each_pair_meets_r_times_in_alternating_orders(n: int, r: int) -> None:
    seen = Counter(ask.order for ask in asked(n, RoundRobin(r=r)))
    for a, b in combinations(range(n), 2):
        there, back = seen[a, b], seen[b, a]
        assert there + back == r and abs(there - back) <= 1
    assert sum(seen.values()) == r * n * (n - 1) // 2


@given(st.integers(2, 30), st.integers(1, 200), st.integers(0, 99))
def test_a_budget_sees_everybody_about_equally_often(n: int, left: int, seed: int) -> None:
    """A round of an odd number leaves one out, and a round may be cut short."""
    seen = Counter(i for ask in asked(n, seed=seed, left=left) for i in ask.order)
    counts = [seen[i] for i in range(n)]
    assert sum(counts) == 2 * min(left, n * (n - 1) // 2)
    assert max(counts) - min(counts) <= 1 + n % 2


def test_it_goes_on_where_it_was() -> None:
    strategy, case = RoundRobin(), case_of(5)
    whole = asked(5)
    done = tuple(Verdict("c", ask.order, Tie(), Trace(), Completion()) for ask in whole[:4])
    assert strategy.step(State(case, done, 0), None) == whole[4:]
    assert strategy.step(State(case, done, 0), 2) == whole[4:6]
    assert strategy.step(State(case, done, 0), 0) == Stop("budget")


GAMES: list[tuple[tuple[int, int], Outcome]] = [
    ((0, 1), Winner(0)), ((2, 1), Winner(1)), ((0, 2), Failure("truncated")), ((2, 0), Tie()), ((3, 0), Winner(3)),
]  # fmt: skip
DUELS = [Duel(0, 1, 1.0), Duel(2, 1, 0.0), Duel(2, 0, 0.5), Duel(3, 0, 1.0)]
FOLDS = {"winrate": win_rate, "bt": bradley_terry, "elo": elo, "copeland": copeland}


@pytest.mark.parametrize(("rating", "formula"), FOLDS.items(), ids=FOLDS)
def test_scores_are_the_rating_of_what_was_readable(rating: str, formula) -> None:  # type: ignore[no-untyped-def]
    strategy = parse_strategy(f"round_robin:rating={rating}")
    verdicts = [Verdict("c", order, outcome, Trace(), Completion()) for order, outcome in GAMES]
    judgment = strategy.fold(case_of(4), verdicts, "all asked")
    assert judgment.scores == tuple(formula(4, DUELS))
    assert judgment.winner == 3
    assert judgment.confidence == (1 + 1) / (1 + 2)
    assert judgment.notes == {"comparisons": 5.0}, "no triad was compared in full"


def test_cycles_are_told() -> None:
    games = [((0, 1), 0), ((1, 2), 1), ((2, 0), 2), ((0, 3), 0), ((1, 3), 1), ((2, 3), 2)]
    verdicts = [Verdict("c", order, Winner(winner), Trace(), Completion()) for order, winner in games]
    judgment = RoundRobin("copeland").fold(case_of(4), verdicts, "all asked")
    assert judgment.notes == {"comparisons": 6.0, "cyclic_triads": 1 / 4}
    assert judgment.scores == (1.0, 1.0, 1.0, -3.0)
    assert judgment.winner is None

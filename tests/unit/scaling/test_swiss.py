"""`swiss`: everybody plays every round, neighbours in the standing meet, nobody twice."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.scaling._base import Ask, State, Stop
from thinkscore.scaling.swiss import Swiss, pairing
from thinkscore.types import Case, Completion, Failure, Judgment, Message, Outcome, Trace, Verdict, Winner


def play(n: int, rounds: int, judge, seed: int = 0) -> tuple[list[list[Ask]], Judgment]:  # type: ignore[no-untyped-def]
    case, strategy = Case("c", (Message("user", "?"),), tuple(f"reply {i}" for i in range(n))), Swiss(rounds)
    verdicts: list[Verdict] = []
    asked: list[list[Ask]] = []
    while not isinstance(move := strategy.step(State(case, tuple(verdicts), seed)), Stop):
        asked.append(move)
        verdicts += [Verdict("c", ask.order, judge(ask.order), Trace(), Completion()) for ask in move]
    return asked, strategy.fold(case, verdicts, move.reason)


def best(order: tuple[int, int]) -> Outcome:
    return Winner(max(order))


@settings(deadline=None)
@given(st.integers(2, 41), st.integers(1, 8), st.integers(0, 999))
def test_everybody_plays_every_round_and_nobody_meets_twice(n: int, rounds: int, seed: int) -> None:
    coin = random.Random(seed)
    asked, _ = play(n, rounds, lambda order: Winner(coin.choice(order)), seed)
    assert [len(move) for move in asked] == [n // 2] * rounds
    for move in asked:
        assert len({i for ask in move for i in ask.order}) == n // 2 * 2
    met = Counter(frozenset(ask.order) for move in asked for ask in move)
    if rounds <= n // 2:
        assert max(met.values()) == 1
    if n % 2:
        out = Counter(next(iter(set(range(n)) - {i for ask in move for i in ask.order})) for move in asked)
        assert max(out.values()) - min(out.get(i, 0) for i in range(n)) <= 1


@pytest.mark.parametrize(("n", "rounds"), [(2, 1), (3, 2), (8, 3), (9, 4), (16, 4), (17, 5)])
def test_rounds_are_those_of_a_knockout_by_default(n: int, rounds: int) -> None:
    assert len(play(n, 0, best)[0]) == rounds


def test_neighbours_in_the_standing_meet() -> None:
    asked, judgment = play(8, 3, best)
    wins: Counter[int] = Counter()
    for move in asked:
        assert all(wins[a] == wins[b] for a, b in (ask.order for ask in move))
        wins.update(max(ask.order) for ask in move)
    assert judgment.scores is not None
    assert judgment.winner == 7
    assert sum(judgment.scores) == pytest.approx(0, abs=1e-6)
    ranked = sorted(range(8), key=lambda i: judgment.scores[i])  # type: ignore[index]
    assert all(wins[a] <= wins[b] for a, b in pairwise(ranked))


def test_an_unreadable_duel_is_asked_once_more_and_then_gives_nothing() -> None:
    asked, judgment = play(4, 1, lambda order: Failure("ambiguous") if 0 in order else best(order))
    assert [len(move) for move in asked] == [2, 1]
    assert judgment.scores is not None and judgment.scores[0] == 0.0


def test_of_four_all_six_pairs_meet_before_any_meets_again() -> None:
    asked, _ = play(4, 5, best)
    assert len({frozenset(ask.order) for move in asked[:3] for ask in move}) == 6
    assert [len(move) for move in asked] == [2] * 5


def possible(left: tuple[int, ...], met: dict[int, set[int]]) -> bool:
    """Tell by trying everything whether a pairing without rematches exists."""
    if not left:
        return True
    first, *rest = left
    return any(other not in met[first] and possible(tuple(i for i in rest if i != other), met) for other in rest)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from([2, 4, 6, 8, 10]).flatmap(
        lambda n: st.tuples(st.permutations(range(n)), st.sets(st.sampled_from(list(combinations(range(n), 2)))))
    )
)
def test_rematches_only_where_there_is_no_other_way(drawn: tuple[list[int], set[tuple[int, int]]]) -> None:
    standing, past = drawn
    met: dict[int, set[int]] = {i: set() for i in standing}
    for a, b in past:
        met[a].add(b)
        met[b].add(a)
    pairs = pairing(standing, met)
    assert sorted(i for pair in pairs for i in pair) == sorted(standing)
    fresh = all(b not in met[a] for a, b in pairs)
    assert fresh == possible(tuple(standing), met)

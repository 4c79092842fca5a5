"""`knockout`: brackets of any size, matches that end early, and what a budget buys."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.scaling._base import Ask, State, Stop, parse_strategy
from thinkscore.scaling.knockout import Knockout
from thinkscore.types import Case, Completion, Failure, Judgment, Message, Outcome, Tie, Trace, Verdict, Winner

LOST = Failure("no_verdict")


def case_of(n: int, name: str = "c") -> Case:
    return Case(name, (Message("user", "?"),), tuple(f"reply {i}" for i in range(n)))


def verdict(order: tuple[int, ...], outcome: Outcome) -> Verdict:
    return Verdict("c", order, outcome, Trace(), Completion())


def best(ask: Ask, past: int) -> Outcome:
    return Winner(max(ask.order))


def play(strategy: Knockout, n: int, judge=best, seed: int = 0, most: int | None = None):  # type: ignore[no-untyped-def]
    """Play to the end; `judge(ask, how many verdicts the pair has)`. Returns what was asked round by round, and all."""
    case, asked, verdicts, met = case_of(n), list[list[Ask]](), list[Verdict](), Counter[frozenset[int]]()
    while True:
        left = None if most is None else most - len(verdicts)
        move = strategy.step(State(case, tuple(verdicts), seed), left)
        if isinstance(move, Stop):
            return asked, strategy.fold(case, verdicts, move.reason)
        asked.append(move)
        for ask in move:
            verdicts.append(verdict(ask.order, judge(ask, met[frozenset(ask.order)])))
            met[frozenset(ask.order)] += 1


@pytest.mark.parametrize("n", range(2, 71))
def test_every_candidate_plays_and_rounds_are_as_few_as_they_can_be(n: int) -> None:
    asked, judgment = play(Knockout(r=1), n)
    rounds = (n - 1).bit_length()
    assert len(asked) == rounds
    assert [len(move) for move in asked] == [n - 2 ** (rounds - 1), *(2**i for i in reversed(range(rounds - 1)))]
    assert {i for move in asked for ask in move for i in ask.order} == set(range(n))
    assert judgment.scores is not None
    assert Counter(judgment.scores)[float(rounds)] == 1
    assert judgment.scores[n - 1] == rounds


def test_scores_are_rounds() -> None:
    _, judgment = play(Knockout(), 16)
    assert judgment.scores is not None
    assert Counter(judgment.scores) == {0.0: 8, 1.0: 4, 2.0: 2, 3.0: 1, 4.0: 1}
    assert (judgment.winner, judgment.confidence) == (15, 9 / 10)
    assert judgment.notes == {"comparisons": 30.0, "undecided": 0.0}


def test_those_who_sit_out_are_spread_over_the_bracket() -> None:
    """Of 12, four sit out; each meets one that has played."""
    for seed in range(20):
        (first, second, *_), _ = play(Knockout(r=1), 12, seed=seed)
        played = {i for ask in first for i in ask.order}
        assert len(played) == 8
        assert all(len(played & set(ask.order)) == 1 for ask in second)


def test_a_match_asks_both_orders_and_a_third_only_where_they_differ() -> None:
    def split(ask: Ask, past: int) -> Outcome:
        return Winner(ask.order[0])  # the first shown always wins: the two orders disagree

    asked, judgment = play(Knockout(r=3), 2, split)
    assert [len(move) for move in asked] == [2, 1]
    assert {ask.order for ask in asked[0]} == {(0, 1), (1, 0)}
    assert asked[1][0].order == asked[0][0].order, "the orders go on alternating"
    assert judgment.winner == asked[0][0].order[0]
    asked, _ = play(Knockout(r=3), 8)
    assert [len(move) for move in asked] == [8, 4, 2]


@pytest.mark.parametrize(("r", "expected"), [(1, [1]), (2, [2]), (3, [2]), (5, [3]), (7, [4])])
def test_no_more_is_asked_at_a_time_than_may_be_needed(r: int, expected: list[int]) -> None:
    asked, _ = play(Knockout(r=r), 2)
    assert [len(move) for move in asked] == expected


def test_which_place_comes_first_is_drawn() -> None:
    first = Counter(play(Knockout(), 2, seed=seed)[0][0][0].order for seed in range(200))
    assert set(first) == {(0, 1), (1, 0)}
    assert 70 < first[0, 1] < 130


def test_the_bracket_is_drawn_from_seed_and_case() -> None:
    def pairs(seed: int, name: str) -> tuple[tuple[int, ...], ...]:
        move = Knockout(r=1).step(State(case_of(8, name), (), seed))
        assert isinstance(move, list)
        return tuple(sorted(tuple(sorted(ask.order)) for ask in move))

    assert pairs(1, "a") == pairs(1, "a")
    assert len({pairs(seed, name) for seed in range(5) for name in "ab"}) > 8


# ---- what cannot be read, and ties


def test_an_unreadable_duel_is_asked_again() -> None:
    asked, judgment = play(Knockout(r=1), 2, lambda ask, past: LOST if past == 0 else best(ask, past))
    assert [len(move) for move in asked] == [1, 1]
    assert (judgment.winner, judgment.notes["undecided"]) == (1, 0.0)


@pytest.mark.parametrize("r", [1, 3, 5])
def test_nobody_is_asked_for_ever(r: int) -> None:
    asked, judgment = play(Knockout(r=r), 4, lambda ask, past: LOST)
    assert sum(map(len, asked)) == 3 * (r + 1)
    assert judgment.scores is None
    assert judgment.failure == LOST


def test_ties_are_settled_by_a_lot_that_counts_for_nobody() -> None:
    asked, judgment = play(Knockout(r=1), 8, lambda ask, past: Tie())
    assert [len(move) for move in asked] == [4, 2, 1]
    assert (judgment.winner, judgment.scores) == (None, (0.0,) * 8)
    assert judgment.notes["undecided"] == 7.0
    through = Counter(
        play(Knockout(r=1), 4, lambda ask, past: Tie(), seed)[0][1][0].order.count(3) for seed in range(100)
    )
    assert 30 < through[1] < 70, "each goes on half of the time"


def test_a_lot_is_no_win() -> None:
    """The one that goes on by lot is not above the one that it did not beat, until it beats others."""

    def judge(ask: Ask, past: int) -> Outcome:
        return Tie() if set(ask.order) == {0, 1} else best(ask, past)

    judgment = Knockout(r=1).fold(case_of(3), [verdict((0, 1), Tie()), verdict((1, 2), Winner(2))], "decided")
    assert judgment.scores == (0.0, 0.0, 1.0)
    assert play(Knockout(r=1), 2, judge)[1].winner is None


# ---- budgets

PLANS = {
    "all of it": (16, 45, [16, 8, 4, 2]),
    "one more is of no use": (16, 16, [8, 4, 2, 1]),
    "a longer final": (16, 17, [8, 4, 2, 2]),
    "longer semi-finals": (16, 21, [8, 4, 4, 2]),
    "the bracket": (16, 15, [8, 4, 2, 1]),
    "half of it": (16, 7, [4, 2, 1]),
    "six players": (16, 5, [2, 2, 1]),
    "one duel": (16, 1, [1]),
}


@pytest.mark.parametrize(("n", "most", "expected"), PLANS.values(), ids=PLANS)
def test_a_budget_buys_the_bracket_first_and_then_the_final(n: int, most: int, expected: list[int]) -> None:
    asked, judgment = play(Knockout(r=3), n, most=most)
    assert [len(move) for move in asked] == expected
    assert judgment.winner == max(i for ask in asked[0] + asked[-1] for i in ask.order)
    assert judgment.stop_reason == ("decided" if most == 45 else "budget")


@given(st.integers(2, 60), st.integers(1, 200), st.integers(1, 6), st.integers(0, 99))
def test_planned_matches_never_need_more_than_the_budget(n: int, most: int, r: int, seed: int) -> None:
    def split(ask: Ask, past: int) -> Outcome:
        return Winner(min(ask.order) if past % 2 else max(ask.order))

    asked, _ = play(Knockout(r=r), n, split, seed, most)
    assert sum(map(len, asked)) <= most
    matches = len({frozenset(ask.order) for move in asked for ask in move})
    assert matches == min(n - 1, most)


def test_a_thousand_candidates() -> None:
    asked, judgment = play(Knockout(), 1000)
    assert [len(move) for move in asked] == [976, 512, 256, 128, 64, 32, 16, 8, 4, 2]
    assert judgment.winner == 999


def test_text_and_strategy_are_inverse() -> None:
    assert str(parse_strategy("knockout:r=5")) == "knockout:r=5"
    assert parse_strategy("knockout") == Knockout(3)


def test_a_judgment_names_what_it_cost() -> None:
    judgment: Judgment = play(Knockout(), 4)[1]
    assert len(judgment.verdicts) == judgment.notes["comparisons"] == 6

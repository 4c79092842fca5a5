"""`listwise`: many in one prompt, too many in chunks with a final, on one scale."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.scaling._base import Ask, State, Stop
from thinkscore.scaling.listwise import Listwise, merged
from thinkscore.types import (
    Case,
    Completion,
    Failure,
    Judgment,
    Message,
    Outcome,
    Scores,
    Tie,
    Trace,
    Verdict,
    Winner,
)


def case_of(n: int) -> Case:
    return Case("c", (Message("user", "?"),), tuple(f"reply {i}" for i in range(n)))


def marks(order: tuple[int, ...], n: int, score=float) -> Scores:  # type: ignore[no-untyped-def]
    return Scores(tuple(score(i) if i in order else None for i in range(n)))


def play(strategy: Listwise, n: int, judge, seed: int = 0, most: int | None = None) -> tuple[list[list[Ask]], Judgment]:  # type: ignore[no-untyped-def]
    case, verdicts, asked = case_of(n), list[Verdict](), list[list[Ask]]()
    while True:
        move = strategy.step(State(case, tuple(verdicts), seed), None if most is None else most - len(verdicts))
        if isinstance(move, Stop):
            return asked, strategy.fold(case, verdicts, move.reason)
        asked.append(move)
        verdicts += [Verdict("c", ask.order, judge(ask.order, n), Trace(), Completion()) for ask in move]


# ---- what is asked

SHAPES = {
    "one prompt": (16, 1, 16, [[16]]),
    "one candidate": (1, 1, 16, [[1]]),
    "two times": (5, 2, 16, [[5, 5]]),
    "one too many": (17, 1, 16, [[9, 8], [16]]),
    "chunks are alike": (10, 1, 4, [[4, 3, 3], [4]]),
    "each chunk twice": (10, 2, 4, [[4, 3, 3] * 2, [4, 4]]),
    "more chunks than fit one prompt": (20, 1, 4, [[4] * 5, [3, 2], [4]]),
    "a thousand": (1000, 1, 16, [[16] * 55 + [15] * 8, [16, 16, 16, 15], [16]]),
}


@pytest.mark.parametrize(("n", "k", "size", "shown"), SHAPES.values(), ids=SHAPES)
def test_chunks_and_finals(n: int, k: int, size: int, shown: list[list[int]]) -> None:
    asked, judgment = play(Listwise(k, size), n, marks)
    assert [[len(ask.order) for ask in move] for move in asked] == shown
    first = Counter(i for ask in asked[0] for i in ask.order)
    assert first == dict.fromkeys(range(n), k), "everybody is shown equally often"
    assert n - 1 in asked[-1][-1].order
    assert judgment.winner == n - 1
    assert judgment.notes == {"comparisons": float(sum(map(len, shown))), "unscored": 0.0}


def test_the_best_of_each_chunk_are_in_the_final() -> None:
    asked, _ = play(Listwise(1, 8), 30, marks, seed=3)
    (final,) = asked[1]
    assert {max(ask.order) for ask in asked[0]} <= set(final.order)
    assert len(final.order) == 8


def test_orders_are_balanced() -> None:
    (move,), _ = play(Listwise(4), 4, marks)
    assert Counter((place, i) for ask in move for place, i in enumerate(ask.order)) == {
        (place, i): 1 for place in range(4) for i in range(4)
    }


@pytest.mark.parametrize(
    ("most", "sizes"), [(100, [12, 4]), (15, [9, 3]), (11, [6, 2]), (7, [3, 1]), (3, [3]), (2, [2])]
)
def test_a_small_budget_takes_fewer_turns_to_come_to_the_final(most: int, sizes: list[int]) -> None:
    case, verdicts, seen = case_of(10), list[Verdict](), []
    while not isinstance(move := Listwise(4, 4).step(State(case, tuple(verdicts), 0), most - len(verdicts)), Stop):
        move = move[: most - len(verdicts)]
        if not move:
            break
        seen.append(len(move))
        verdicts += [Verdict("c", ask.order, marks(ask.order, 10), Trace(), Completion()) for ask in move]
    assert seen == sizes


# ---- what it comes to


def fold(n: int, *outcomes: tuple[tuple[int, ...], Outcome], strategy: Listwise | None = None) -> Judgment:
    verdicts = [Verdict("c", order, outcome, Trace(), Completion()) for order, outcome in outcomes]
    return (strategy or Listwise()).fold(case_of(n), verdicts, "all asked")


def test_in_one_prompt_a_score_is_the_mean() -> None:
    judgment = fold(3, ((0, 1, 2), Scores((7.0, 3.0, 5.0))), ((2, 0, 1), Scores((4.0, 4.0, 10.0))))
    assert judgment.scores == (5.5, 3.5, 7.5)
    assert (judgment.winner, judgment.confidence) == (2, (1 + 1) / (2 + 3))


def test_votes_where_no_scores_are_given() -> None:
    judgment = fold(3, ((0, 1, 2), Winner(1)), ((2, 1, 0), Winner(1)), ((1, 0, 2), Tie()))
    assert judgment.scores == pytest.approx((-2 / 9, 4 / 9, -2 / 9))
    assert judgment.winner == 1


def test_who_was_never_scored_is_taken_for_average() -> None:
    judgment = fold(
        4, ((0, 1), Scores((9.0, 3.0, None, None))), ((2, 3), Failure("truncated")), strategy=Listwise(1, 2)
    )
    assert judgment.scores == pytest.approx((9.0, 3.0, 6.0, 6.0), abs=1.0)
    assert judgment.notes["unscored"] == 2.0
    assert fold(2, ((0, 1), Failure("truncated"))).failure == Failure("truncated")


rows = st.integers(2, 7).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(
            st.dictionaries(st.integers(0, n - 1), st.integers(1, 10).map(float), min_size=1), min_size=1, max_size=6
        ),
    )
)


@settings(deadline=None)
@given(rows, st.sampled_from([0.5, 1.0]))
def test_merging_is_the_least_squares_fit(drawn: tuple[int, list[dict[int, float]]], penalty: float) -> None:
    """Another way to the same numbers: all equations at once, the penalty as equations that want a leniency of 0."""
    n, found = drawn
    seen = sorted({i for row in found for i in row})
    design, marks_ = [], []
    for v, row in enumerate(found):
        for i, mark in row.items():
            design.append([float(i == j) for j in range(n)] + [float(v == w) for w in range(len(found))])
            marks_.append(mark)
        design.append([0.0] * n + [penalty**0.5 * (v == w) for w in range(len(found))])
        marks_.append(0.0)
    fit = np.linalg.lstsq(np.array(design), np.array(marks_), rcond=None)[0]
    assert [merged(n, found, penalty)[i] for i in seen] == pytest.approx([fit[i] for i in seen], abs=1e-6)


def test_a_strict_prompt_costs_nobody_his_place() -> None:
    """Prompts differ in leniency by up to 3 points: raw means lose the best more often than the merged scores."""
    hits, raw = 0, 0
    for trial in range(60):
        draw = random.Random(trial)
        quality = [draw.gauss(0, 1) for _ in range(24)]

        def judge(order: tuple[int, ...], n: int, quality=quality, draw=draw) -> Outcome:  # type: ignore[no-untyped-def]
            lenient = draw.uniform(-3, 3)
            return Scores(tuple(quality[i] + lenient + draw.gauss(0, 0.3) if i in order else None for i in range(n)))

        _, judgment = play(Listwise(2, 8), 24, judge, trial)
        assert judgment.scores is not None
        best = quality.index(max(quality))
        rows_ = [one.outcome.scores for one in judgment.verdicts if isinstance(one.outcome, Scores)]
        mean = [np.mean([row[i] for row in rows_ if row[i] is not None]) for i in range(24)]
        hits += judgment.scores.index(max(judgment.scores)) == best
        raw += mean.index(max(mean)) == best
    assert hits >= 45
    assert hits >= raw + 8


def test_on_the_lab() -> None:
    cases = list(world.make(3, "test", 8, 20))
    with Judge("deepseek_grm", "oracle:", "listwise:size=6") as judge:
        for case, judgment in judge.run(cases):
            assert case.gold is not None and judgment.scores is not None
            assert case.gold[max(range(20), key=judgment.scores.__getitem__)] == max(case.gold)
            assert judgment.usage.calls == 4 + 1

"""`double_elim`: two losses are needed to be out, so one wrong verdict on the best is forgiven."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.scaling._base import State, Stop
from thinkscore.scaling.double_elim import DoubleElim
from thinkscore.types import Case, Completion, Failure, Judgment, Message, Outcome, Tie, Trace, Verdict, Winner


def play(n: int, judge, seed: int = 0) -> tuple[list[int], Judgment]:  # type: ignore[no-untyped-def]
    """Play to the end; `judge(order, number of the verdict)`. Returns how many were asked at a time."""
    case = Case("c", (Message("user", "?"),), tuple(f"reply {i}" for i in range(n)))
    verdicts: list[Verdict] = []
    sizes: list[int] = []
    while not isinstance(move := DoubleElim().step(State(case, tuple(verdicts), seed)), Stop):
        sizes.append(len(move))
        start = len(verdicts)
        for i, ask in enumerate(move):
            verdicts.append(Verdict("c", ask.order, judge(ask.order, start + i), Trace(), Completion()))
    return sizes, DoubleElim().fold(case, verdicts, move.reason)


def losses(judgment: Judgment) -> Counter[int]:
    lost: Counter[int] = Counter()
    for one in judgment.verdicts:
        if isinstance(one.outcome, Winner):
            lost[next(i for i in one.order if i != one.outcome.winner)] += 1
    return lost


@given(st.integers(2, 50), st.integers(0, 999), st.booleans())
def test_everybody_but_the_winner_loses_twice(n: int, seed: int, chaos: bool) -> None:
    def judge(order: tuple[int, int], number: int) -> Outcome:
        return Winner(order[(number * 7 + seed) % 3 % 2]) if chaos else Winner(max(order))

    _, judgment = play(n, judge, seed)
    lost = losses(judgment)
    assert judgment.winner is not None
    assert all(lost[i] == 2 for i in range(n) if i != judgment.winner)
    assert lost[judgment.winner] <= 1
    assert len(judgment.verdicts) == 2 * n - 2 + lost[judgment.winner]
    if not chaos:
        assert (judgment.winner, lost[n - 1]) == (n - 1, 0)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 13])
def test_one_wrong_verdict_changes_no_winner(n: int) -> None:
    for seed in range(3):
        for wrong in range(2 * n - 2):
            _, judgment = play(n, lambda order, number, w=wrong: Winner((min if number == w else max)(order)), seed)
            assert judgment.winner == n - 1


def test_scores_are_rounds_and_the_winner_stands_alone() -> None:
    sizes, judgment = play(8, lambda order, number: Winner(max(order)))
    # 4 first; then 2 among the unbeaten and 2 among those with one loss; ...
    assert sizes == [4, 4, 3, 1, 1, 1]
    assert judgment.scores is not None
    assert sorted(judgment.scores)[-1] == judgment.scores[7] > sorted(judgment.scores)[-2] == judgment.scores[6]
    assert judgment.confidence == (4 + 1) / (4 + 2)


def test_few_rounds_are_needed() -> None:
    sizes, _ = play(1000, lambda order, number: Winner(max(order)))
    assert len(sizes) <= 16
    assert sum(sizes) == 1998


def test_ties_and_unreadable_duels_are_settled_by_lot_and_counted() -> None:
    _, ties = play(4, lambda order, number: Tie())
    assert (ties.winner, ties.scores) == (None, (0.0,) * 4)
    assert ties.notes["undecided"] == ties.notes["comparisons"] in (6.0, 7.0)
    _, lost = play(4, lambda order, number: Failure("truncated"))
    assert lost.failure == Failure("truncated")
    assert len(lost.verdicts) in (12, 14), "each asked twice"

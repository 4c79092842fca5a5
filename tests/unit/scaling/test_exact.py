"""Exact expectation of a strategy: binomial sums, the published table, and what lots give."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import comb

import pytest

from thinkscore.scaling._base import Ask, Move, State, Stop, parse_strategy
from thinkscore.scaling._chance import Chance
from thinkscore.scaling._driver import at_once, decide
from thinkscore.scaling._exact import exact
from thinkscore.scaling.vote import Vote
from thinkscore.types import Case, Message, Winner


def binomial(k: int, p: float) -> float:
    """Majority of k, ties half: the sum over the number of right votes."""
    chance = [comb(k, right) * p**right * (1 - p) ** (k - right) for right in range(k + 1)]
    return sum(c * (1.0 if 2 * right > k else 0.5 if 2 * right == k else 0.0) for right, c in enumerate(chance))


@pytest.mark.parametrize("k", [1, 2, 3, 8, 15])
@pytest.mark.parametrize("p", [0.5, 0.6, 0.93])
@pytest.mark.parametrize("unit", [1, 2])
def test_a_vote_is_a_binomial_sum(k: int, p: float, unit: int) -> None:
    found = exact(Vote(k), p, unit=unit)
    assert found.accuracy == pytest.approx(binomial(k, p), abs=1e-12)
    assert found.verdicts == pytest.approx(k)
    assert found.tied == pytest.approx(0 if k % 2 else comb(k, k // 2) * (p * (1 - p)) ** (k // 2))
    assert found.unread == 0


@pytest.mark.parametrize("p", [0.6, 0.8])
def test_locking_in_gives_the_same_answer_for_fewer_verdicts(p: float) -> None:
    locked = exact(Vote(8, "lock"), p)
    assert locked.accuracy == pytest.approx(binomial(8, p), abs=1e-12)
    assert locked.verdicts < 8


def test_two_votes_by_hand() -> None:
    # Right with 0.8, unread with 0.1. Both unread 0.01; one read 0.18, right with 0.8; both read 0.81: 0.64 right,
    # 0.32 tied.
    found = exact(Vote(2), 0.8, unread=0.1)
    assert found.unread == pytest.approx(0.01)
    assert found.tied == pytest.approx(0.81 * 0.32)
    assert found.accuracy == pytest.approx(0.18 * 0.8 + 0.81 * (0.64 + 0.16))


def test_a_judge_that_likes_a_place_is_balanced_out() -> None:
    # Always for the first place: right in one order, wrong in the other.
    found = exact(Vote(2), lambda order: float(order[0] == 0))
    assert (found.accuracy, found.tied) == (0.5, 1.0)


def test_a_budget_cuts() -> None:
    found = exact(Vote(8), 0.7, most=3)
    assert found.verdicts == pytest.approx(3)
    assert found.accuracy == pytest.approx(binomial(3, 0.7))


TABLE = {
    "vote:k=8": ".710/8.0 .874/8.0 .967/8.0 .997/8.0",
    "vote:k=16": ".787/16.0 .950/16.0 .996/16.0 1.000/16.0",
    "adaptive:rule=beta,level=0.95,k=16": ".783/12.8 .946/10.7 .994/8.0 1.000/5.6",
    "adaptive:rule=lead,m=3,k=32": ".770/8.1 .927/6.4 .985/4.8 .999/3.7",
    "adaptive:rule=lead,m=4,k=32": ".824/12.8 .966/9.3 .996/6.6 1.000/5.0",
    "adaptive:rule=lead,m=5,k=32": ".852/17.1 .982/12.0 .999/8.3 1.000/6.2",
}


@pytest.mark.parametrize(("text", "row"), TABLE.items())
def test_stopping_rules_come_to_the_table(text: str, row: str) -> None:
    found = [exact(parse_strategy(text), p) for p in (0.6, 0.7, 0.8, 0.9)]
    said = " ".join(f"{one.accuracy:.3f}/{one.verdicts:.1f}".removeprefix("0") for one in found)
    assert said == row


@pytest.mark.parametrize(
    "text", ["adaptive:rule=lead,m=2,k=10,unit=pair", "adaptive:rule=beta,level=0.85,k=10,unit=pair"]
)
def test_pairs_stay_together(text: str) -> None:
    """Hold merged states against every course of verdicts, one by one."""
    strategy, p = parse_strategy(text), 0.7
    accuracy = verdicts = 0.0
    case = Case("c", (Message("user", "?"),), ("a", "b"), gold=(1, 0))
    for course in product((True, False), repeat=10):
        judgment = at_once(decide(strategy, case, Said(course)))
        chance = p ** sum(course) * (1 - p) ** (10 - sum(course))
        accuracy += chance * (0.5 if judgment.winner is None else judgment.winner == 0)
        verdicts += chance * len(judgment.verdicts)
    found = exact(strategy, p, unit=2)
    assert (found.accuracy, found.verdicts) == pytest.approx((accuracy, verdicts), abs=1e-12)


class Said(Chance):
    """Answers with a given course of right and wrong verdicts."""

    def __init__(self, course: Sequence[bool]) -> None:
        super().__init__(lambda case, order: (1.0, 0.0))
        self.course = course

    def _outcome(self, case: Case, ask: Ask) -> Winner:
        return Winner(0 if self.course[ask.sample] else 1)


def test_lots_come_close() -> None:
    strategy, p = parse_strategy("adaptive:rule=lead,m=3,k=32"), 0.7
    chance = Chance(lambda case, order: (p, 1 - p) if order[0] == 0 else (1 - p, p), seed=5)
    cases = [Case(str(i), (Message("user", "?"),), ("a", "b"), gold=(1, 0)) for i in range(2000)]
    judged = [at_once(decide(strategy, case, chance)) for case in cases]
    found = exact(strategy, p)
    assert sum(j.winner == 0 for j in judged) / 2000 == pytest.approx(found.accuracy, abs=0.03)
    assert sum(len(j.verdicts) for j in judged) / 2000 == pytest.approx(found.verdicts, rel=0.05)


def test_what_looks_at_traces_is_refused() -> None:
    with pytest.raises(ValueError, match="looks at traces"):
        exact(parse_strategy("meta:k=2"), 0.7)


class Uneven(Vote):
    """Asks for three more after a first verdict that is wrong."""

    def step(self, state: State, left: int | None = None) -> Move:
        done = len(state.verdicts)
        wrong = done and state.verdicts[0].outcome == Winner(1)
        if done == 0 or (done == 1 and wrong):
            return [Ask((0, 1), sample) for sample in range(done, done + (3 if done else 1))]
        return Stop("all asked")


def test_states_are_gone_through_by_their_length() -> None:
    # Wrong at first with 0.3, then three more: the majority of four with one wrong already.
    rest = [comb(3, right) * 0.7**right * 0.3 ** (3 - right) for right in range(4)]
    found = exact(Uneven(), 0.7)
    assert found.accuracy == pytest.approx(0.7 + 0.3 * (rest[3] + rest[2] / 2))
    assert found.verdicts == pytest.approx(0.7 + 0.3 * 4)

"""`adaptive` and `vote:stop=lock`: they stop where their rule says, and lock-in gives the answer of all votes."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.scaling._base import Ask, State, Stop, Strategy
from thinkscore.scaling._driver import at_once, decide
from thinkscore.scaling.adaptive import Adaptive, sure
from thinkscore.scaling.vote import Vote
from thinkscore.types import Case, Completion, Failure, Judgment, Message, Outcome, Scores, Tie, Trace, Verdict, Winner

PAIR = Case("c", (Message("user", "?"),), ("a", "b"))
A, B, FAILED = Winner(0), Winner(1), Failure("no_verdict")


class Script:
    """Answers sample i with the i-th outcome."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes, self.asked = outcomes, 0

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        self.asked += len(asks)
        return [Verdict(case.id, ask.order, self.outcomes[ask.sample], Trace(), Completion(), ask.by) for ask in asks]

    weigh = read = None  # type: ignore[assignment]


def judged(strategy: Strategy, outcomes: Sequence[Outcome], case: Case = PAIR) -> Judgment:
    return at_once(decide(strategy, case, Script(outcomes)))  # type: ignore[arg-type]


STOPS = {
    "a lead of 3": (Adaptive(m=3), [A, A, A], 3, "decided"),
    "back and forth": (Adaptive(m=2), [A, B, B, A, A, A], 6, "decided"),
    "a failure is no draw": (Adaptive(m=2), [A, FAILED, A], 3, "decided"),
    "nor is a tie": (Adaptive(m=2), [A, Tie(), A], 3, "decided"),
    "the cap": (Adaptive(m=2, k=4), [A, B, A, B], 4, "all asked"),
    "beta .95 wants 4": (Adaptive(rule="beta"), [A] * 4, 4, "decided"),
    "beta .95 wants 6 against 1": (Adaptive(rule="beta"), [B] + [A] * 6, 7, "decided"),
    "beta .99 wants 6": (Adaptive(rule="beta", level=0.99), [A] * 6, 6, "decided"),
    "locked": (Adaptive(rule="lock", k=5), [A, A, A], 3, "settled"),
    "pairs that agree": (Adaptive(m=2, unit="pair"), [A] * 4, 4, "decided"),
    "a split pair is none": (Adaptive(m=2, unit="pair"), [A, B, A, A, A, A], 6, "decided"),
    "half a pair is none": (Adaptive(m=2, unit="pair"), [A, FAILED, A, A, A, A], 6, "decided"),
}


@pytest.mark.parametrize(("strategy", "outcomes", "asked", "reason"), STOPS.values(), ids=STOPS)
def test_it_stops_where_the_rule_says(strategy: Strategy, outcomes: list[Outcome], asked: int, reason: str) -> None:
    # what follows says the opposite: it must not be asked
    judgment = judged(strategy, [*outcomes, *[B] * 40])
    assert (len(judgment.verdicts), judgment.stop_reason) == (asked, reason)


def test_the_posterior_is_that_of_a_uniform_prior() -> None:
    for a in range(8):
        for b in range(8):
            # an independent computation: integrate p^a (1 - p)^b above 1/2 by its binomial expansion
            whole = sum((-1) ** i * comb(b, i) / (a + i + 1) for i in range(b + 1))
            upper = sum((-1) ** i * comb(b, i) * (1 - 0.5 ** (a + i + 1)) / (a + i + 1) for i in range(b + 1))
            assert sure(a, b) == pytest.approx(upper / whole, abs=1e-9)


@pytest.mark.parametrize(
    ("level", "wanted"), [(0.95, [4, 6, 8, 9, 11, 12, 14, 15]), (0.99, [6, 9, 11, 13, 14, 16, 18, 19])]
)
def test_votes_wanted_against_0_to_7(level: float, wanted: list[int]) -> None:
    assert [next(a for a in range(40) if sure(a, b) >= level) for b in range(8)] == wanted


one = st.sampled_from([A, A, B, Tie(), FAILED])
scored = st.sampled_from([Scores((9.0, 1.0)), Scores((5.0, 6.0)), Scores((4.0, 4.0)), FAILED])


@given(st.lists(one, min_size=24, max_size=24), st.integers(1, 24))
def test_locking_in_gives_the_answer_of_all_votes(outcomes: list[Outcome], k: int) -> None:
    full = judged(Vote(k), outcomes)
    for early in (Vote(k, "lock"), Adaptive(rule="lock", k=k)):
        found = judged(early, outcomes)
        assert found.winner == full.winner
        assert len(found.verdicts) <= k


@given(st.lists(scored, min_size=24, max_size=24), st.integers(1, 24))
def test_locking_in_gives_the_answer_of_all_sums(outcomes: list[Outcome], k: int) -> None:
    full = judged(Vote(k), outcomes)
    found = judged(Vote(k, "lock", span=9), outcomes)
    assert found.winner == full.winner
    assert len(judged(Vote(k, "lock"), outcomes).verdicts) == k or not full.scores  # the range is not known


@given(
    st.lists(one, min_size=32, max_size=32),
    st.sampled_from(["lead", "beta", "lock"]),
    st.sampled_from(["single", "pair"]),
)
def test_asking_at_once_costs_what_one_by_one_would(outcomes: list[Outcome], rule: str, unit: str) -> None:
    strategy = Adaptive(rule=rule, m=2, k=16, unit=unit)  # type: ignore[arg-type]
    size = 2 if unit == "pair" and rule != "lock" else 1
    verdicts = [Verdict("c", (0, 1), outcome, Trace(), Completion()) for outcome in outcomes]
    first = next(n for n in range(0, 33, size) if isinstance(strategy.step(State(PAIR, tuple(verdicts[:n]), 0)), Stop))
    assert len(judged(strategy, outcomes).verdicts) == first


def test_three_candidates_are_the_two_in_front() -> None:
    case = Case("c", PAIR.messages, ("a", "b", "c"))
    judgment = judged(Adaptive(m=2), [Winner(2), Winner(0), Winner(2), Winner(2), Winner(1)], case)
    assert (judgment.winner, len(judgment.verdicts)) == (2, 4)

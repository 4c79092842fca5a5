"""`vote`: balanced orders, counted or summed verdicts, and nothing for what could not be read."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.errors import BadInput
from thinkscore.scaling._base import Ask, State, Stop, Strategy, balanced_order, parse_strategy
from thinkscore.scaling._chance import Chance
from thinkscore.scaling._driver import at_once, decide
from thinkscore.scaling.vote import Vote
from thinkscore.types import (
    Case,
    Completion,
    Failure,
    FailureKind,
    Message,
    Outcome,
    Scores,
    Tie,
    Trace,
    Usage,
    Verdict,
    Winner,
)


def case(n: int, name: str = "c") -> Case:
    return Case(name, (Message("user", "?"),), tuple(map(str, range(n))))


def verdict(outcome: Outcome, n: int = 2) -> Verdict:
    return Verdict("c", tuple(range(n)), outcome, Trace(), Completion(usage=Usage(1, 10, 5)))


def fold(*outcomes: Outcome, n: int = 2):  # type: ignore[no-untyped-def]
    return Vote(len(outcomes)).fold(case(n), [verdict(outcome, n) for outcome in outcomes], "all asked")


A, B, FAILED = Winner(0), Winner(1), Failure("ambiguous")

FOLDS = {
    "majority": ([A, B, A], (2 / 3, 1 / 3), 0, 3 / 5),
    "one": ([B], (0.0, 1.0), 1, 2 / 3),
    "split": ([A, B], (0.5, 0.5), None, 2 / 4),
    "a tie gives half": ([A, Tie()], (0.75, 0.25), 0, 2.5 / 4),
    "only ties": ([Tie()], (0.5, 0.5), None, 1.5 / 3),
    "failures do not count": ([FAILED, B, FAILED], (0.0, 1.0), 1, 2 / 3),
    "scores are summed": ([Scores((3, 9)), Scores((8, 4))], (11, 13), 1, 2 / 4),
    "sums beat votes": ([Scores((6, 5)), Scores((6, 5)), Scores((1, 9))], (13, 19), 1, 2 / 5),
    "sums tie": ([Scores((6, 5)), Scores((5, 6))], (11, 11), None, 2 / 4),
    "sums tie on paper, not in floats": ([Scores((0.3, 0.1)), Scores((0.0, 0.2))], (0.3, 0.3), None, 2 / 4),
    "a missing score is skipped": ([Scores((None, 2)), Scores((3, 4))], (3, 6), 1, 3 / 4),
    "mixed verdicts vote": ([Scores((9, 1)), B, Scores((7, 1))], (2 / 3, 1 / 3), 0, 3 / 5),
}


@pytest.mark.parametrize(("outcomes", "scores", "winner", "confidence"), FOLDS.values(), ids=FOLDS)
def test_folds(outcomes: list[Outcome], scores: tuple[float, ...], winner: int | None, confidence: float) -> None:
    judgment = fold(*outcomes)
    assert judgment.scores == pytest.approx(scores)
    assert judgment.winner == winner
    assert judgment.confidence == pytest.approx(confidence)
    assert judgment.failure is None
    assert judgment.usage == Usage(1, 10, 5) + Usage(len(outcomes) - 1, 10 * len(outcomes) - 10, 5 * len(outcomes) - 5)
    assert (judgment.strategy, judgment.stop_reason) == (f"vote:k={len(outcomes)}", "all asked")
    assert len(judgment.verdicts) == len(outcomes)


def test_a_tie_among_many_is_shared_by_those_shown() -> None:
    assert fold(Tie(), Winner(2), n=3).scores == pytest.approx((1 / 6, 1 / 6, 4 / 6))
    pair = msgspec.structs.replace(verdict(Tie()), order=(2, 0))
    assert Vote(1).fold(case(3), [pair], "").scores == (0.5, 0.0, 0.5)


FAILURES: dict[tuple[FailureKind, ...], FailureKind] = {
    ("engine_error", "engine_error"): "engine_error",
    ("no_verdict", "ambiguous", "ambiguous"): "ambiguous",
    ("truncated", "ambiguous"): "truncated",
}


@pytest.mark.parametrize(("kinds", "kind"), FAILURES.items())
def test_without_a_verdict_there_is_a_failure_and_nothing_else(
    kinds: tuple[FailureKind, ...], kind: FailureKind
) -> None:
    judgment = fold(*(Failure(each, f"{each} {i}") for i, each in enumerate(kinds)))
    assert (judgment.scores, judgment.winner, judgment.confidence) == (None, None, None)
    assert judgment.failure is not None
    assert judgment.failure.detail == f"{kind} {kinds.index(kind)}"


def outcomes(n: int) -> st.SearchStrategy[list[Outcome]]:
    winners = st.integers(0, n - 1).map(Winner)
    scores = st.lists(st.none() | st.integers(0, 10), min_size=n, max_size=n).map(tuple).map(Scores)
    failures = st.sampled_from([Failure("ambiguous"), Failure("engine_error")])
    return st.lists(winners | st.just(Tie()) | failures, max_size=6) | st.lists(scores | failures, max_size=6)


sized = st.integers(1, 4).flatmap(lambda n: st.tuples(st.just(n), outcomes(n), st.permutations(range(n))))


def moved(outcome: Outcome, places: list[int]) -> Outcome:
    """Rename candidates: `places[i]` is the old number of new candidate i."""
    if isinstance(outcome, Winner):
        return Winner(places.index(outcome.winner))
    return Scores(tuple(outcome.scores[i] for i in places)) if isinstance(outcome, Scores) else outcome


@given(sized)
def test_folding_commutes_with_renaming_candidates(drawn: tuple[int, list[Outcome], list[int]]) -> None:
    n, given_, places = drawn
    before, after = fold(*given_, n=n), fold(*(moved(outcome, places) for outcome in given_), n=n)
    assert before.failure == after.failure
    assert before.confidence == after.confidence
    assert after.winner == (None if before.winner is None else places.index(before.winner))
    assert after.scores == (None if before.scores is None else tuple(before.scores[i] for i in places))


@given(sized, st.data())
def test_an_unreadable_verdict_changes_nothing(
    drawn: tuple[int, list[Outcome], list[int]], data: st.DataObject
) -> None:
    n, given_, _ = drawn
    at = data.draw(st.integers(0, len(given_)))
    before, after = fold(*given_, n=n), fold(*given_[:at], FAILED, *given_[at:], n=n)
    assert (before.scores, before.winner, before.confidence) == (after.scores, after.winner, after.confidence)


# ---- orders


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("k", [1, 2, 3, 8, 13])
def test_each_candidate_sees_each_place_as_equally_as_k_allows(n: int, k: int) -> None:
    for name in ("c", "d", "e"):
        orders = [balanced_order(case(n, name), 7, sample) for sample in range(k)]
        assert all(sorted(order) == list(range(n)) for order in orders)
        counts = Counter((place, who) for order in orders for place, who in enumerate(order))
        expected = range(k // n, -(-k // n) + 1)
        assert all(counts[place, who] in expected for place in range(n) for who in range(n))


def test_pairs_alternate_and_start_on_either_side() -> None:
    firsts = Counter()
    for i in range(400):
        orders = [balanced_order(case(2, f"c{i}"), 7, sample) for sample in range(5)]
        assert all(a != b for a, b in pairwise(orders))
        firsts[orders[0]] += 1
    assert set(firsts) == {(0, 1), (1, 0)}
    assert 150 < firsts[0, 1] < 250


def test_orders_of_many_are_drawn_without_favour() -> None:
    seen = Counter(balanced_order(case(3, f"c{i}"), 7, 0) for i in range(1200))
    assert set(seen) == set(permutations(range(3)))
    assert all(140 < count < 260 for count in seen.values())


def test_more_samples_than_candidates_show_new_orders() -> None:
    assert len({balanced_order(case(4), 7, sample) for sample in range(40)}) > 16


def test_orders_depend_on_seed_case_and_sample_only() -> None:
    assert balanced_order(case(5), 1, 6) == balanced_order(case(5), 1, 6)
    assert len({balanced_order(case(5, name), seed, 0) for name in "abc" for seed in range(3)}) > 5


# ---- steps


def test_all_are_asked_at_once_then_it_stops() -> None:
    asks = Vote(3).step(State(case(2), (), 7))
    assert asks == [Ask(balanced_order(case(2), 7, i), i) for i in range(3)]
    assert Vote(3).step(State(case(2), (verdict(A),) * 3, 7)) == Stop("all asked")


def test_a_budget_is_kept() -> None:
    for most in (0, 1, 2):
        judgment = at_once(decide(Vote(3), case(2), Chance(lambda case, order: (0.5, 0.5)), most=most))
        assert (len(judgment.verdicts), judgment.stop_reason) == (most, "budget")


# ---- text form


@pytest.mark.parametrize("text", ["vote:k=8", "vote:k=1"])
def test_text_and_strategy_are_inverse(text: str) -> None:
    assert str(parse_strategy(text)) == text


def test_defaults_may_be_left_out() -> None:
    assert parse_strategy("vote") == parse_strategy("vote:") == Vote(1)


BAD = {
    "vote:n=8": "unknown option",
    "vote:k": "Expected `int`",
    "vote:k=0": "Expected `int` >= 1",
    "vote:k=two": "Expected `int`",
    "vote:8": "unknown option",
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_wrong_options_are_answered_with_the_accepted_ones(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as error:
        parse_strategy(text)
    assert text in str(error.value)
    assert "accepts (with defaults) k=1" in str(error.value)


def test_an_unknown_strategy_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"scaling has .*vote"):
        parse_strategy("votes:k=8")


def test_every_strategy_speaks_the_seam() -> None:
    assert issubclass(Vote, Strategy)

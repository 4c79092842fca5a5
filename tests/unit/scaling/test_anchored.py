"""`anchored`: a strength for each single candidate from its wins and losses against anchors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.engines._base import Engine
from thinkscore.errors import BadInput
from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.scaling._base import Ask, State, Stop
from thinkscore.scaling.anchored import Anchored, strength
from thinkscore.types import (
    Anchor,
    Case,
    Completion,
    Failure,
    Judgment,
    Message,
    Outcome,
    Prompt,
    Scores,
    Tie,
    Trace,
    Usage,
    Verdict,
    Winner,
)

# ---- the estimate

BY_HAND = {
    # with one draw against an average anchor, of 0 here: (n + 1) p = wins + 1/2
    "one win": ([(0.0, 1.0)], 1.0, math.log(3), 1 / math.sqrt(2 * 3 / 16)),
    "two losses": ([(0.0, 0.0)] * 2, 1.0, -math.log(5), 1 / math.sqrt(3 * 5 / 36)),
    "a win and a loss": ([(0.0, 1.0), (0.0, 0.0)], 1.0, 0.0, 1 / math.sqrt(3 / 4)),
    "a draw": ([(7.0, 0.5)], 1.0, 7.0, 1 / math.sqrt(2 / 4)),
    "beats the weak, loses to the strong": ([(2.0, 1.0), (6.0, 0.0)], 1.0, 4.0, None),
    "a steeper slope": ([(0.0, 1.0)], 4.0, math.log(3) / 4, 1 / (4 * math.sqrt(2 * 3 / 16))),
}


@pytest.mark.parametrize(("results", "slope", "score", "error"), BY_HAND.values(), ids=BY_HAND)
def test_strengths_by_hand(results: list[tuple[float, float]], slope: float, score: float, error: float | None) -> None:
    found = strength(results, slope)
    assert found[0] == pytest.approx(score, abs=1e-9)
    if error is not None:
        assert found[1] == pytest.approx(error)


results = st.lists(
    st.tuples(st.integers(-10, 10).map(float), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=20
)


@given(results, st.sampled_from([0.5, 1.0, 3.0]))
def test_the_strength_is_where_the_likelihood_is_highest(found: list[tuple[float, float]], slope: float) -> None:
    """Another way to the same number: a fine search of the log-likelihood, and its curvature by differences."""
    mean = sum(opponent for opponent, _ in found) / len(found)
    games = [*found, (mean, 0.5)]

    def likelihood(s: np.ndarray) -> np.ndarray:
        won = [share * -np.logaddexp(0, slope * (h - s)) for h, share in games]
        lost = [(1 - share) * -np.logaddexp(0, slope * (s - h)) for h, share in games]
        return np.sum(won, axis=0) + np.sum(lost, axis=0)

    score, error = strength(found, slope)
    grid = score + np.arange(-2000, 2001) * 1e-3
    assert abs(grid[np.argmax(likelihood(grid))] - score) <= 1e-3
    step = 0.01 / slope
    below, at, above = likelihood(score + step * np.array([-1, 0, 1]))
    assert error == pytest.approx(1 / math.sqrt(-(above - 2 * at + below) / step**2), rel=1e-2)


@given(results, st.integers(0, 19))
def test_a_win_more_is_worth_more_and_nothing_is_endless(found: list[tuple[float, float]], at: int) -> None:
    opponent, _ = found[at % len(found)]
    scores = []
    for share in (0.0, 0.5, 1.0):
        changed = list(found)
        changed[at % len(found)] = (opponent, share)
        score, error = strength(changed)
        assert math.isfinite(score) and 0 < error < math.inf
        scores.append(score)
    assert scores[0] < scores[1] < scores[2]


@given(results, st.sampled_from([0.0, 3.5, -20.0]))
def test_a_shift_of_all_anchors_shifts_the_strength(found: list[tuple[float, float]], shift: float) -> None:
    moved = strength([(opponent + shift, share) for opponent, share in found])
    assert moved == pytest.approx((strength(found)[0] + shift, strength(found)[1]), abs=1e-9)


def test_more_comparisons_mean_smaller_errors() -> None:
    errors = [strength([(0.0, 1.0), (0.0, 0.0)] * rounds)[1] for rounds in (1, 4, 16)]
    assert errors == sorted(errors, reverse=True)
    with pytest.raises(ValueError, match="at least one result"):
        strength([])


# ---- what is asked


def case_of(n: int, golds: Sequence[float | None] = ()) -> Case:
    anchors = tuple(Anchor(f"anchor {i}", gold) for i, gold in enumerate(golds))
    return Case("c", (Message("user", "?"),), tuple(f"reply {i}" for i in range(n)), anchors=anchors)


def asked(strategy: Anchored, case: Case, seed: int = 5) -> list[Ask]:
    move = strategy.step(State(case, (), seed))
    assert isinstance(move, list)
    return move


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rounds", [1, 3])
def test_each_candidate_meets_each_anchor_in_both_orders_and_no_candidate(rounds: int, seed: int) -> None:
    asks = asked(Anchored(rounds=rounds), case_of(2, (1.0, 2.0, 3.0)), seed)
    expected = {order: rounds for i in (0, 1) for j in (2, 3, 4) for order in ((i, j), (j, i))}
    assert Counter(ask.order for ask in asks) == expected
    assert [ask.sample for ask in asks] == list(range(len(asks)))


def test_which_order_comes_first_is_drawn() -> None:
    first = Counter(asked(Anchored(), case_of(1, (1.0,)), seed)[0].order for seed in range(100))
    assert set(first) == {(0, 1), (1, 0)}
    assert 30 < first[0, 1] < 70


CHOICES = {
    "all": (8, (1.0, 2.0), {0, 1}),
    "the ends and the middle": (3, (9.0, 1.0, 5.0, 4.0, 7.0), {1, 2, 0}),
    "one: the middle": (1, (9.0, 1.0, 5.0), {2}),
    "of equal ones the first": (2, (3.0, 3.0), {0, 1}),
}


@pytest.mark.parametrize(("count", "golds", "chosen"), CHOICES.values(), ids=CHOICES)
def test_few_anchors_cover_the_range(count: int, golds: tuple[float, ...], chosen: set[int]) -> None:
    asks = asked(Anchored(anchors=count), case_of(1, golds))
    assert {max(ask.order) - 1 for ask in asks} == chosen


def test_a_small_budget_goes_to_the_middle_in_both_orders() -> None:
    strategy, case = Anchored(), case_of(1, (1.0, 9.0, 5.0))
    move = strategy.step(State(case, (), 5), left=2)
    assert isinstance(move, list)
    assert {ask.order for ask in move} == {(0, 3), (3, 0)}
    done = tuple(verdict(Winner(0), ask.order) for ask in move)
    assert strategy.step(State(case, done, 5), left=0) == Stop("budget")
    assert len(strategy.step(State(case, done, 5))) == 4


def test_without_anchors_candidates_meet_each_other() -> None:
    orders = [ask.order for ask in asked(Anchored(), case_of(3))]
    assert Counter(orders) == {order: 1 for a, b in combinations(range(3), 2) for order in ((a, b), (b, a))}


# ---- what it comes to


def verdict(outcome: Outcome, order: tuple[int, ...]) -> Verdict:
    return Verdict("c", order, outcome, Trace(), Completion(usage=Usage(1, 10, 5)))


def fold(case: Case, *outcomes: tuple[tuple[int, int], Outcome], strategy: Anchored | None = None) -> Judgment:
    return (strategy or Anchored()).fold(case, [verdict(outcome, order) for order, outcome in outcomes], "all asked")


def test_wins_are_counted_whatever_the_verdict_says_them_with() -> None:
    case = case_of(1, (0.0, 0.0))
    plain = fold(case, ((0, 1), Winner(0)), ((2, 0), Winner(2)), ((1, 0), Tie()))
    scored = fold(case, ((0, 1), Scores((9, 2, None))), ((2, 0), Scores((3, None, 4))), ((1, 0), Scores((5, 5, None))))
    assert (plain.scores, plain.standard_errors) == (scored.scores, scored.standard_errors) == ((0.0,), (1.0,))
    assert (plain.winner, plain.confidence, plain.usage) == (0, 1.0, Usage(3, 30, 15))


def test_one_score_per_candidate_and_the_best_wins() -> None:
    case = case_of(2, (3.0, 7.0))
    games = [((i, j), Winner(i if (i, j) != (0, 3) else j)) for i in (0, 1) for j in (2, 3)]
    judgment = fold(case, *games)
    lower, higher = strength([(3.0, 1.0), (7.0, 0.0)]), strength([(3.0, 1.0), (7.0, 1.0)])
    assert judgment.scores == (lower[0], higher[0]) == (5.0, pytest.approx(7.39, abs=0.005))
    assert judgment.standard_errors == (lower[1], higher[1])
    assert judgment.winner == 1
    apart = (higher[0] - lower[0]) / math.hypot(lower[1], higher[1])
    assert judgment.confidence == pytest.approx(0.5 * math.erfc(-apart / math.sqrt(2)))


def test_equal_results_are_a_tie() -> None:
    judgment = fold(case_of(2, (3.0,)), ((0, 2), Winner(0)), ((2, 1), Winner(1)))
    assert (judgment.winner, judgment.confidence) == (None, 0.5)


def test_anchors_without_gold_are_all_alike() -> None:
    judgment = fold(case_of(1, (None, None)), ((0, 1), Winner(0)), ((0, 2), Winner(0)))
    assert judgment.scores == (strength([(0.0, 1.0)] * 2)[0],)


LOST = Failure("ambiguous", "both")
NOTHING = {
    "unread": (case_of(1, (1.0,)), [((0, 1), LOST)], "all asked", "ambiguous", "both"),
    "one of two unread": (
        case_of(2, (1.0,)), [((0, 2), Winner(0)), ((1, 2), LOST)], "all asked", "ambiguous", "both",
    ),
    "budget": (case_of(2, (1.0,)), [((0, 2), Winner(0))], "budget", "no_verdict", "the budget ended"),
    "nothing to meet": (case_of(1), [], "all asked", "wrong_arity", "give anchors"),
}  # fmt: skip


@pytest.mark.parametrize(("case", "outcomes", "stop", "kind", "detail"), NOTHING.values(), ids=NOTHING)
def test_a_candidate_about_which_nothing_is_known_gets_no_score(
    case: Case, outcomes: list[tuple[tuple[int, int], Outcome]], stop: str, kind: str, detail: str
) -> None:
    judgment = Anchored().fold(case, [verdict(outcome, order) for order, outcome in outcomes], stop)
    assert (judgment.scores, judgment.standard_errors, judgment.winner) == (None, None, None)
    assert judgment.failure is not None
    assert judgment.failure.kind == kind
    assert detail in judgment.failure.detail


@given(st.permutations(range(3)), st.lists(st.sampled_from([0, 1, None]), min_size=6, max_size=6))
def test_folding_commutes_with_renaming_candidates(places: list[int], wins: list[int | None]) -> None:
    """`places[i]` is the old number of new candidate i; None is a tie."""
    case = case_of(3, (2.0, 5.0))
    pairs = [(i, j) for i in range(3) for j in (3, 4)]
    old = [(pair, Tie() if win is None else Winner(pair[win])) for pair, win in zip(pairs, wins, strict=True)]
    name = {places[i]: i for i in range(3)} | {3: 3, 4: 4}
    new = [
        ((name[i], name[j]), outcome if isinstance(outcome, Tie) else Winner(name[outcome.winner]))
        for (i, j), outcome in old
    ]
    before, after = fold(case, *old), fold(case, *new)
    assert before.scores is not None
    assert after.scores == tuple(before.scores[i] for i in places)
    assert after.winner == (None if before.winner is None else name[before.winner])


# ---- in a judge


class Longest(Engine):
    """Lets the longer text win and counts its calls."""

    batch = 16

    def __init__(self) -> None:
        super().__init__("")
        self.calls = 0

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        self.calls += len(prompts)
        return [Completion(self.text(prompt), usage=Usage(1, 10, 2)) for prompt in prompts]

    def text(self, prompt: Prompt) -> str:
        shown = [prompt.case.candidates[i] for i in prompt.order]
        return prompt.verdicts[shown.index(max(shown, key=len))]


ANCHORS = [("a" * length, float(length)) for length in (2, 4, 6, 8)]


def test_one_response_gets_a_reward() -> None:
    with Judge("rm_r1", Longest(), "anchored") as judge:
        judgments = [judge.score("?", ["x" * length], ANCHORS) for length in (1, 3, 5, 7, 9)]
    scores = [judgment.scores[0] for judgment in judgments if judgment.scores]
    assert scores == sorted(scores) and len(scores) == 5
    assert scores[2] == pytest.approx(5.0)
    assert scores[1] == pytest.approx(10 - scores[3])
    assert [judgment.usage.calls for judgment in judgments] == [8] * 5


def test_a_group_is_scored_as_each_one_alone() -> None:
    texts = ["x" * length for length in (3, 9, 5)]
    with Judge("rm_r1", Longest(), "anchored:anchors=3,slope=2") as judge:
        group = judge.score("?", texts, ANCHORS)
        alone = [judge.score("?", [text], ANCHORS).scores for text in texts]
    assert group.scores is not None
    assert [(score,) for score in group.scores] == alone
    assert group.winner == 1


def test_a_reference_is_an_anchor_without_gold() -> None:
    with Judge("rm_r1", Longest(), "anchored") as judge:
        better, worse = (judge.score("?", [text], ["four"]).scores for text in ("longer", "x"))
        assert better == pytest.approx((math.log(5),)) and worse == pytest.approx((-math.log(5),))
        assert judge.score("?", ["x"]).failure is not None


def test_bad_anchors_are_named() -> None:
    with Judge("rm_r1", Longest(), "anchored") as judge, pytest.raises(BadInput, match="anchors"):
        judge.score("?", ["x"], [("a", "high")])  # type: ignore[list-item]


def test_other_strategies_leave_anchors_alone() -> None:
    with Judge("rm_r1", Longest(), "vote:k=2") as judge:
        judgment = judge.score("?", ["x", "yy"], ANCHORS)
    assert (judgment.scores, judgment.usage.calls) == ((0.0, 1.0), 2)


def test_a_second_run_is_answered_from_the_journal(tmp_path) -> None:  # type: ignore[no-untyped-def]
    anchors = tuple(Anchor(*anchor) for anchor in ANCHORS)
    cases = [msgspec.structs.replace(case_of(1), id=f"c{i}", anchors=anchors) for i in range(5)]
    runs, calls = [], []
    for _ in range(2):
        engine = Longest()
        with Judge("rm_r1", engine, "anchored", seed=3, journal=tmp_path / "j") as judge:
            runs.append(list(judge.run(cases)))
        calls.append(engine.calls)
    assert runs[0] == runs[1]
    assert calls == [40, 0]
    assert [case for case, _ in runs[0]] == cases


def test_on_the_lab_a_perfect_judge_of_pairs_orders_single_replies() -> None:
    """Candidates never meet, yet what is better by gold scores no less, and better if an anchor lies between."""
    with Judge("rm_r1", "oracle:", "anchored:slope=3") as judge:
        for case in world.make(4, "test", 12, 14):
            assert case.gold is not None
            anchors = tuple(map(Anchor, case.candidates[4:], case.gold[4:]))
            some = msgspec.structs.replace(case, candidates=case.candidates[:4], gold=case.gold[:4], anchors=anchors)
            (judgment,) = judge.judge([some])
            assert judgment.scores is not None
            met = {max(verdict.order) - 4 for verdict in judgment.verdicts}
            for i, j in combinations(range(4), 2):
                low, high = (i, j) if case.gold[i] < case.gold[j] else (j, i)
                if any(case.gold[low] < (anchors[k].gold or 0) < case.gold[high] for k in met):
                    assert judgment.scores[low] < judgment.scores[high]

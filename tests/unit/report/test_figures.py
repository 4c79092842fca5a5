"""What the charts show, by hand and against what the run itself counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.judge import tally
from thinkscore.report._figures import Figures
from thinkscore.scaling.vote import Vote
from thinkscore.stats import wilson
from thinkscore.types import (
    Case,
    Completion,
    Failure,
    Judgment,
    Outcome,
    Scores,
    Tally,
    Tie,
    Trace,
    Usage,
    Verdict,
    Winner,
)

LOST = Failure("no_verdict", "the answer ends without a verdict")


def case(name: str = "c", gold: tuple[float, ...] | None = (1.0, 0.0)) -> Case:
    return Case(name, (), ("",) * len(gold or "ab"), gold)


def verdict(outcome: Outcome, order: tuple[int, ...] = (0, 1), tokens: int = 10) -> Verdict:
    return Verdict("c", order, outcome, Trace(), Completion("x", usage=Usage(1, 5, tokens)))


def judged(case: Case, *verdicts: Verdict) -> tuple[Case, Judgment]:
    return case, Vote().fold(case, verdicts, "all asked")


def added(*pairs: tuple[Case, Judgment]) -> Figures:
    figures = Figures()
    for pair in pairs:
        figures.add(*pair)
    return figures


def test_votes_against_accuracy_by_hand() -> None:
    # After one vote: right, wrong. After two: right, a tie (half). After three: the first has only two; right, right.
    first = judged(case(), verdict(Winner(0)), verdict(LOST))
    second = judged(case(), verdict(Winner(1)), verdict(Winner(0)), verdict(Winner(0)))
    points = added(first, second).curve()
    assert [(p.votes, p.cases, p.accuracy) for p in points] == [(1, 2, 0.5), (2, 2, 0.75), (3, 1, 1.0)]
    assert (points[1].low, points[1].high) == wilson(1.5, 2)


OUTCOMES = st.one_of(
    st.builds(Winner, st.integers(0, 1)),
    st.builds(lambda a, b: Scores((float(a), float(b))), st.integers(1, 3), st.integers(1, 3)),
    st.just(Tie()),
    st.just(LOST),
)


@given(st.lists(st.lists(OUTCOMES, min_size=1, max_size=5), min_size=1, max_size=6))
def test_each_point_is_what_vote_makes_of_the_first_verdicts(runs: list[list[Outcome]]) -> None:
    one = case()
    figures = added(*(judged(one, *map(verdict, outcomes)) for outcomes in runs))
    for point in figures.curve():
        counted = Tally()
        for outcomes in runs:
            counted += tally(one, Vote().fold(one, [*map(verdict, outcomes[: point.votes])], ""))
        assert point.accuracy == counted.accuracy_all
        assert point.cases == sum(len(outcomes) >= point.votes for outcomes in runs)
    assert figures.curve()[-1].accuracy == figures.summary.tally.accuracy_all


def sure(confidence: float, right: bool) -> tuple[Case, Judgment]:
    one = case()
    return one, Judgment("c", (1.0, 0.0), 0 if right else 1, confidence, (), Usage(), "", "")


def test_calibration_error_by_hand() -> None:
    # Two bins: 0.85 and 0.89, both wrong: |0 - 0.87|, twice; 0.95 and 1 right, 0.99 wrong: |2/3 - 0.98|, thrice.
    figures = added(sure(0.85, False), sure(0.89, False), sure(0.95, True), sure(1.0, True), sure(0.99, False))
    assert [(b.start, b.end, b.n) for b in figures.bins()] == [(0.8, 0.9, 2), (0.9, 1.0, 3)]
    assert figures.calibration_error() == pytest.approx((2 * 0.87 + 3 * (0.98 - 2 / 3)) / 5)
    assert figures.bins()[1].accuracy == pytest.approx(2 / 3)


def test_without_gold_nothing_is_right_or_wrong() -> None:
    figures = added(
        judged(case(gold=None), verdict(Winner(0))), judged(case(gold=(5.0,)), verdict(Scores((3.0,)), (0,)))
    )
    assert figures.curve() == figures.bins() == []
    assert figures.calibration_error() is None
    assert figures.summary.tally.n == 0
    assert figures.votes == 2


def test_places_by_hand() -> None:
    # Place 1 wins both votes of the first case and one of two of the second: 3 wins of 4, mean share (1 + 0.5) / 2.
    first = judged(case(), verdict(Winner(0), (0, 1)), verdict(Winner(1), (1, 0)), verdict(Tie()))
    second = judged(case(), verdict(Scores((2.0, 7.0)), (1, 0)), verdict(Scores((2.0, 7.0)), (0, 1)))
    third = judged(case(gold=(0.0, 1.0, 0.0)), verdict(Winner(2), (2, 0, 1)))
    one, two, *three = added(first, second, third).places()
    assert (one.shown, one.place, one.wins, one.votes, one.share) == (2, 1, 3, 4, 0.75)
    assert (two.wins, two.share, (two.low, two.high)) == (1, 0.25, wilson(0.5, 2))
    assert [(p.shown, p.place, p.wins) for p in three] == [(3, 1, 1), (3, 2, 0), (3, 3, 0)]


def test_failures_count_verdicts_and_lost_cases_by_kind() -> None:
    cut, broken = Failure("truncated", "cut"), Failure("engine_error", "no answer")
    figures = added(
        judged(case("a"), verdict(cut), verdict(Winner(0)), verdict(cut)),
        judged(case("b"), verdict(broken)),
    )
    assert (figures.lost["truncated"].votes, figures.lost["truncated"].cases) == (2, 0)
    assert (figures.lost["engine_error"].votes, figures.lost["engine_error"].cases) == (1, 1)
    assert figures.lost["engine_error"].case_id == "b"
    assert figures.summary.tally == Tally(right=1, errored=1)


def test_quantiles_are_of_cases() -> None:
    figures = added(*(judged(case(), verdict(Winner(0), tokens=n)) for n in (10, 20, 20, 90)))
    assert [figures.quantile(q) for q in (0, 0.25, 0.5, 0.75, 0.9, 1)] == [10, 10, 20, 20, 90, 90]

"""Rankings against gold: who is chosen, what is lost, what it costs."""

from __future__ import annotations

import pytest

from thinkscore.report.ranking import Ranking, chosen
from thinkscore.stats import wilson
from thinkscore.types import Case, Completion, Failure, Judgment, Message, Trace, Usage, Verdict, Winner

GOLD = (5.0, 9.0, 9.0, 1.0)


def judgment(scores: tuple[float, ...] | None, winner: int | None = None, calls: int = 2, **notes: float) -> Judgment:
    verdict = Verdict("c", (0, 1), Winner(0), Trace(), Completion())
    failure = Failure("truncated") if scores is None else None
    usage = Usage(calls, 10 * calls, 5 * calls)
    return Judgment("c", scores, winner, None, (verdict,) * calls, usage, "s", "", failure, notes=notes)


def added(*judgments: Judgment, gold: tuple[float, ...] | None = GOLD) -> Ranking:
    found = Ranking()
    for one in judgments:
        found.add(Case("c", (Message("user", "?"),), tuple("abcd"), gold), one)
    return found


CHOICES = {
    "one of two best": (judgment((0, 3, 1, 1), 1), 1.0, 0.0),
    "a worse one": (judgment((3, 0, 1, 1), 0), 0.0, 4.0),
    "a shared top": (judgment((3, 3, 1, 3)), 1 / 3, (4 + 0 + 8) / 3),
    "two bests": (judgment((0, 3, 3, 1)), 1.0, 0.0),
}


@pytest.mark.parametrize(("one", "hit", "regret"), CHOICES.values(), ids=CHOICES)
def test_what_a_choice_is_worth(one: Judgment, hit: float, regret: float) -> None:
    found = added(one).as_dict()
    assert (found["top1"], found["regret"]) == pytest.approx((hit, regret))


def test_a_failure_finds_nothing_and_regrets_nothing() -> None:
    found = added(judgment((0, 3, 1, 1), 1), judgment(None)).as_dict()
    assert (found["n"], found["top1"], found["regret"], found["failures"]) == (2, 0.5, 0.0, 1)
    assert found["top1_interval"] == wilson(1, 2)
    assert chosen(judgment(None)) == []


def test_costs_and_notes_are_means() -> None:
    found = added(
        judgment((0, 3, 1, 1), 1, calls=4, comparisons=4.0, cyclic_triads=0.5, undecided=2.0),
        judgment((0, 3, 1, 1), 1, calls=2, comparisons=2.0, undecided=1.0),
    ).as_dict()
    assert (found["comparisons"], found["tokens"], found["undecided"]) == (3.0, 45.0, 1.5)
    assert found["cyclic_triads"] == 0.5, "over the cases that have triads"


def test_without_gold_there_is_only_the_cost() -> None:
    found = added(judgment((0, 3, 1, 1), 1), gold=None)
    assert found.as_dict()["top1"] is found.as_dict()["regret"] is None
    assert found.lines() == ["per case              2.0 comparisons, 30 tokens"]


def test_an_empty_run_has_no_figures() -> None:
    assert Ranking().as_dict()["comparisons"] == 0
    assert Ranking().lines()


def test_intervals_hold_the_means() -> None:
    found = added(*[judgment((0, 3, 1, 1), 1)] * 30, *[judgment((3, 0, 1, 1), 0)] * 10)
    row = found.as_dict()
    assert row["regret"] == 1.0
    assert row["regret_interval"][0] < 1.0 < row["regret_interval"][1]
    assert row["top1_interval"][0] < 0.75 < row["top1_interval"][1]
    assert [line.split("  ")[0] for line in found.lines()] == ["best candidate found", "mean regret", "per case"]

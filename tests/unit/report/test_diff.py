"""Two runs side by side, by hand-worked values."""

from __future__ import annotations

import pytest

from thinkscore.report.diff import Failed, Judged, compare
from thinkscore.types import Usage


def judged(name: str, winner: int | None, *, gold: tuple[float, ...] | None = (1, 0), failed: str = "") -> Judged:
    scores = None if failed else tuple(float(winner is None or winner == i) for i in range(2))
    return Judged(name, winner, scores, gold, Failed(failed) if failed else None, Usage(1, 10, 5))


FIRST = [
    judged("same", 0),
    judged("flip", 0),
    judged("better", 1),
    judged("lost", 0, failed=""),
    judged("found", None, failed="no_verdict"),
    judged("tie", None),
    judged("gone", 0),
]
SECOND = [
    judged("tie", 0),
    judged("same", 0),
    judged("flip", 1),
    judged("better", 0),
    judged("lost", None, failed="truncated"),
    judged("found", 0),
    judged("new", 1),
]


def test_what_changed_is_counted_and_listed_in_the_order_of_the_first_run() -> None:
    result = compare(FIRST, SECOND)
    assert result["cases"] == {"both": 6, "only_first": ["gone"], "only_second": ["new"]}
    assert result["winners_changed"] == 3
    assert result["failures"] == {"appeared": 1, "gone": 1}
    assert [(change["id"], change["first"], change["second"], change["standing"]) for change in result["changed"]] == [
        ("flip", 0, 1, ["right", "wrong"]),
        ("better", 1, 0, ["wrong", "right"]),
        ("lost", 0, "truncated", ["right", "unparsed"]),
        ("found", "no_verdict", 0, ["unparsed", "right"]),
        ("tie", "tie", 0, ["tied", "right"]),
    ]


def test_accuracy_is_paired_over_the_cases_of_both() -> None:
    accuracy = compare(FIRST, SECOND)["accuracy"]
    # first: same, flip and lost right, tie half, of 6; second: same, better, found and tie right.
    assert accuracy["first"]["accuracy_all"] == pytest.approx(3.5 / 6)
    assert accuracy["second"]["accuracy_all"] == pytest.approx(4 / 6)
    assert accuracy["difference"] == pytest.approx(0.5 / 6)
    low, high = accuracy["interval"]
    assert low < accuracy["difference"] < high
    assert accuracy["first"]["accuracy_scored"] == pytest.approx(3.5 / 5)


def test_the_difference_is_second_minus_first() -> None:
    wrong = [judged(str(i), 1 if i % 4 else 0) for i in range(40)]
    right = [judged(str(i), 0) for i in range(40)]
    accuracy = compare(wrong, right)["accuracy"]
    low, high = accuracy["interval"]
    assert 0 < low < accuracy["difference"] == 0.75 < high


def test_a_run_differs_from_itself_in_nothing() -> None:
    result = compare(FIRST, FIRST)
    assert (result["winners_changed"], result["changed"]) == (0, [])
    assert result["accuracy"]["difference"] == 0
    assert result["accuracy"]["interval"] == (0, 0)


def test_other_gold_is_counted_and_left_out() -> None:
    other = [judged("same", 0, gold=(0, 1)), judged("flip", 0)]
    result = compare(FIRST, other)
    assert result["gold_differs"] == 1
    assert result["accuracy"]["n"] == 1


def test_without_gold_there_is_no_accuracy() -> None:
    rows = [judged("x", 0, gold=None)]
    assert compare(rows, rows)["accuracy"] is None


def test_the_cost_of_each_run_is_its_own() -> None:
    usage = compare(FIRST, SECOND[:2])["usage"]
    assert usage["first"] == {"calls": 7, "prompt_tokens": 70, "completion_tokens": 35}
    assert usage["second"]["calls"] == 2

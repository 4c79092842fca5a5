"""`think`: traces cut at a budget are read by force, and traces may be taken up once more."""

from __future__ import annotations

import pytest

from thinkscore.errors import BadInput
from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.types import Case, Failure, Judgment

CASES = [world.make_case(9, "test", i) for i in range(16)]


def judged(strategy: str, protocol: str = "rm_r1", **how: object) -> list[Judgment]:
    with Judge(protocol, "embedded", strategy, max_tokens=300, seed=3, **how) as judge:  # type: ignore[arg-type]
        return list(judge.judge(CASES))


def right(judgments: list[Judgment]) -> float:
    best = [max((0, 1), key=lambda i: (case.gold or ())[i]) for case in CASES]
    return sum(one.winner == gold for one, gold in zip(judgments, best, strict=True)) / len(CASES)


def length(judgment: Judgment) -> int:
    return judgment.verdicts[0].completion.usage.completion_tokens


@pytest.mark.parametrize("protocol", ["rm_r1", "rrm"])
def test_a_cut_trace_is_the_beginning_of_the_whole_one_and_is_read(protocol: str) -> None:
    whole, cut = judged("vote:k=1", protocol), judged("think:tokens=30", protocol)
    for long, short in zip(whole, cut, strict=True):
        assert length(short) <= 30 < length(long)
        assert long.verdicts[0].completion.text.startswith(short.verdicts[0].completion.text)
        assert isinstance(short.verdicts[0].outcome, Failure)
        assert short.scores is not None and sum(short.scores) == pytest.approx(1)
        assert short.usage.calls == 3  # and the two labels
    assert right(whole) > right(cut) + 0.2, "thinking is what this judge lives by"


def test_a_trace_that_is_done_in_time_counts_as_it_is() -> None:
    whole, enough = judged("vote:k=1"), judged("think:tokens=290")
    assert [one.scores for one in enough] == [one.scores for one in whole]
    assert [one.usage for one in enough] == [one.usage for one in whole]


def test_a_trace_goes_on_where_its_reasoning_ended() -> None:
    for judgment in judged("think:tokens=0,extend=ok"):
        first, *again = judgment.verdicts
        assert len(again) == 1
        end = max(line.span[1] for line in first.trace.lines())
        assert again[0].completion.text.startswith(f"{first.completion.text[:end]}\nok")
        assert "[[" not in first.completion.text[:end]
        assert (judgment.winner is None) == isinstance(again[0].outcome, Failure), "what it said at first is gone"


def test_a_budget_leaves_what_is_there() -> None:
    assert {(len(one.verdicts), one.stop_reason) for one in judged("think:tokens=30,k=4", most=2)} == {(2, "budget")}


def test_the_kind_of_case_can_be_forced() -> None:
    kinds = {one.verdicts[0].trace.task.text for one in judged("vote:k=1,begin=<type>Chat</type>")}  # type: ignore[union-attr]
    assert kinds == {"Chat"}
    assert {one.verdicts[0].trace.task.text for one in judged("vote:k=1")} == {"Chat", "Reasoning"}  # type: ignore[union-attr]


def test_without_log_probabilities_nothing_can_be_forced() -> None:
    with pytest.raises(BadInput, match="log-probabilities"):
        Judge("rm_r1", "oracle:", "think:tokens=5")
    case: Case = CASES[0]
    with Judge("rm_r1", "oracle:", "think:tokens=0") as judge:
        assert next(iter(judge.judge([case]))).winner is not None

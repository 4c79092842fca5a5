"""Steps of a reasoning: found where they stand, made wrong in place, also where thinking came apart from the text."""

from __future__ import annotations

import random

import pytest

from thinkscore.audits._steps import corrupted, other_side, reworded, steps
from thinkscore.judge import make_protocol
from thinkscore.lab import oracle, world
from thinkscore.lab._family import stated_score
from thinkscore.types import Case, Completion, Failure, Message, Scores, Verdict, Winner

CASES = [world.make_case(71, "test", i) for i in range(30)]
FREE = Case("f", (Message("user", "2 + 2?"),), ("It is 4.", "It is 5."))
TEXT = "<solution>\n2 + 2 = 4\n</solution>\n<eval>\n<summary_A>correct</summary_A>\n</eval>\n<answer>[[A]]</answer>"


def judged(case: Case, name: str) -> Verdict:
    protocol = make_protocol(name)
    trace, scores = oracle.judge(case, (0, 1))
    best = int((scores[1] or 0) > (scores[0] or 0))
    text = protocol.write(Scores(scores) if protocol.arity[1] > 2 else Winner(best), trace, (0, 1))
    return protocol.parse(Completion(text), protocol.render(case, (0, 1)))


@pytest.mark.parametrize("thought", [None, "I think hard about both of these for a while."])
def test_a_step_stands_where_it_says_it_does(thought: str | None) -> None:
    protocol = make_protocol("rm_r1")
    completion = Completion(TEXT, thought)
    verdict = protocol.parse(completion, protocol.render(FREE, (0, 1)))
    whole = completion.whole()
    assert [whole[slice(*line.span)] for line in steps(verdict)] == ["2 + 2 = 4", "correct"]
    first, second = corrupted(FREE, verdict, False, random.Random(0), 5)
    assert (first.old, second.old, second.new) == ("2 + 2 = 4", "correct", "incorrect")
    assert first.new.startswith("2 + 2 = ") and first.new != first.old
    assert second.within(whole) == whole.replace("correct", "incorrect")
    assert first.up_to(whole, changed=False).endswith("2 + 2 = 4") and first.up_to(whole).endswith(first.new)
    assert whole.startswith(first.up_to(whole)[: first.start])


@pytest.mark.parametrize("name", ["rm_r1", "rrm", "deepseek_grm"])
def test_the_world_makes_steps_wrong_in_place_and_knows_who_would_turn(name: str) -> None:
    protocol, turning = make_protocol(name), 0
    for case in CASES:
        verdict = judged(case, name)
        text = verdict.completion.text
        found = corrupted(case, verdict, True, random.Random(1), 9)
        assert found, case.id
        for step in found:
            assert text[step.start : step.end] == step.old != step.new
            turning += bool(step.turns)
            reread = protocol.parse(Completion(step.up_to(text), finish="length"), protocol.render(case, (0, 1)))
            carried, scores = oracle.judge(case, (0, 1), oracle.understood(reread.trace))
            lead = (scores[0] or 0) - (scores[1] or 0)
            turned = lead * (case.gold[0] - case.gold[1]) < 0  # type: ignore[index]
            assert turned == step.turns, (step, carried)
        for step in reworded(verdict, True, random.Random(1)):
            assert text[step.start : step.end] == step.old != step.new
    assert turning > 20


def test_the_world_argues_for_the_other_side() -> None:
    for case in CASES:
        trace = other_side(case, judged(case, "rm_r1"), random.Random(2))
        assert trace is not None
        stated = [stated_score(trace, i) for i in range(2)]
        assert (stated[0] - stated[1]) * (case.gold[0] - case.gold[1]) < 0


@pytest.mark.parametrize(
    "remark",
    ["score 4/10", "declines. 9 of 10, says I", "", "3", "offers, score"],
    ids=["share", "odd", "none", "number", "cut"],
)
def test_a_trace_that_the_world_cannot_read_is_changed_by_rules_or_not_at_all(remark: str) -> None:
    protocol = make_protocol("rm_r1")
    for case in CASES:
        text = (
            "<type>Chat</type>\n<rubric>\nright is right (3)\n</rubric>\n<solution>\n2 + 2 = 4\n</solution>\n<eval>\n"
            f"<summary_A>{remark}</summary_A><quote_B>x</quote_B><summary_B>{remark}</summary_B>\n</eval>\n"
            "<answer>[[A]]</answer>"
        )
        verdict = protocol.parse(Completion(text), protocol.render(case, (0, 1)))
        assert not isinstance(verdict.outcome, Failure)
        other_side(case, verdict, random.Random(0))
        for step in corrupted(case, verdict, True, random.Random(0), 5):
            assert text[step.start : step.end] == step.old != step.new

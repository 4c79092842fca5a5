"""The imperfect teacher: its flaws are those that are stated, and it has no others."""

import asyncio
import random

import pytest

from thinkscore.doubles.teacher import Teacher
from thinkscore.errors import BadInput
from thinkscore.lab import oracle, teacher, world
from thinkscore.protocols.deepseek_grm import DeepseekGrm
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.types import Case, Failure, Message

CASES = [world.make_case(4, "train", i) for i in range(300)]
NONE = teacher.Flaws(stop=(0.0,), level=0.0, forget=0.0)


def scores(case, flaws, seed=0):
    return teacher.judge(case, (0, 1), flaws, random.Random(seed))


def test_without_flaws_it_is_the_oracle():
    for case in CASES[:60]:
        assert scores(case, NONE)[1] == case.gold


def test_it_stops_early_as_often_as_stated_and_writes_what_follows_from_there():
    flaws = teacher.Flaws(stop=(0.0, 1.0), level=0.0, forget=0.0)
    for case in CASES:
        trace, _ = scores(case, flaws)
        if case.tags["family"] == "reasoning":
            full, _ = oracle.judge(case, (0, 1))
            stopped = len(trace.solution) < len(full.solution)
            assert stopped == (case.tags["level"] > 2)
            steps = [(oracle.reworded(line) or line).text for line in full.solution]  # it may word them either way
            said = [(oracle.reworded(line) or line).text for line in trace.solution]
            assert said == steps[: len(said)]
            assert str(trace.evaluation[1].text).startswith(trace.solution[-1].text.split()[-1])


def test_it_gives_all_wishes_one_weight_and_forgets_criteria():
    for case in (case for case in CASES if case.tags["family"] == "chat"):
        levelled, _ = scores(case, teacher.Flaws(stop=(0.0,), level=1.0, forget=0.0))
        assert {item.weight for item in levelled.rubric} == {3.0}
        short, _ = scores(case, teacher.Flaws(stop=(0.0,), level=0.0, forget=1.0))
        assert len(short.rubric) == (case.tags["level"] if case.tags["level"] < 3 else case.tags["level"] - 1)


@pytest.mark.parametrize("protocol", [RmR1(), DeepseekGrm()])
def test_the_engine_writes_readable_verdicts_that_hang_on_the_seed(protocol):
    prompts = [protocol.render(case, (1, 0)) for case in CASES[:40]]
    engine = Teacher("level=0.5")
    first, again = (asyncio.run(engine.generate(prompts)) for _ in range(2))
    assert first == again
    read = [protocol.parse(completion, prompt) for completion, prompt in zip(first, prompts, strict=True)]
    assert not any(isinstance(verdict.outcome, Failure) for verdict in read)


def test_rates_that_are_none_and_cases_of_another_world_are_told():
    with pytest.raises(BadInput, match="shares from 0 to 1"):
        Teacher("stop=2")
    with pytest.raises(BadInput, match="of stop, level, forget"):
        Teacher("sleep=0.5")
    other = RmR1().render(Case("x", (Message("user", "Who wrote Faust?"),), ("a", "b")), (0, 1))
    assert asyncio.run(Teacher().generate([other]))[0].finish == "error"

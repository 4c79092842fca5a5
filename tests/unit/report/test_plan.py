"""A dry run counts what a run then does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from thinkscore import Judge
from thinkscore.budget import Price
from thinkscore.journal import Call, open_journal
from thinkscore.judge import make_protocol
from thinkscore.lab import world
from thinkscore.report.plan import plan
from thinkscore.scaling._base import Ask, State, Stop, parse_strategy
from thinkscore.scaling.vote import Vote
from thinkscore.types import Case, Completion, Message, Sampling, Usage

CASES = list(world.make(3, "test", 6))
SAMPLING = Sampling(max_tokens=100)


def planned(cases: list[Case], strategy: str = "vote:k=4", journal: Path | None = None, **more: object):  # type: ignore[no-untyped-def]
    how = make_protocol("rm_r1"), parse_strategy(strategy)
    return plan(cases, *how, sampling=SAMPLING, seed=9, journal=journal, **more)  # type: ignore[arg-type]


def test_calls_are_cases_times_votes() -> None:
    found = planned(CASES)
    assert (found.cases, found.calls, found.recorded, found.adaptive) == (6, 24, 0, False)
    assert found.most_completion_tokens == 24 * 100
    assert found.completion_tokens is None


def test_prompt_tokens_follow_the_characters() -> None:
    protocol = make_protocol("rm_r1")
    shown = protocol.render(CASES[0], (0, 1))
    characters = sum(len(message.content) for message in shown.messages)
    assert planned(CASES[:1], "vote:k=2").prompt_tokens == -(-2 * characters // 4)


def test_what_the_journal_holds_is_taken_off(tmp_path: Path) -> None:
    journal = tmp_path / "run.journal"
    with Judge("rm_r1", "oracle:", "vote:k=4", seed=9, max_tokens=100, journal=journal) as judge:
        done = list(judge.judge(CASES[:4]))
    found = planned(CASES, journal=journal)
    assert (found.calls, found.recorded) == (8, 16)
    usage = sum((judgment.usage for judgment in done), Usage())
    assert found.completion_tokens == min(round(usage.completion_tokens / 16 * 8), 800)
    assert planned(CASES, "vote:k=8", journal=journal).calls == 48 - 16
    before = journal.read_bytes()
    assert planned(CASES[:4], journal=journal).calls == 0
    assert journal.read_bytes() == before


def test_prompts_are_counted_as_the_journal_counted_them(tmp_path: Path) -> None:
    protocol = make_protocol("rm_r1")
    calls = []
    for case in CASES[:2]:
        prompt = msgspec.structs.replace(protocol.render(case, (0, 1)), sampling=SAMPLING, seed=1)
        calls.append(Call.of(prompt, "some model"))
    characters = sum(len(message.content) for call in calls for message in call.request.messages)
    journal = open_journal(tmp_path / "run.journal")
    journal.announce(calls)
    journal.record(calls, [Completion("x", usage=Usage(1, 50, 7)), Completion("y", usage=Usage(1, 50, 9))])
    journal.close()
    found = planned(CASES[:1], "vote:k=1", tmp_path / "run.journal")
    assert found.measured
    assert found.characters_per_token == pytest.approx(characters / 100)
    assert found.completion_tokens == 8
    assert found.calls == 1  # drawn from another seed


def test_a_journal_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert planned(CASES, journal=tmp_path / "new.journal").calls == 24
    assert list(tmp_path.iterdir()) == []


def test_cost_and_time_follow_price_and_rate() -> None:
    found = planned(CASES[:1], "vote:k=1", price=Price(prompt=2.0, completion=10.0), rate=0.5)
    assert found.most_cost == pytest.approx((2 * found.prompt_tokens + 10 * 100) / 1e6)
    assert found.cost is None
    assert found.seconds == 2.0


def test_cases_that_the_protocol_cannot_show_cost_nothing() -> None:
    lone = Case("x", (Message("user", "?"),), ("only one",))
    found = planned([lone, CASES[0]])
    assert (found.cases, found.calls, found.unaskable) == (2, 4, 1)


@dataclass(frozen=True)
class OneByOne(Vote):
    """Asks again until two verdicts agree."""

    def step(self, state: State, left: int | None = None) -> list[Ask] | Stop:
        return Stop("agreed") if len(state.verdicts) == 2 else [Ask((0, 1), len(state.verdicts))]


def test_a_strategy_that_decides_as_it_goes_is_named_as_such() -> None:
    found = plan(CASES, make_protocol("rm_r1"), OneByOne(), sampling=SAMPLING)
    assert (found.calls, found.adaptive) == (12, True)

"""The driver keeps the order of the cases, a bounded window, and leaves nothing behind when it stops."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import aclosing

import pytest

from thinkscore.ask import Ask
from thinkscore.scaling._base import State, Stop
from thinkscore.scaling._driver import decide, run
from thinkscore.scaling.vote import Vote
from thinkscore.types import Case, Completion, Message, Trace, Verdict, Winner


def cases(count: int, read: list[int] | None = None) -> Iterator[Case]:
    for i in range(count):
        if read is not None:
            read.append(i)
        yield Case(str(i), (Message("user", "?"),), ("a", "b"))


class Answers:
    """Answers after a random while; remembers how many cases are in flight."""

    def __init__(self, fail_at: str = "", slow: str = "") -> None:
        self.draw, self.fail_at, self.slow = random.Random(0), fail_at, slow
        self.flying = self.most = self.cancelled = 0

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            await asyncio.sleep(self.draw.random() / 500 if case.id != self.slow else 60)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.flying -= 1
        if case.id == self.fail_at:
            raise ZeroDivisionError
        return [Verdict(case.id, ask.order, Winner(0), Trace(), Completion()) for ask in asks]


def test_judgments_come_in_the_order_of_the_cases_from_a_bounded_window() -> None:
    answers, read = Answers(), list[int]()

    async def main() -> list[str]:
        found = []
        async for case, judgment in run(Vote(2), cases(100, read), answers, concurrency=7):
            assert case.id == judgment.case_id
            found.append(case.id)
            assert len(read) - len(found) <= 2 * 7
        return found

    assert asyncio.run(main()) == [str(i) for i in range(100)]
    assert answers.most == 7


def test_the_first_error_ends_the_run() -> None:
    answers, seen = Answers(fail_at="5"), list[str]()

    async def main() -> None:
        async for case, _ in run(Vote(1), cases(100), answers, concurrency=8):
            seen.append(case.id)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())
    assert seen == ["0", "1", "2", "3", "4"]
    assert answers.flying == 0


def test_stopping_early_cancels_what_is_in_flight() -> None:
    answers = Answers(slow="3")

    async def main() -> None:
        async with aclosing(run(Vote(1), cases(100), answers, concurrency=8)) as judgments:
            await anext(judgments)
        assert answers.flying == 0
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert answers.cancelled > 0


def test_no_cases_no_judgments() -> None:
    async def main() -> list[object]:
        return [pair async for pair in run(Vote(1), [], Answers())]

    assert asyncio.run(main()) == []


class OneByOne(Vote):
    """Asks for one verdict at a time until two agree."""

    def step(self, state: State, left: int | None = None) -> list[Ask] | Stop:
        if len(state.verdicts) >= 2:
            return Stop("two agree")
        return [Ask((0, 1), len(state.verdicts))]


def test_a_strategy_may_ask_again() -> None:
    (case,) = cases(1)
    judgment = asyncio.run(decide(OneByOne(), case, Answers()))
    assert (len(judgment.verdicts), judgment.stop_reason, judgment.winner) == (2, "two agree", 0)

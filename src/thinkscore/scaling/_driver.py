"""The driver: runs a strategy over many cases at once and yields judgments in the order of the cases.

It holds a window of cases, so memory does not grow with their number; cancelling it cancels them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Protocol

from ..ask import Ask
from ..types import Case, Judgment, Verdict
from ._base import State, Stop, Strategy

__all__ = ["Answers", "decide", "run", "stream"]


LINGER = 0.005
"""Seconds that a judgment may wait for the next ones, so that its caller is woken for several at a time."""


class Answers(Protocol):
    """Whatever answers asks: an `Asker`, or recorded verdicts."""

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        """Return one verdict per ask, in order."""


async def decide(strategy: Strategy, case: Case, asker: Answers, seed: int = 0) -> Judgment:
    """Judge one case: ask what the strategy wants until it stops."""
    verdicts: list[Verdict] = []
    shown = case.widened()
    while not isinstance(move := strategy.step(State(case, tuple(verdicts), seed)), Stop):
        verdicts += await asker.ask(shown, move)
    return strategy.fold(case, verdicts, move.reason)


async def run(
    strategy: Strategy, cases: Iterable[Case], asker: Answers, *, concurrency: int = 64, seed: int = 0
) -> AsyncGenerator[tuple[Case, Judgment], None]:
    """Judge a stream of cases, `concurrency` at a time, and yield each with its judgment, in their order.

    `cases` is read as the window moves. The first error ends the run; close the generator to stop early.
    """
    async with aclosing(stream(strategy, cases, asker, concurrency=concurrency, seed=seed)) as chunks:
        async for ready in chunks:
            for pair in ready:
                yield pair


async def stream(
    strategy: Strategy, cases: Iterable[Case], asker: Answers, *, concurrency: int = 64, seed: int = 0
) -> AsyncGenerator[list[tuple[Case, Judgment]], None]:
    """Do the work of `run`, but yield all that is ready at a time (1 or more), for callers to whom a step is dear."""
    feed = iter(cases)
    window: deque[tuple[Case, asyncio.Task[Judgment]]] = deque()
    ready: list[tuple[Case, Judgment]] = []
    try:
        while True:
            # Before the yield: the engine works on while the caller is busy with what is ready.
            for case in islice(feed, concurrency - len(window)):
                window.append((case, asyncio.create_task(decide(strategy, case, asker, seed))))
            if ready:
                yield ready
            if not window:
                return
            await window[0][1]
            if len(window) > 1 and not window[1][1].done():
                await asyncio.sleep(LINGER)  # answers come one by one: take a handful along
            ready = []
            while window and window[0][1].done() and not _failed(window[0][1]):
                case, task = window.popleft()
                ready.append((case, task.result()))
    finally:
        for _, task in window:
            task.cancel()
        await asyncio.gather(*(task for _, task in window), return_exceptions=True)


def _failed(task: asyncio.Task[Judgment]) -> bool:
    return task.cancelled() or task.exception() is not None

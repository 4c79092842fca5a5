"""The driver: runs a strategy over many cases at once and yields judgments in the order of the cases.

It holds a window of cases, so memory does not grow with their number; cancelling it cancels them. One loop decides a
case, whoever answers: an engine, several of them, recorded verdicts, or a simulation.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any, Protocol, TypeVar

import msgspec

from ..ask import Ask
from ..protocols._meta import Form
from ..types import Case, Judgment, Usage, Verdict
from ._base import State, Stop, Strategy, Weigh

__all__ = ["Answers", "at_once", "decide", "extended", "run", "stream"]

T = TypeVar("T")

LINGER = 0.005
"""Seconds that a judgment may wait for the next ones, so that its caller is woken for several at a time."""


class Answers(Protocol):
    """Whatever answers: a team of askers, recorded verdicts, or chance."""

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        """Return one verdict per ask, in order."""

    async def weigh(self, case: Case, verdicts: Mapping[int, Verdict], form: Form) -> list[Verdict]:
        """Return verdicts, given by their place in the order asked, with `value` where it can be known."""

    async def read(self, case: Case, verdicts: Mapping[int, Verdict]) -> list[Verdict]:
        """Return them with `expected` where it can be known."""


async def decide(strategy: Strategy, case: Case, asker: Answers, seed: int = 0, most: int | None = None) -> Judgment:
    """Judge one case: ask what the strategy wants until it stops, or `most` verdicts are there."""
    verdicts: list[Verdict] = []
    while not isinstance(found := await extended(strategy, case, asker, verdicts, seed, most), str):
        verdicts = found
    return strategy.fold(case, verdicts, found)


async def extended(
    strategy: Strategy, case: Case, asker: Answers, verdicts: list[Verdict], seed: int, most: int | None = None
) -> list[Verdict] | str:
    """Do what the strategy wants next; returns all verdicts, or why it stops."""
    left = None if most is None else most - len(verdicts)
    move = strategy.step(State(case, tuple(verdicts), seed), left)
    if isinstance(move, Stop):
        return move.reason
    shown = case.widened()
    if isinstance(move, list):
        asks = move[:left]
        return verdicts + await asker.ask(shown, asks) if asks else "budget"
    chosen = {place: verdicts[place] for place in move.places}
    again = await (asker.weigh(shown, chosen, move.form) if isinstance(move, Weigh) else asker.read(shown, chosen))
    looked = dict(zip(chosen, map(_tried, again), strict=True))
    return [looked.get(place, verdict) for place, verdict in enumerate(verdicts)]


def _tried(verdict: Verdict) -> Verdict:
    """Note that a verdict was looked at, whatever came of it: nobody tries again."""
    return verdict if verdict.looked is not None else msgspec.structs.replace(verdict, looked=Usage())


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run what never has to wait (recorded answers, chance) without an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    work.close()
    raise RuntimeError("this would have to wait; run it in an event loop")


async def run(
    strategy: Strategy,
    cases: Iterable[Case],
    asker: Answers,
    *,
    concurrency: int = 64,
    seed: int = 0,
    most: int | None = None,
) -> AsyncGenerator[tuple[Case, Judgment], None]:
    """Judge a stream of cases, `concurrency` at a time, and yield each with its judgment, in their order.

    `cases` is read as the window moves. The first error ends the run; close the generator to stop early.
    """
    async with aclosing(stream(strategy, cases, asker, concurrency=concurrency, seed=seed, most=most)) as chunks:
        async for ready in chunks:
            for pair in ready:
                yield pair


async def stream(
    strategy: Strategy,
    cases: Iterable[Case],
    asker: Answers,
    *,
    concurrency: int = 64,
    seed: int = 0,
    most: int | None = None,
) -> AsyncGenerator[list[tuple[Case, Judgment]], None]:
    """Do the work of `run`, but yield all that is ready at a time (1 or more), for callers to whom a step is dear."""
    feed = iter(cases)
    window: deque[tuple[Case, asyncio.Task[Judgment]]] = deque()
    ready: list[tuple[Case, Judgment]] = []
    try:
        while True:
            # Before the yield: the engine works on while the caller is busy with what is ready.
            for case in islice(feed, concurrency - len(window)):
                window.append((case, asyncio.create_task(decide(strategy, case, asker, seed, most))))
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

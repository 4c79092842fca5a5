"""The asker: renders a case, looks in the journal, asks the engine in micro-batches, parses what comes back.

The first half of the sentence: case, prompt, completion, verdict. Cases that run at the same time share the engine's
calls. The seed of a completion derives from (run seed, case id, sample), never from its place in a batch. A failed
item is a verdict with a `Failure`; only an engine that breaks its contract, or keeps failing in the same way, ends
the run, and the journal is kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from .engines._base import Engine
from .errors import BadInput, EngineUnavailable
from .journal import Call, Journal
from .protocols._base import Protocol
from .seeds import derive_seed
from .types import Case, Completion, Failure, Prompt, Sampling, Trace, Verdict

__all__ = ["Ask", "Asker"]


class Ask(NamedTuple):
    """One question about a case."""

    order: tuple[int, ...]
    """Place i shows candidate order[i]; a strategy may show only some of them."""
    sample: int
    """Which of several completions for the case this is, from 0."""


class _Waiting(NamedTuple):
    """A call that is queued or running, and all who asked for it meanwhile: it is paid for once."""

    call: Call
    answers: list[asyncio.Future[Completion]]

    def wanted(self) -> bool:
        """Tell whether anybody still waits; a case that was cancelled does not."""
        return not all(answer.done() for answer in self.answers)


class Asker:
    """Asks one engine in one protocol. Lives in one event loop, between `open` and `close`."""

    def __init__(
        self,
        protocol: Protocol,
        engine: Engine,
        journal: Journal | None = None,
        *,
        sampling: Sampling | None = None,
        seed: int = 0,
    ) -> None:
        self.protocol, self.engine, self.journal = protocol, engine, journal or Journal()
        self.sampling, self.seed = sampling or Sampling(), seed
        self._queue: deque[_Waiting] = deque()
        self._flying: dict[str, _Waiting] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._due = self._opened = False
        self._breaker = _Breaker(engine)

    async def open(self) -> None:
        """Open the engine; may raise its one clear error. The journal belongs to the caller."""
        await self.engine.open()
        self._opened = True

    async def close(self) -> None:
        """Stop what is running and close the engine; cases that still wait are cancelled."""
        running = list(self._running)
        for answer in (answer for waiting in self._queue for answer in waiting.answers):
            answer.cancel()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._opened:
            await self.engine.close()

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        """Return one verdict per ask, in order.

        A case that the protocol cannot show gives `Failure("wrong_arity")`. Raises `EngineUnavailable`.
        """
        prompts = self._prompts(case, asks)
        calls = {i: Call.of(p, self.engine.identity) for i, p in enumerate(prompts) if isinstance(p, Prompt)}
        answers = self.journal.lookup([call.key for call in calls.values()])
        missing = {call.key: call for call in calls.values() if call.key not in answers}
        if missing:
            answers |= zip(missing, await asyncio.gather(*map(self._put, missing.values())), strict=True)
        return [
            self._parse(answers[calls[i].key], prompt) if isinstance(prompt, Prompt) else prompt
            for i, prompt in enumerate(prompts)
        ]

    def _prompts(self, case: Case, asks: Sequence[Ask]) -> list[Prompt | Verdict]:
        """Render each order once; what cannot be rendered is a verdict already."""
        shown = {order: self._render(case, order) for order in {ask.order for ask in asks}}
        return [
            msgspec.structs.replace(
                base, sampling=self.sampling, seed=derive_seed(self.seed, case.id, ask.sample), sample=ask.sample
            )
            if isinstance(base := shown[ask.order], Prompt)
            else base
            for ask in asks
        ]

    def _render(self, case: Case, order: tuple[int, ...]) -> Prompt | Verdict:
        try:
            return self.protocol.render(case, order)
        except BadInput as error:
            nothing = Completion(finish="error", error=str(error))
            return Verdict(case.id, order, Failure("wrong_arity", str(error)), Trace(), nothing)

    def _parse(self, completion: Completion, prompt: Prompt) -> Verdict:
        if completion.order is not None and completion.order != prompt.order:
            prompt = msgspec.structs.replace(prompt, order=completion.order)
        return self.protocol.parse(completion, prompt)

    def _put(self, call: Call) -> asyncio.Future[Completion]:
        """Queue a call. Batches leave one turn of the loop later, when every case that is ready has queued its own."""
        self._breaker.check()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Completion] = loop.create_future()
        if call.key in self._flying:
            self._flying[call.key].answers.append(answer)
            return answer
        waiting = self._flying[call.key] = _Waiting(call, [answer])
        self._queue.append(waiting)
        if not self._due:
            self._due = True
            loop.call_soon(self._send)
        return answer

    def _send(self) -> None:
        """Start batches as long as calls wait and the engine has room."""
        self._due = False
        self._end_if_broken()
        while self._queue and len(self._running) < self.engine.parallel:
            batch: list[_Waiting] = []
            while self._queue and len(batch) < self.engine.batch:
                waiting = self._queue.popleft()
                if waiting.wanted():
                    batch.append(waiting)
                else:
                    del self._flying[waiting.call.key]
            if batch:
                task = asyncio.get_running_loop().create_task(self._run(batch))
                self._running.add(task)
                task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._send()

    def _end_if_broken(self) -> None:
        """Give everybody in the queue the error of a run that has ended, unpaid."""
        try:
            self._breaker.check()
        except EngineUnavailable as error:
            while self._queue:
                self._deliver(self._queue.popleft(), error)

    async def _run(self, batch: Sequence[_Waiting]) -> None:
        """Give every waiting case its completion, or the error that ends the run."""
        try:
            completions = await self._generate([waiting.call for waiting in batch])
            for waiting, completion in zip(batch, completions, strict=True):
                self._deliver(waiting, completion)
        except Exception as error:
            for waiting in batch:
                self._deliver(waiting, error)
        finally:
            for waiting in batch:
                self._flying.pop(waiting.call.key, None)
                for answer in waiting.answers:
                    answer.cancel()  # what is left: `close` came first

    def _deliver(self, waiting: _Waiting, result: Completion | Exception) -> None:
        self._flying.pop(waiting.call.key, None)
        for answer in waiting.answers:
            if not answer.done():
                answer.set_exception(result) if isinstance(result, Exception) else answer.set_result(result)

    async def _generate(self, calls: Sequence[Call]) -> list[Completion]:
        announced = self.journal.announce(calls)
        if announced is not None:
            await asyncio.wrap_future(announced)
        completions = await self.engine.generate([call.prompt for call in calls])
        _check(self.engine, completions, len(calls))
        self.journal.record(calls, completions)
        self._breaker.count(completions)
        return completions


def _check(engine: Engine, completions: object, count: int) -> None:
    """Raise `EngineUnavailable` unless the engine gave one completion per prompt."""
    if not isinstance(completions, list) or not all(isinstance(item, Completion) for item in completions):
        raise EngineUnavailable(f"engine {engine.identity} must return a list of completions; got {completions!r:.200}")
    if len(completions) != count:
        raise EngineUnavailable(f"engine {engine.identity} got {count} prompts and returned {len(completions)}")


class _Breaker:
    """Ends a run whose engine gives the same error again and again, and nothing else.

    An engine says with `breaker` after how many; 0, for one whose errors are about items, is never.
    """

    def __init__(self, engine: Engine) -> None:
        self._limit: int = engine.breaker
        self._last, self._times = "", 0

    def count(self, completions: Sequence[Completion]) -> None:
        """Count identical errors in a row; an answer starts anew. Raises `EngineUnavailable` at the limit."""
        for completion in completions:
            error = completion.error or "" if completion.finish == "error" else ""
            self._times = self._times + 1 if error and error == self._last else int(bool(error))
            self._last = error
        self.check()

    def check(self) -> None:
        if self._limit and self._times >= self._limit:
            raise EngineUnavailable(f"{self._times} calls in a row failed in the same way: {self._last}")

"""The asker: renders a case, looks in the journal, asks the engine in micro-batches, parses what comes back.

The first half of the sentence: case, prompt, completion, verdict. Cases that run at the same time share the engine's
calls; what one case asks at a time stays together, so that an engine may draw it with one request. The seed of a
completion derives from (run seed, case id, sample), never from its place in a batch. A failed item is a verdict with a
`Failure`; only an engine that breaks its contract, or keeps failing in the same way, ends the run, and the journal is
kept.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from .budget import Budget
from .engines._base import Announce, Deliver, Engine
from .errors import BadInput, EngineUnavailable
from .fit import overflow, shortened
from .journal import Call, Journal
from .protocols._base import Protocol, Readout
from .seeds import derive_seed
from .types import Case, Completion, Failure, Prompt, Sampling, Trace, Usage, Verdict

__all__ = ["Ask", "Asker", "TooLong"]

TooLong = Literal["fail", "middle"]
RENDERED = 2048
"""Rendered orders that are remembered."""
FITS = 8
"""How often a case is shortened before it is given up."""


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One question about a case."""

    order: tuple[int, ...]
    """Place i shows candidate order[i]; a strategy may show only some of them."""
    sample: int
    """Which of several completions for the case this is, from 0."""
    by: str = ""
    """Which judge is asked, by its name in the run's `others`; "" is the run's own."""
    begin: str = ""
    """What the answer has to begin with."""
    most: int = 0
    """Tokens of the answer at most, if that is fewer than the run's limit; 0 is no limit of its own."""


class _Answers:
    """What one case waits for: the completions of some calls, by key, all at once (a future for each is dear)."""

    __slots__ = ("_found", "_number", "future")

    def __init__(self, number: int) -> None:
        self.future: asyncio.Future[dict[str, Completion]] = asyncio.get_running_loop().create_future()
        self._found: dict[str, Completion] = {}
        self._number = number

    def take(self, key: str, result: Completion | Exception) -> None:
        """Note an answer; the first error is the answer to everything."""
        if self.future.done():
            return
        if isinstance(result, Exception):
            self.future.set_exception(result)
            return
        self._found[key] = result
        if len(self._found) == self._number:
            self.future.set_result(self._found)


class _Waiting(msgspec.Struct, frozen=True):
    """A call that is queued or running, and all who asked for it meanwhile: it is paid for once."""

    call: Call
    answers: list[_Answers]

    def wanted(self) -> bool:
        """Tell whether anybody still waits; a case that was cancelled does not."""
        return not all(answers.future.done() for answers in self.answers)


class Asker:
    """Asks one engine in one protocol. Lives in one event loop, between `open` and `close`.

    `too_long` says what happens to a case that the model cannot read in full: it fails, or its longest texts lose
    their middles (`Completion.cut` says how much). `budget` refuses calls that might exceed it.
    """

    def __init__(
        self,
        protocol: Protocol,
        engine: Engine,
        journal: Journal | None = None,
        *,
        sampling: Sampling | None = None,
        seed: int = 0,
        too_long: TooLong = "fail",
        budget: Budget | None = None,
    ) -> None:
        self.protocol, self.engine, self.journal = protocol, engine, journal or Journal()
        self.sampling, self.seed, self.too_long = sampling or Sampling(), seed, too_long
        self.budget = budget or Budget()
        self._rendered: dict[tuple[int, tuple[int, ...]], tuple[Case, Prompt | Verdict]] = {}
        self._queue: deque[list[_Waiting]] = deque()
        self._waiting: dict[str, _Waiting] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._flying = 0
        self._due = self._opened = False
        self._breaker = _Breaker(engine)

    async def open(self) -> None:
        """Open the engine; may raise its one clear error. The journal belongs to the caller."""
        await self.engine.open()
        self._opened = True

    async def close(self) -> None:
        """Stop what is running and close the engine; cases that still wait are cancelled."""
        running = list(self._running)
        for answers in (answers for waiting in self._waiting.values() for answers in waiting.answers):
            answers.future.cancel()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._opened:
            await self.engine.close()

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        """Return one verdict per ask, in order.

        A case that the protocol cannot show gives `Failure("wrong_arity")`. Raises `EngineUnavailable`.
        """
        verdicts = await self._ask(case, asks)
        cut = 0
        for _ in range(FITS if self.too_long == "middle" else 0):
            over = [i for i, verdict in enumerate(verdicts) if overflow(verdict.completion)]
            shorter = shortened(case, max(overflow(verdicts[i].completion) for i in over)) if over else None
            if shorter is None:
                break
            case, cut = shorter[0], cut + shorter[1]
            for i, verdict in zip(over, await self._ask(case, [asks[i] for i in over], cut), strict=True):
                verdicts[i] = verdict
        return verdicts

    async def read(self, case: Case, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Force a reading after the trace of each verdict (`Verdict.expected`); what cannot be read stays without."""
        return list(await asyncio.gather(*(self._read(case, verdict) for verdict in verdicts)))

    async def _read(self, case: Case, verdict: Verdict) -> Verdict:
        base = self.protocol.render(case, verdict.order)
        readings = self.protocol.readings(base, verdict)
        prompts = [
            msgspec.structs.replace(base, prefill=one.prefill, continuations=tuple(one.continuations.values()))
            for one in readings
        ]
        answers = await self.complete(prompts)
        cost = sum((answer.usage for answer in answers), verdict.looked or Usage())
        if not answers or any(answer.finish == "error" for answer in answers):
            return msgspec.structs.replace(verdict, looked=cost)
        chances = [_chances(one, answer) for one, answer in zip(readings, answers, strict=True)]
        return msgspec.structs.replace(verdict, expected=self.protocol.expected(base, chances), looked=cost)

    async def _ask(self, case: Case, asks: Sequence[Ask], cut: int = 0) -> list[Verdict]:
        prompts = self._prompts(case, asks, cut)
        answers = iter(await self.complete([prompt for prompt in prompts if isinstance(prompt, Prompt)]))
        return [self._parse(next(answers), p) if isinstance(p, Prompt) else p for p in prompts]

    def _prompts(self, case: Case, asks: Sequence[Ask], cut: int) -> list[Prompt | Verdict]:
        """Make a prompt for each ask; what cannot be rendered is a verdict already."""
        shown = {order: self._shown(case, order) for order in {ask.order for ask in asks}}
        return [
            msgspec.structs.replace(
                base,
                prefill=base.prefill + ask.begin,
                sampling=self._sampling(ask),
                seed=derive_seed(self.seed, case.id, ask.sample),
                sample=ask.sample,
                cut=cut,
            )
            if isinstance(base := shown[ask.order], Prompt)
            else base
            for ask in asks
        ]

    def _sampling(self, ask: Ask) -> Sampling:
        if not ask.most or ask.most >= self.sampling.max_tokens:
            return self.sampling
        return msgspec.structs.replace(self.sampling, max_tokens=ask.most)

    def _shown(self, case: Case, order: tuple[int, ...]) -> Prompt | Verdict:
        """Render an order of a case, or remember it: strategies that ask in rounds come back to the same few."""
        known = self._rendered.get((id(case), order))
        if known is None or known[0] is not case:
            if len(self._rendered) >= RENDERED:
                self._rendered.clear()
            known = self._rendered[id(case), order] = case, self._render(case, order)
        return known[1]

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

    async def complete(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """Return one completion per prompt: from the journal, from a call that is under way, or from a new one."""
        calls = [Call.of(prompt, self.engine.identity) for prompt in prompts]
        answers = self.journal.lookup([call.key for call in calls])
        if answers:
            self._breaker.reset()
        missing = {call.key: call for call in calls if call.key not in answers}
        if missing:
            answers |= await self._put(missing)
        return [answers[call.key] for call in calls]

    def _put(self, calls: Mapping[str, Call]) -> asyncio.Future[dict[str, Completion]]:
        """Queue calls. They leave one turn of the loop later, when every case that is ready has queued its own."""
        self._breaker.check()
        answers, unit = _Answers(len(calls)), []
        for key, call in calls.items():
            if key in self._waiting:
                self._waiting[key].answers.append(answers)
            else:
                self._waiting[key] = waiting = _Waiting(call, [answers])
                unit.append(waiting)
        if unit:
            self._queue.append(unit)
            self._soon()
        return answers.future

    def _soon(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        """Start batches as long as calls wait and the engine has room."""
        self._due = False
        while self._queue and self._flying < self.engine.batch * self.engine.parallel:
            if batch := self._take():
                self._flying += len(batch)
                task = asyncio.get_running_loop().create_task(self._run(batch))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            elif self._flying:
                break  # the budget is reserved for what is under way; what that leaves is known when it lands

    def _take(self) -> list[_Waiting]:
        """Take calls of one kind for one batch from the queue; those of one case stay together."""
        batch: list[_Waiting] = []
        while self._queue and (not batch or len(batch) + len(self._queue[0]) <= self.engine.batch):
            queued = self._queue[0]
            if batch and batch[0].call.request.kind != queued[0].call.request.kind:
                break
            unit = [waiting for waiting in queued if waiting.wanted()]
            if self.budget.reserve([waiting.call.prompt for waiting in unit]):
                batch += unit
            elif self._flying or batch:
                break
            else:
                for waiting in unit:
                    self._deliver(waiting, Completion(finish="error", error=self.budget.refusal()))
            self._queue.popleft()
            if len(unit) < len(queued):
                for waiting in queued:
                    if not waiting.wanted():
                        self._waiting.pop(waiting.call.key, None)
        return batch

    async def _run(self, batch: Sequence[_Waiting]) -> None:
        """Give every waiting case its completion, or the error that ends the run."""
        left = set(range(len(batch)))

        def announce(places: Iterable[int]) -> None:
            self.journal.announce([batch[place].call for place in places])

        def deliver(place: int, completion: Completion) -> None:
            self._land(batch[place], completion)
            if place in left:  # else the engine had broken off, and its place is free already
                left.remove(place)
                self._flying -= 1

        prompts = [waiting.call.prompt for waiting in batch]
        try:
            await self._way(prompts[0])(prompts, announce, deliver)
            if left:
                raise EngineUnavailable(f"engine {self.engine.identity} left {len(left)} of {len(batch)} unanswered")
        except Exception as error:
            for place in left:
                self._deliver(batch[place], error)
        finally:
            self._flying -= len(left)
            for waiting in (batch[place] for place in left):
                self._waiting.pop(waiting.call.key, None)
                for answers in waiting.answers:
                    answers.future.cancel()  # what is left: `close` came first
            left.clear()
            self._soon()

    def _land(self, waiting: _Waiting, completion: Completion) -> None:
        """Keep what came, pass it on, and make room for the next call."""
        prompt = waiting.call.prompt
        if prompt.cut:
            completion = msgspec.structs.replace(completion, cut=prompt.cut)
        self.budget.settle(prompt, completion)
        self.journal.record([waiting.call], [completion])
        try:
            self._breaker.count(prompt.case, completion)
            self._deliver(waiting, completion)
        except EngineUnavailable as error:  # what is under way is kept when it comes; nobody waits for it
            self._queue.clear()
            for other in [waiting, *self._waiting.values()]:
                self._deliver(other, error)
        self._soon()

    def _deliver(self, waiting: _Waiting, result: Completion | Exception) -> None:
        self._waiting.pop(waiting.call.key, None)
        for answers in waiting.answers:
            answers.take(waiting.call.key, result)

    def _way(self, prompt: Prompt) -> Callable[[Sequence[Prompt], Announce, Deliver], Awaitable[None]]:
        """Say how prompts of this kind are answered; recorded texts answer all kinds."""
        if self.engine.recorded:
            return self.engine.stream
        return self._values if prompt.conversations else self._logprobs if prompt.continuations else self.engine.stream

    async def _logprobs(self, prompts: Sequence[Prompt], announce: Announce, deliver: Deliver) -> None:
        """Score what might follow each prompt; the answer is the JSON list of log-probabilities."""
        announce(range(len(prompts)))
        for place, found in zip(range(len(prompts)), await self._forced(prompts), strict=True):
            deliver(place, found)

    async def _forced(self, prompts: Sequence[Prompt]) -> list[Completion]:
        asked = [prompt for prompt in prompts for _ in prompt.continuations]
        try:
            values = await self.engine.logprobs(asked, [text for prompt in prompts for text in prompt.continuations])
        except BadInput as error:
            if len(prompts) > 1:  # one bad item must spoil no other
                return [done for prompt in prompts for done in await self._forced([prompt])]
            return [Completion(finish="error", error=str(error))]
        rest = iter(values)
        return [_valued([next(rest) for _ in prompt.continuations]) for prompt in prompts]

    async def _values(self, prompts: Sequence[Prompt], announce: Announce, deliver: Deliver) -> None:
        """Let a scalar head score every conversation; the answer to a prompt is the JSON list of its values."""
        announce(range(len(prompts)))
        values = await self.engine.values([conversation for p in prompts for conversation in p.conversations])
        if len(values) != sum(len(prompt.conversations) for prompt in prompts):
            raise EngineUnavailable(f"engine {self.engine.identity} returned {len(values)} values")
        rest = iter(values)
        for place, prompt in enumerate(prompts):
            deliver(place, _valued([next(rest) for _ in prompt.conversations]))


def _valued(values: Sequence[float | Failure]) -> Completion:
    failure = next((value for value in values if isinstance(value, Failure)), None)
    if failure is not None:
        return Completion(finish="error", error=failure.detail)
    return Completion(msgspec.json.encode(values).decode(), usage=Usage(calls=len(values)))


def _chances(reading: Readout, answer: Completion) -> dict[str, float]:
    """Share one among the labels of a forced reading."""
    logprobs = json.loads(answer.text)
    highest = max(logprobs)
    odds = [math.exp(logprob - highest) for logprob in logprobs]
    return {label: share / sum(odds) for label, share in zip(reading.continuations, odds, strict=True)}


class _Breaker:
    """Ends a run whose engine gives the same error for case after case, and nothing else.

    An engine says with `breaker` after how many; 0, for one whose errors are about items, is never. However often a
    single case is asked, it is one; and what is too long is about the case.
    """

    def __init__(self, engine: Engine) -> None:
        self._limit: int = engine.breaker
        self._last, self._cases = "", set[str]()

    def reset(self) -> None:
        """Note an answer from the journal: what a resumed run asks first is what failed for good before."""
        self._cases.clear()

    def count(self, case: Case, completion: Completion) -> None:
        """Count cases with one error in a row; an answer starts anew. Raises `EngineUnavailable` at the limit."""
        error = "" if overflow(completion) else completion.error or ""
        if error != self._last:
            self._last, self._cases = error, set()
        if error:
            self._cases.add(case.id)
        self.check()

    def check(self) -> None:
        if self._limit and len(self._cases) >= self._limit:
            raise EngineUnavailable(f"{len(self._cases)} cases in a row failed in the same way: {self._last}")

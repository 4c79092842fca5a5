"""What stands behind the server: the seam, and any engine in it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from ...engines._base import Engine
from ...engines.embedded import Embedded
from ...errors import BadInput
from ...seeds import derive_seed
from ...types import Completion, Failure, Message, Prompt, Sampling
from ._reader import Reader
from ._verdicts import Asked
from ._wire import ChatRequest, Refusal, Token

__all__ = ["Behind", "EngineBehind", "Reply", "Value", "words"]

Value = Callable[[object], float]
"""A scalar head: a text, a list of token ids or a list of {"role", "content"} -> its raw value."""


class Reply(NamedTuple):
    """The completions of a request; their texts do not repeat the prefill."""

    completions: list[Completion]
    tokens: list[list[Token]] | None = None
    """Those of each completion, where log-probabilities were asked for."""
    prompt: list[Token] | None = None
    """Those of prompt and prefill, where asked for."""


class Behind(ABC):
    """One judge behind the server."""

    limit: int | None = None
    """Context length, where there is one; known after `open`."""

    async def open(self) -> None:  # noqa: B027 - a script needs nothing
        """Prepare; may raise `ThinkscoreError`."""

    async def close(self) -> None:  # noqa: B027
        """Release what `open` took."""

    @abstractmethod
    def count(self, request: ChatRequest) -> int:
        """Count the tokens of the prompt."""

    @abstractmethod
    async def reply(self, request: ChatRequest, seed: int, room: int) -> Reply:
        """Write request.n answers of up to `room` tokens. Raises `Refusal`."""

    @abstractmethod
    async def values(self, conversations: Sequence[object]) -> list[float]:
        """Score conversations with the scalar head. Raises `Refusal`."""


class EngineBehind(Behind):
    """Any engine. Requests that come at the same time share its batches; choice i has sample i and its own seed."""

    def __init__(self, engine: Engine, protocol: str | None = None, value: Value | None = None) -> None:
        self.engine, self._protocol, self._value = engine, protocol, value
        self._reader: Reader | None = None
        self._queue: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        await self.engine.open()
        if isinstance(self.engine, Embedded):
            self._reader = Reader(self.engine.folder)
            self.limit = self._reader.limit

    async def close(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self.engine.close()

    def count(self, request: ChatRequest) -> int:
        if self._reader is None:
            return sum(words(turn.text) for turn in request.messages)
        return len(self._reader.ids(request.conversation, request.prefill))

    async def reply(self, request: ChatRequest, seed: int, room: int) -> Reply:
        messages, prefill = request.conversation, request.prefill
        sampling = Sampling(_or(request.temperature, 1.0), _or(request.top_p, 1.0), room)
        base = Asked.read(messages, self._protocol).prompt(messages)
        prompts = [
            msgspec.structs.replace(base, prefill=prefill, sampling=sampling, seed=derive_seed(seed, i), sample=i)
            for i in range(request.n)
        ]
        completions = await self._generate(prompts)
        for completion in completions:
            if completion.finish == "error":
                raise Refusal(400, completion.error or "the engine gave no reason", 400)
        return await self._read(
            request, [msgspec.structs.replace(done, text=done.text.removeprefix(prefill)) for done in completions]
        )

    async def values(self, conversations: Sequence[object]) -> list[float]:
        if self._value is not None:
            return [self._value(conversation) for conversation in conversations]
        try:
            talks = [msgspec.convert(talk, list[Message]) for talk in conversations]
        except msgspec.ValidationError:
            raise Refusal(400, "this engine scores conversations; send messages instead of input", 400) from None
        try:
            found = await self.engine.values(talks)
        except BadInput as error:
            raise Refusal(400, str(error), 400) from error
        for value in found:
            if isinstance(value, Failure):
                raise Refusal(400, value.detail, 400)
        return [value for value in found if not isinstance(value, Failure)]

    async def _read(self, request: ChatRequest, completions: list[Completion]) -> Reply:
        """Add the log-probabilities that were asked for."""
        if not request.logprobs and request.prompt_logprobs is None:
            return Reply(completions)
        if self._reader is None:
            raise Refusal(400, f"engine {self.engine.identity} gives no log-probabilities here; use embedded", 400)
        tokens, prompt, head = None, None, (request.conversation, request.prefill)
        if request.logprobs:
            top = request.top_logprobs or 0
            tokens = [await asyncio.to_thread(self._reader.written, *head, done, top) for done in completions]
        if request.prompt_logprobs is not None:
            prompt = await asyncio.to_thread(self._reader.prompt, *head, request.prompt_logprobs)
        return Reply(completions, tokens, prompt)

    async def _generate(self, prompts: list[Prompt]) -> list[Completion]:
        waiting = _Waiting(prompts, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._send()
        return await waiting.answer

    def _send(self) -> None:
        """Start batches as long as requests wait and the engine has room; a request is never split."""
        while self._queue and len(self._running) < self.engine.parallel:
            batch, size = [self._queue.popleft()], 0
            while self._queue and (size := size + len(batch[-1].prompts)) < self.engine.batch:
                batch.append(self._queue.popleft())
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._send()

    async def _run(self, batch: Sequence[_Waiting]) -> None:
        try:
            done = iter(await self.engine.generate([prompt for waiting in batch for prompt in waiting.prompts]))
            for waiting in batch:
                mine = [next(done) for _ in waiting.prompts]
                if not waiting.answer.done():  # a client that went away has cancelled it
                    waiting.answer.set_result(mine)
        except Exception as error:
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
        finally:
            for waiting in batch:
                waiting.answer.cancel()


class _Waiting(NamedTuple):
    """A request that is queued or running."""

    prompts: list[Prompt]
    answer: asyncio.Future[list[Completion]]


def words(text: str) -> int:
    """Count words, for judges without tokens."""
    return len(text.split())


def _or(value: float | None, default: float) -> float:
    return default if value is None else value

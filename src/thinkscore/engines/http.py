"""`http://HOST/v1?model=NAME`: any OpenAI-compatible server, or a pool of them: prompt -> ENGINE -> completion.

Votes that differ in their sample only are drawn by one request (`n`); then the unit that a seed fixes is (request seed,
choice), and the completion says which it is (`drawn`). What failed for good is a completion with an error. A call is
announced in the turn of the loop in which it is sent, not when it starts to wait.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import cached_property
from itertools import groupby
from math import ceil
from typing import Any

import msgspec

from ..errors import BadInput, EngineUnavailable
from ..types import Completion, Failure, Message, Prompt, Usage
from . import _forced
from ._address import read_address
from ._asked import ask
from ._base import Announce, Deliver, Engine
from ._chat import Dialect, Problem, body, overflow, read_reply, too_long
from ._classify import Classify, classify
from ._preflight import preflight
from ._transport import Request, Transport

__all__ = ["Http"]

LETTERS = 4
"""Characters per token, for limits per minute."""
AHEAD = 1.5
"""What is handed over for each place at a server, so that none waits for us."""
LEAST = 8
"""Cases refused in the same words, however few requests are under way, that end a run."""


class Http(Engine):
    """Asks servers, many requests at a time."""

    batch = 64

    def __init__(self, rest: str = "") -> None:
        super().__init__(rest)
        self._address = read_address(rest)
        options = self._address.options
        places = options.concurrency * len(self._address.urls)
        self.parallel = ceil(AHEAD * places * options.n / self.batch)
        # Errors of single requests come back at once, good answers late: a full house of them proves nothing yet.
        self.breaker = max(LEAST, 2 * places)
        self.most = options.n
        self.dialect = Dialect(model=options.model)
        self.transport = Transport(self._address, _announce)

    @property
    def identity(self) -> str:
        """The model's name with what changes its answers; known after `open`."""
        return self._address.identity(self.dialect.model)

    @property
    def model(self) -> str:
        return self.dialect.model

    async def open(self) -> None:
        """Check every server; those that are not there are left out as long as one is.

        Raises `EngineUnavailable` with what is wrong and what to do.
        """
        session = self.transport.open()
        try:
            asked = [preflight(session, server.url, self._address) for server in self.transport.servers]
            self.dialect = _agreed(await asyncio.gather(*asked, return_exceptions=True))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self.transport.close()

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        completions: dict[int, Completion] = {}
        await self.stream(prompts, lambda places: None, completions.__setitem__)
        return [completions[place] for place in range(len(prompts))]

    async def stream(self, prompts: Sequence[Prompt], announce: Announce, deliver: Deliver) -> None:
        batch = _Batch(len(prompts), announce, deliver)
        self.transport.submit([request for whole in self._chats(prompts, batch) for request in whole.split(self.most)])
        await batch.wait()

    async def logprobs(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[float]:
        """Sum the natural log-probabilities of `continuations[i]` after prompt i and its prefill (vLLM only).

        Raises `BadInput` for a server that gives none, and `EngineUnavailable` if it fails for good.
        """
        if self.dialect.name != "vllm":
            raise BadInput(
                "only vLLM gives the log-probability of a text; add dialect=vllm to the address if it is one"
            )
        pairs = zip(prompts, continuations, strict=True)
        return list(await asyncio.gather(*(self._forced(prompt, text) for prompt, text in pairs)))

    async def values(self, conversations: Sequence[Sequence[Message]]) -> list[float | Failure]:
        """Score whole conversations with the scalar head that the server has, through its `/classify`."""
        way = self._way
        chunks = [conversations[i : i + way.many] for i in range(0, len(conversations), way.many)]
        return [value for values in await asyncio.gather(*map(self._values, chunks)) for value in values]

    async def _forced(self, prompt: Prompt, text: str) -> float:
        model = self.dialect.model
        begin, end = await asyncio.gather(
            ask(self.transport, "/tokenize", _forced.head(prompt, model), _forced.read_head),
            ask(self.transport, "chat/completions", _forced.whole(prompt, text, model), _forced.read_whole),
        )
        for answer in (begin, end):
            if isinstance(answer, Problem):
                found = overflow(answer.message)
                raise BadInput(too_long(found, self.dialect) if found else answer.message)
        assert not isinstance(begin, Problem) and not isinstance(end, Problem)
        return _forced.total(begin, *end, text)

    async def _values(self, conversations: Sequence[Sequence[Message]]) -> list[float | Failure]:
        way, count = self._way, len(conversations)
        body = way.body(self.dialect.model, conversations)
        values = await ask(self.transport, way.path, body, lambda reply: way.values(reply, count))
        if not isinstance(values, Problem):
            return list(values)
        if count > 1:  # one bad item must spoil no other
            return [value for one in conversations for value in await self._values([one])]
        found = overflow(values.message)
        return [
            Failure("too_long", too_long(found, self.dialect)) if found else Failure("engine_error", values.message)
        ]

    @cached_property
    def _way(self) -> Classify:
        options = self._address.options
        return classify(_WAYS.get(options.values) or _WAYS.get(self.dialect.name) or "vllm", options.tokenizer)

    def body(self, prompts: Sequence[Prompt], tokens: int) -> bytes:
        """Write the request for prompts that differ in their sample only."""
        return body(prompts, self._address, self.dialect, tokens)

    def _chats(self, prompts: Sequence[Prompt], batch: _Batch) -> list[_Chat]:
        """Put what one request can draw together; what cannot be asked is answered at once."""
        groups: dict[object, list[int]] = {}
        for place, prompt in enumerate(prompts):
            if prompt.prefill and not self._continues():
                error = "the server is not known to continue a begun answer; if it does, add prefill=yes to its address"
                batch.give(place, Completion(finish="error", error=error))
            else:
                # Greedy answers are one answer: servers refuse to draw several.
                own = place if prompt.sampling.temperature == 0 else 0
                groups.setdefault((prompt.messages, prompt.prefill, prompt.sampling, prompt.tops, own), []).append(
                    place
                )
        return [_Chat(self, batch, places, [prompts[place] for place in places]) for places in groups.values()]

    def _continues(self) -> bool:
        declared = self._address.options.prefill
        return declared == "yes" or (declared == "auto" and self.dialect.name != "openai")


class _Batch:
    """Prompts that came together, and who waits for them."""

    def __init__(self, count: int, announce: Announce, deliver: Deliver) -> None:
        self.announce, self._deliver, self._left = announce, deliver, count
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not count:
            self._done.set_result(None)

    async def wait(self) -> None:
        """Wait until every prompt is answered."""
        await self._done

    def open(self) -> bool:
        """Tell whether somebody waits."""
        return not self._done.done()

    def give(self, place: int, completion: Completion) -> None:
        """Pass on one completion."""
        self._deliver(place, completion)
        self._left -= 1
        if not self._left and self.open():
            self._done.set_result(None)

    def fail(self, error: Exception) -> None:
        """Pass on an error that is about no single prompt."""
        if self.open():
            self._done.set_exception(error)


class _Chat(Request):
    """Prompts that differ in their sample only."""

    def __init__(
        self, engine: Http, batch: _Batch, places: list[int], prompts: list[Prompt], limit: int | None = None
    ) -> None:
        self.engine, self.batch, self.places, self.prompts = engine, batch, places, prompts
        most, reads = prompts[0].sampling.max_tokens, engine.dialect.reads
        # What is more than the model reads in all is no length at all: the server takes what the prompt leaves.
        self.limit = limit if limit is not None else 0 if reads and most >= reads else most
        self.tokens = sum(len(message.content) for message in prompts[0].messages) / LETTERS

    def data(self) -> bytes:
        return self.engine.body(self.prompts, self.limit)

    def read(self, content: bytes) -> list[Completion] | Problem:
        return read_reply(content, self.prompts)

    def wanted(self) -> bool:
        return self.batch.open()

    def end(self, result: list[Completion] | Problem | Exception) -> None:
        if isinstance(result, Exception):
            self.batch.fail(result)
        elif isinstance(result, Problem):
            self._failed(result)
        else:
            self._answered(result)

    def split(self, size: int, start: int = 0) -> list[_Chat]:
        """Share out the prompts from `start` over requests of `size` at most."""
        if not start and size >= len(self.prompts):
            return [self]
        return [
            _Chat(self.engine, self.batch, self.places[i : i + size], self.prompts[i : i + size], self.limit)
            for i in range(start, len(self.places), size)
        ]

    def _answered(self, completions: Sequence[Completion]) -> None:
        paid = sum((completion.usage for completion in completions), Usage())
        guess = self.tokens if paid.prompt_tokens else 0
        self.engine.transport.used(paid.prompt_tokens - guess + paid.completion_tokens)
        several, seed = len(self.prompts) > 1, self.prompts[0].seed
        for choice, (place, completion) in enumerate(zip(self.places, completions, strict=False)):
            if several:
                completion = msgspec.structs.replace(completion, drawn=(seed, choice))
            self.batch.give(place, completion)
        if len(completions) < len(self.prompts):  # the server draws no more at a time
            self.engine.most = len(completions)
            self._resume(self.split(len(completions), len(completions)))

    def _failed(self, problem: Problem) -> None:
        """Ask in a way that fits, or give every prompt its error."""
        found = overflow(problem.message)
        room = found.room(self.limit) if found else None
        if room is not None:  # the prompt fits: the answer gets what is left
            self.limit = room
            self._resume([self])
        elif len(self.prompts) > 1 and _ABOUT_N.search(problem.message):
            self.engine.most = 1
            self._resume(self.split(1))
        else:
            error = too_long(found, self.engine.dialect) if found else problem.message
            for place in self.places:
                self.batch.give(place, Completion(finish="error", error=error))

    def _resume(self, requests: Sequence[_Chat]) -> None:
        """Go on with something that was announced already."""
        for request in requests:
            request.attempts, request.started = self.attempts, self.started
        self.engine.transport.submit(requests, first=True)


def _announce(requests: Sequence[Request]) -> None:
    """Announce what is sent, with one write for each batch."""
    chats = [request for request in requests if isinstance(request, _Chat)]
    for batch, group in groupby(chats, key=lambda chat: chat.batch):
        batch.announce([place for chat in group for place in chat.places])


def _agreed(found: Sequence[Any]) -> Dialect:
    """Return what the servers say of the model, the least of what they read; raise if none is there."""
    dialects = [item for item in found if isinstance(item, Dialect)]
    for item in found:
        if isinstance(item, BaseException) and (not dialects or not isinstance(item, EngineUnavailable)):
            raise item
    names = sorted({dialect.model for dialect in dialects})
    if len(names) > 1:
        raise EngineUnavailable(
            f"the servers of a pool must serve one model; got {', '.join(names)}; name it with ?model="
        )
    return min(dialects, key=lambda dialect: dialect.reads or 2**63)


_WAYS = {"vllm": "vllm", "sglang": "sglang"}
_ABOUT_N = re.compile(r"\bn must be|['`\"]n['`\"]|\bn ?> ?1\b|only one (?:choice|completion)", re.IGNORECASE)

"""`http://HOST/v1?model=NAME`: any OpenAI-compatible server, or a pool of them: prompt -> ENGINE -> completion.

Votes that differ in their sample only are drawn by one request (`n`); then the unit that a seed fixes is (request seed,
choice), and the completion says which it is (`drawn`). A request is retried with jittered back-off, at another server
of the pool where there is one; what failed for good is a completion with an error. Requests wait here, not in the
journal: a call is announced in the turn of the loop in which it is sent.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import deque
from collections.abc import Sequence
from itertools import groupby
from math import ceil

import aiohttp
import msgspec

from ..errors import BadInput, EngineUnavailable
from ..types import Completion, Message, Prompt
from ._address import read_address
from ._base import Announce, Deliver, Engine
from ._chat import Dialect, Problem, body, overflow, read_reply, too_long
from ._pace import Rate
from ._preflight import preflight
from ._servers import Server

__all__ = ["Http"]

FATAL = 8
"""Errors about the server or the key, in a row, that end a run."""
LONGEST_BACKOFF = 30.0
LETTERS = 4
"""Characters per token, for limits per minute before the server has counted."""


class _Batch:
    """Prompts that came together, and who waits for them."""

    def __init__(self, count: int, announce: Announce, deliver: Deliver) -> None:
        self.announce, self._deliver, self._left = announce, deliver, count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tasks: set[asyncio.Task[None]] = set()

    def give(self, place: int, completion: Completion) -> None:
        """Pass on one completion."""
        self._deliver(place, completion)
        self._left -= 1
        if not self._left and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """Pass on an error that is about no single prompt."""
        if not self.done.done():
            self.done.set_exception(error)


class _Job(msgspec.Struct):
    """One request: prompts that differ in their sample only."""

    batch: _Batch
    places: list[int]
    prompts: list[Prompt]
    attempts: int = 0
    started: float = 0.0
    limit: int | None = None
    """Most tokens to write, once the server has said how many are left."""

    def letters(self) -> int:
        return sum(len(message.content) for message in self.prompts[0].messages)

    def split(self, size: int) -> list[_Job]:
        """Share out the prompts over requests of `size` at most."""
        starts = range(0, len(self.places), size)
        return [
            msgspec.structs.replace(self, places=self.places[i : i + size], prompts=self.prompts[i : i + size])
            for i in starts
        ]


class Http(Engine):
    """Asks servers, many requests at a time."""

    batch = 64

    def __init__(self, rest: str = "") -> None:
        super().__init__(rest)
        self._address = read_address(rest)
        options = self._address.options
        self._most = options.n
        # A little more than is sent at a time, so that no free place waits for the journal.
        self.parallel = ceil(1.5 * options.concurrency * len(self._address.urls) * options.n / self.batch)
        # Errors of single requests come back at once, good answers late: a full house of them proves nothing yet.
        self.breaker = 2 * options.concurrency * len(self._address.urls)
        self._fatal = 0
        self._servers = [Server(url, options.concurrency) for url in self._address.urls]
        self._dialect = Dialect(model=options.model)
        self._backlog: deque[_Job] = deque()
        self._requests, self._tokens = Rate(options.rpm), Rate(options.tpm)
        self._session: aiohttp.ClientSession | None = None
        self._due = False

    @property
    def identity(self) -> str:
        """The model's name with what changes its answers; known after `open`."""
        return self._address.identity(self._dialect.model)

    @property
    def model(self) -> str:
        return self._dialect.model

    async def open(self) -> None:
        """Check every server; those that are not there are left out as long as one is.

        Raises `EngineUnavailable` with what is wrong and what to do.
        """
        options, key = self._address.options, self._address.api_key()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        timeout = aiohttp.ClientTimeout(options.timeout, sock_connect=options.connect, sock_read=options.read)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=timeout,
        )
        try:
            await self._preflight(self._session)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Drop what waits and close all connections."""
        self._backlog.clear()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        completions: dict[int, Completion] = {}
        await self.stream(prompts, lambda places: None, completions.__setitem__)
        return [completions[place] for place in range(len(prompts))]

    async def stream(self, prompts: Sequence[Prompt], announce: Announce, deliver: Deliver) -> None:
        if not prompts:
            return
        batch = _Batch(len(prompts), announce, deliver)
        self._backlog += self._jobs(prompts, batch)
        self._soon()
        try:
            await batch.done
        finally:
            batch.done.cancel()
            for task in batch.tasks:
                task.cancel()

    async def _preflight(self, session: aiohttp.ClientSession) -> None:
        asked = [preflight(session, server.url, self._address) for server in self._servers]
        found = await asyncio.gather(*asked, return_exceptions=True)
        dialects = [item for item in found if isinstance(item, Dialect)]
        for item in found:
            if isinstance(item, BaseException) and (not dialects or not isinstance(item, EngineUnavailable)):
                raise item
        if len({dialect.model for dialect in dialects}) > 1:
            raise EngineUnavailable(f"the servers of a pool serve one model; got {[d.model for d in dialects]}")
        least = min(dialects, key=lambda dialect: dialect.reads or 2**63)
        self._dialect = least

    def _jobs(self, prompts: Sequence[Prompt], batch: _Batch) -> list[_Job]:
        """Put what one request can draw together; what cannot be asked is answered at once."""
        groups: dict[object, list[int]] = {}
        for place, prompt in enumerate(prompts):
            if prompt.prefill and not self._continues():
                error = "the server is not known to continue a begun answer; if it does, add prefill=yes to its address"
                batch.give(place, Completion(finish="error", error=error))
            else:
                # Greedy answers are one answer: servers refuse to draw several.
                own = place if prompt.sampling.temperature == 0 else 0
                groups.setdefault((prompt.messages, prompt.prefill, prompt.sampling, own), []).append(place)
        whole = [_Job(batch, places, [prompts[place] for place in places]) for places in groups.values()]
        return [job for jobs in whole for job in jobs.split(self._most)]

    def _continues(self) -> bool:
        declared = self._address.options.prefill
        return declared == "yes" or (declared == "auto" and self._dialect.name != "openai")

    def _soon(self) -> None:
        """Send what can be sent, once the answers that this turn of the loop brings are all in."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._due = False
        loop = asyncio.get_running_loop()
        now = loop.time()
        ready: list[tuple[_Job, Server]] = []
        while self._backlog:
            if self._backlog[0].batch.done.done():
                self._backlog.popleft()
            elif wait := max(self._requests.wait(now), self._tokens.wait(now)):
                loop.call_later(wait, self._soon)
                break
            elif server := self._free(now):
                job = self._backlog.popleft()
                server.throttle.start()
                self._requests.take(1, now)
                self._tokens.take(job.letters() / LETTERS, now)
                ready.append((job, server))
            else:
                break
        self._announced(ready)
        for job, server in ready:
            job.started = job.started or now
            job.attempts += 1
            task = loop.create_task(self._attempt(job, server))
            job.batch.tasks.add(task)
            task.add_done_callback(job.batch.tasks.discard)

    def _announced(self, ready: Sequence[tuple[_Job, Server]]) -> None:
        """Announce what is sent for the first time, with one write for each batch."""
        for batch, jobs in groupby((job for job, _ in ready if not job.attempts), key=lambda job: job.batch):
            batch.announce([place for job in jobs for place in job.places])

    def _free(self, now: float) -> Server | None:
        """Return the least loaded server that takes a request; if all rest, come back when the first wakes."""
        free = [server for server in self._servers if server.free(now)]
        if free:
            return free[0] if len(free) == 1 else min(free, key=lambda server: server.throttle.load())
        asleep = [server.asleep_until - now for server in self._servers if server.asleep_until > now]
        if asleep:
            asyncio.get_running_loop().call_later(min(asleep), self._soon)
        return None

    async def _attempt(self, job: _Job, server: Server) -> None:
        """Send a request once; pass on what came, or see to it that it is sent again."""
        assert self._session is not None
        loop = asyncio.get_running_loop()
        problem: Problem | None = Problem("cancelled")
        try:
            data = body(job.prompts, self._address, self._dialect, job.limit)
            answer = await server.post(self._session, server.chat, data)
            read = answer if isinstance(answer, Problem) else read_reply(answer, job.prompts)
            problem = read if isinstance(read, Problem) else None
            if isinstance(read, Problem):
                self._failed(job, read)
            else:
                self._tokens.take(sum(c.usage.completion_tokens for c in read), loop.time())
                self._deliver(job, read)
        except Exception as error:  # whoever asked must not wait for ever
            job.batch.fail(error)
        finally:
            server.note(problem, loop.time())
            self._soon()

    def _deliver(self, job: _Job, completions: Sequence[Completion]) -> None:
        self._fatal = 0
        several, seed = len(job.prompts) > 1, job.prompts[0].seed
        for choice, (place, completion) in enumerate(zip(job.places, completions, strict=False)):
            if several:
                completion = msgspec.structs.replace(completion, drawn=(seed, choice))
            job.batch.give(place, completion)
        came = len(completions)
        if came < len(job.prompts):  # the server draws no more at a time
            self._most = came
            rest = msgspec.structs.replace(job, places=job.places[came:], prompts=job.prompts[came:])
            self._again(rest.split(came))

    def _failed(self, job: _Job, problem: Problem) -> None:
        """Ask again later, in a way that fits, or give every prompt of a request its error."""
        loop, options = asyncio.get_running_loop(), self._address.options
        found = overflow(problem.message)
        if found and found.prompt and found.reads and found.prompt < found.reads and job.limit is None:
            job.limit = found.reads - found.prompt  # the prompt fits: the answer gets what is left
            return self._again([job])
        if len(job.prompts) > 1 and _ABOUT_N.search(problem.message):
            self._most = 1
            return self._again(job.split(1))
        pause = max(problem.after, min(LONGEST_BACKOFF, options.backoff * 2**job.attempts) * random.random())
        if problem.retry and job.attempts <= options.retries and loop.time() + pause < job.started + options.total:
            loop.call_later(pause, self._again, [job])
            return None
        self._fatal = self._fatal + 1 if problem.fatal else 0
        if self._fatal >= FATAL:
            raise EngineUnavailable(f"{self._fatal} requests in a row failed: {problem.message}")
        error = too_long(found, self._dialect) if found else problem.message
        for place in job.places:
            job.batch.give(place, Completion(finish="error", error=error))
        return None

    def _again(self, jobs: Sequence[_Job]) -> None:
        self._backlog.extendleft(jobs)
        self._soon()

    async def values(self, conversations: Sequence[Sequence[Message]]) -> list[float]:
        raise BadInput("not yet")


_ABOUT_N = re.compile(r"\bn must be|['`\"]n['`\"]|\bn ?> ?1\b|only one (?:choice|completion)", re.IGNORECASE)

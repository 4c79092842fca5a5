"""Sends requests to a pool of servers: pace, limits per minute, retries with jittered back-off, failover.

A request waits here until a server takes it, is sent again where that may help, and ends exactly once: with what was
read from the answer, or with the problem. Problems about the server or the key, one after another, end everything.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp

from ..errors import EngineUnavailable
from ._address import Address
from ._chat import Problem
from ._pace import Rate
from ._servers import Server

__all__ = ["Request", "Transport"]

FATAL = 8
"""Problems about the server or the key, in a row, that end a run."""
LONGEST_BACKOFF = 30.0


class Request(ABC):
    """One thing to ask a server."""

    path: str = "chat/completions"
    """Below the server's base address; from its root if it starts with a slash."""
    attempts = 0
    started = 0.0
    tokens: float = 0.0
    """Roughly what it makes the server read, for limits per minute."""

    @abstractmethod
    def data(self) -> bytes:
        """Write the body."""

    @abstractmethod
    def read(self, content: bytes) -> Any:
        """Read the answer, or return a `Problem`."""

    @abstractmethod
    def end(self, result: Any) -> None:
        """Take what was read, the `Problem` that no attempt got over, or the exception that ends the run."""

    @abstractmethod
    def wanted(self) -> bool:
        """Tell whether anybody still waits for it."""


class Transport:
    """Lives in one event loop, between `open` and `close`; `announce` gets what is sent for the first time."""

    def __init__(self, address: Address, announce: Callable[[Sequence[Request]], None]) -> None:
        self._options, self._address, self._announce = address.options, address, announce
        self.servers = [Server(url, address.options.concurrency) for url in address.urls]
        self.session: aiohttp.ClientSession | None = None
        self._requests, self._tokens = Rate(address.options.rpm), Rate(address.options.tpm)
        self._backlog: deque[Request] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers: list[tuple[Request, bytes | Problem]] = []
        self._fatal = 0
        self._due = False

    def open(self) -> aiohttp.ClientSession:
        """Make the session; nothing is sent. Raises `BadInput` if the key's variable is missing."""
        options, key = self._options, self._address.api_key()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=aiohttp.ClientTimeout(
                options.timeout,
                sock_connect=options.connect,
                sock_read=options.read if options.read < options.timeout else None,  # a timer per answer saved
            ),
        )
        return self.session

    async def close(self) -> None:
        """Drop what waits, cancel what runs, close all connections."""
        self._backlog.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._work_off()  # what came is kept, whoever is gone
        session, self.session = self.session, None
        if session is not None:
            await session.close()

    def submit(self, requests: Sequence[Request], *, first: bool = False) -> None:
        """Queue requests; those that go on with something begun come first."""
        self._backlog.extendleft(reversed(requests)) if first else self._backlog.extend(requests)
        self._soon()

    def used(self, tokens: float) -> None:
        """Count tokens that a server wrote."""
        self._tokens.take(tokens, asyncio.get_running_loop().time())

    def _soon(self) -> None:
        """Send what can be sent, once the answers that this turn of the loop brings are all in."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._due = False
        loop = asyncio.get_running_loop()
        now = loop.time()
        ready: list[tuple[Request, Server]] = []
        while self._backlog:
            request = self._backlog[0]
            if request.wanted():
                server = self._free(now)
                if server is None:
                    break
                ready.append((request, server))
                server.throttle.start()
                self._requests.take(1, now)
                self._tokens.take(request.tokens, now)
            self._backlog.popleft()
        if ready and self._announced([request for request, _ in ready if not request.attempts]):
            for request, server in ready:
                request.started = request.started or now
                request.attempts += 1
                task = loop.create_task(self._attempt(request, server))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        if self._answers:
            loop.call_soon(self._work_off)

    def _announced(self, new: Sequence[Request]) -> bool:
        """Tell of what is sent for the first time; if that fails nothing is sent."""
        try:
            if new:
                self._announce(new)
        except Exception as error:
            self._stop(error, new)
            return False
        return True

    def _free(self, now: float) -> Server | None:
        """Return the least loaded server that takes a request; if there is none, come back when that may change."""
        wait = max(self._requests.wait(now), self._tokens.wait(now))
        free = [server for server in self.servers if server.free(now)]
        if free and not wait:
            return free[0] if len(free) == 1 else min(free, key=lambda server: server.throttle.load())
        asleep = [server.asleep_until - now for server in self.servers if server.asleep_until > now]
        if wait or asleep:
            asyncio.get_running_loop().call_later(wait or min(asleep), self._soon)
        return None

    async def _attempt(self, request: Request, server: Server) -> None:
        """Send a request once and put the answer down; places that are free now are filled before it is worked on."""
        assert self.session is not None
        answer: bytes | Problem = Problem("cancelled")
        try:
            answer = await server.post(self.session, request.path, request.data())
            self._answers.append((request, answer))
        except Exception as error:
            self._stop(error, [request])
        finally:
            server.note(answer if isinstance(answer, Problem) else None, asyncio.get_running_loop().time())
            self._soon()

    def _work_off(self) -> None:
        """Work on the answers that are there: end each request, or see to it that it is sent again."""
        answers, self._answers = self._answers, []
        for request, answer in answers:
            try:
                self._take(request, answer)
            except Exception as error:
                self._stop(error, [request])

    def _take(self, request: Request, answer: bytes | Problem) -> None:
        result = answer if isinstance(answer, Problem) else request.read(answer)
        if not isinstance(result, Problem):
            self._fatal = 0
        elif self._try_again(request, result):
            return
        elif result.fatal:
            self._fatal += 1
            if self._fatal >= FATAL:
                raise EngineUnavailable(f"{self._fatal} requests in a row failed: {result.message}")
        request.end(result)

    def _try_again(self, request: Request, problem: Problem) -> bool:
        """Put a request back after a pause, if that may help and there is time."""
        options, loop = self._options, asyncio.get_running_loop()
        jittered = random.random() * min(LONGEST_BACKOFF, options.backoff * 2**request.attempts)
        pause = max(problem.after, jittered)
        late = loop.time() + pause > request.started + options.total
        if not problem.retry or late or request.attempts > options.retries:
            return False
        loop.call_later(pause, lambda: self.submit([request], first=True))
        return True

    def _stop(self, error: Exception, requests: Sequence[Request]) -> None:
        """End requests, and everything that waits, with the error that ends the run."""
        waiting = [*requests, *self._backlog]
        self._backlog.clear()
        for request in waiting:
            request.end(error)

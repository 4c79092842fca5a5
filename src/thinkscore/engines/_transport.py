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
from math import inf
from typing import Any

import aiohttp

from ..errors import EngineUnavailable
from ._address import Address
from ._chat import Problem
from ._pace import Rate
from ._servers import Server

__all__ = ["Request", "Transport"]

FATAL = 8
"""Problems about the server or the key, in a row at every server, that end a run."""
LONGEST_BACKOFF = 30.0
CLOSED = "the engine is closed"


class Request(ABC):
    """One thing to ask a server."""

    path: str = "chat/completions"
    """Below the server's base address; from its root if it starts with a slash."""
    attempts = 0
    started = 0.0
    tokens: float = 0.0
    """Roughly what it makes the server read, for limits per minute."""
    avoid: Server | None = None
    """Where it failed last: another server of the pool is asked first."""

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
        self._tasks: dict[asyncio.Task[None], Request] = {}
        self._pauses: dict[Request, asyncio.TimerHandle] = {}
        self._answers: list[tuple[Request, Server, bytes | Problem]] = []
        self._alarm: asyncio.TimerHandle | None = None
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
        """Cancel what runs, end it and what waits with an error, close all connections."""
        session, self.session = self.session, None
        running = dict(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._work_off()  # what came is kept, whoever is gone
        self._stop(EngineUnavailable(CLOSED), list(running.values()))
        if self._alarm is not None:
            self._alarm.cancel()
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
        if self.session is None:
            self._stop(EngineUnavailable(CLOSED), [])
            return
        ready = self._ready(now)
        if ready and self._announced(ready):
            for request, server in ready:
                request.started = request.started or now
                request.attempts += 1
                task = loop.create_task(self._attempt(self.session, request, server))
                self._tasks[task] = request
                task.add_done_callback(self._tasks.pop)
        if self._answers:
            loop.call_soon(self._work_off)

    def _ready(self, now: float) -> list[tuple[Request, Server]]:
        """Take what can be sent now off the queue; for the rest, come back when that may change."""
        ready: list[tuple[Request, Server]] = []
        held: list[Request] = []
        wait = self._wait(now)
        while self._backlog and not wait:
            request = self._backlog.popleft()
            if not request.wanted():
                continue
            server = self._free(now, request.avoid)
            if server is not None:
                ready.append((request, server))
                server.throttle.start()
                self._requests.take(1, now)
                self._tokens.take(request.tokens, now)
                wait = self._wait(now)
            else:
                held.append(request)
                if not any(server.free(now) for server in self.servers):
                    break  # else there is room, but where this one failed
        self._backlog.extendleft(reversed(held))
        if self._backlog:
            self._come_back(wait, now)
        return ready

    def _announced(self, ready: Sequence[tuple[Request, Server]]) -> bool:
        """Tell of what is sent for the first time; if that fails nothing is sent."""
        new = [request for request, _ in ready if not request.attempts]
        try:
            if new:
                self._announce(new)
        except Exception as error:
            for _, server in ready:
                server.throttle.end(False)
            self._stop(error, [request for request, _ in ready])
            return False
        return True

    def _wait(self, now: float) -> float:
        return max(self._requests.wait(now), self._tokens.wait(now))

    def _come_back(self, wait: float, now: float) -> None:
        """Try again when the limits allow it, or the first server has rested."""
        asleep = [server.asleep_until - now for server in self.servers if server.asleep_until > now]
        if self._alarm is not None:
            self._alarm.cancel()
        if wait or asleep:
            self._alarm = asyncio.get_running_loop().call_later(wait or min(asleep), self._soon)

    def _free(self, now: float, avoid: Server | None) -> Server | None:
        """Return the least loaded server that takes a request; one to avoid only if no other is awake."""
        servers = self.servers
        if avoid is not None:
            servers = [one for one in servers if one is not avoid and one.asleep_until <= now] or servers
        free = [server for server in servers if server.free(now)]
        return min(free, key=lambda server: server.throttle.load()) if len(free) > 1 else next(iter(free), None)

    async def _attempt(self, session: aiohttp.ClientSession, request: Request, server: Server) -> None:
        """Send a request once and put the answer down; places that are free now are filled before it is worked on."""
        answer: bytes | Problem = Problem("cancelled")
        try:
            answer = await server.post(session, request.path, request.data())
            self._answers.append((request, server, answer))
        except Exception as error:
            self._stop(error, [request])
        finally:
            server.note(answer if isinstance(answer, Problem) else None, asyncio.get_running_loop().time())
            self._soon()

    def _work_off(self) -> None:
        """Work on the answers that are there: end each request, or see to it that it is sent again."""
        answers, self._answers = self._answers, []
        for request, server, answer in answers:
            try:
                self._take(request, server, answer)
            except Exception as error:
                self._stop(error, [request])

    def _take(self, request: Request, server: Server, answer: bytes | Problem) -> None:
        result = answer if isinstance(answer, Problem) else request.read(answer)
        if not isinstance(result, Problem):
            server.refused = 0
        else:
            again = self._try_again(request, server, result)
            # What may pass counts once no attempt got over it.
            server.refused += result.fatal and not (again and result.retry)
            if again:
                return
            now = asyncio.get_running_loop().time()
            if result.fatal and server.refused >= FATAL and not self._elsewhere(server, now):
                raise EngineUnavailable(f"{server.refused} requests in a row failed: {result.message}")
        request.end(result)

    def _elsewhere(self, server: Server, now: float) -> bool:
        """Tell whether another server is awake by `now` and does not refuse everything."""
        others = (other for other in self.servers if other is not server)
        return any(other.refused < FATAL and other.asleep_until <= now for other in others)

    def _try_again(self, request: Request, server: Server, problem: Problem) -> bool:
        """Put a request back after a pause, if that may help, there or at another server, and there is time."""
        options, loop = self._options, asyncio.get_running_loop()
        jittered = random.random() * min(LONGEST_BACKOFF, options.backoff * 2 ** min(request.attempts, 16))
        pause = max(problem.after, jittered)
        late = loop.time() + pause > request.started + options.total
        helps = problem.retry or (problem.fatal and self._elsewhere(server, inf))
        if not helps or late or request.attempts > options.retries:
            return False
        request.avoid = server
        self._pauses[request] = loop.call_later(pause, self._resume, request)
        return True

    def _resume(self, request: Request) -> None:
        del self._pauses[request]
        self.submit([request], first=True)

    def _stop(self, error: Exception, requests: Sequence[Request]) -> None:
        """End requests, and everything that waits, with the error that ends the run."""
        waiting = [*requests, *self._pauses, *self._backlog]
        for pause in self._pauses.values():
            pause.cancel()
        self._pauses.clear()
        self._backlog.clear()
        for request in waiting:
            request.end(error)

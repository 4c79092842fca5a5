"""The server itself: its judge, routes and faults, what it has sent, and a thread of its own for sync code."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from aiohttp import web

from ...engines._base import Engine
from ...errors import BadInput
from ...judge import make_engine
from ...seeds import derive_seed
from ._behind import Behind, EngineBehind, Value
from ._endpoints import Content, Endpoints
from ._faults import Faults, Record, spread
from ._scripted import Answer, Scripted
from ._sending import fail, not_found, plain, refuse, send
from ._wire import Refusal

__all__ = ["Server", "serve_in_thread"]

_HTML = Content(b"<!DOCTYPE html>\n<html><body><h1>Welcome</h1></body></html>\n", "text/html")
_LARGEST = 2**26
"""Bytes of a request."""
_GRACE = 0.02
"""Seconds that a request may go on for when the server stops."""


class Server:
    """An OpenAI-compatible server with a judge behind it, for tests and to try things without a model.

    `engine` (a URI or an object) generates; without one a script answers: `answer` is a text or a function of
    (request, number of the choice), or None for a verdict in the protocol that the messages ask for (or `protocol`
    names). `value` is the scalar head behind `/classify`. `owner` is what the list of models says the server is:
    clients tell servers apart by it. `faults` and `latency` (seconds, or bounds to draw from) derive from `seed`.
    `reasoning` names the field that gets what stands in <think>. With `html` every answer is a web page. Use it as
    `async with Server(...) as server`, or with `serve_in_thread`. Raises `BadInput`.
    """

    def __init__(
        self,
        *,
        engine: str | Engine | None = None,
        answer: Answer | None = None,
        protocol: str | None = None,
        value: Value | None = None,
        model: str = "judge",
        owner: str = "vllm",
        faults: Faults | str = "",
        seed: int = 0,
        latency: float | tuple[float, float] = 0.0,
        api_key: str | None = None,
        max_model_len: int | None = None,
        reasoning: str | None = None,
        html: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if engine is not None and answer is not None:
            raise BadInput("got an engine and an answer; a server has one judge: give one of the two")
        if reasoning not in (None, "reasoning", "reasoning_content"):
            raise BadInput(f"got reasoning={reasoning!r}; accepted are 'reasoning' and 'reasoning_content'")
        made = make_engine(engine) if isinstance(engine, str) else engine
        self._judge: Behind = EngineBehind(made, protocol, value) if made else Scripted(answer, protocol, value)
        self._faults = Faults.parse(faults) if isinstance(faults, str) else faults
        self._model, self._seed, self._latency, self._api_key, self._html = model, seed, latency, api_key, html
        self._host, self._port = host, port
        self._runner: web.ServerRunner | None = None
        endpoints = Endpoints(self._judge, model, owner, max_model_len, reasoning)
        self._models = endpoints.models
        self._posts = {
            "/v1/chat/completions": endpoints.chat,
            "/classify": endpoints.classify,
            "/v1/classify": endpoints.sglang_classify,
        }
        self.requests: dict[str, Record] = {}
        """What happened to each body that was posted, by its hash."""

    @property
    def url(self) -> str:
        """Base address, with `/v1`; known after `start`."""
        return f"http://{self._host}:{self._port}/v1"

    @property
    def uri(self) -> str:
        """Address and model, as an engine's URI."""
        return f"{self.url}?model={self._model}"

    async def start(self) -> None:
        """Open the judge and listen. Raises `BadInput` if the port is taken, and what the engine raises."""
        await self._judge.open()
        server = web.Server(
            self._handle, request_factory=_request, handler_cancellation=True, access_log=None, keepalive_timeout=600.0
        )  # fmt: skip
        self._runner = web.ServerRunner(server, shutdown_timeout=_GRACE)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port, backlog=1024).start()
        except OSError as error:
            await self.stop()
            raise BadInput(f"cannot listen on {self._host}:{self._port} ({error}); give another port") from error
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Drop what is running, release the port and close the judge."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self._judge.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._html:
            return plain(_HTML)
        if request.method == "POST" and request.path in self._posts:
            return await self._post(request)
        if request.path == "/health":
            return web.Response()
        if request.path != "/v1/models":
            return not_found(request.path)
        try:
            self._check_key(request)
        except Refusal as refusal:
            return refuse(refusal)
        return plain(self._models())

    async def _post(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one post, or fail on purpose, and count what was sent."""
        body = await request.read()
        key = hashlib.blake2b(body, digest_size=8).hexdigest()
        record = self.requests.setdefault(key, Record())
        attempt, record.attempts = record.attempts, record.attempts + 1
        wait = spread(self._latency, self._seed, key, attempt)
        if wait > 0:
            await asyncio.sleep(wait)
        fault = self._faults.pick(self._seed, key, attempt)
        if fault is not None:
            record.faults.append(fault)
            failed = await fail(request, fault, self._faults, self._faults.headers(fault, self._seed, key, attempt))
            if failed is not None:
                return failed
        try:
            self._check_key(request)
            content = await self._posts[request.path](body, derive_seed(self._seed, key, attempt), fault)
        except Refusal as refusal:
            record.refused += 1
            return refuse(refusal)
        response = await send(request, content, fault, self._faults)
        record.answered += fault in (None, "slow")
        return response

    def _check_key(self, request: web.BaseRequest) -> None:
        if self._api_key is not None and request.headers.get("Authorization") != f"Bearer {self._api_key}":
            raise Refusal(401, "Incorrect API key provided.", "invalid_api_key")


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """Make a request as aiohttp does, but let it be large."""
    return web.BaseRequest(message, payload, protocol, writer, task, task.get_loop(), client_max_size=_LARGEST)


@contextmanager
def serve_in_thread(**options: Any) -> Iterator[Server]:
    """Run `Server(**options)` in a loop and thread of its own. What keeps it from starting is raised here."""
    server, loop = Server(**options), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="test server", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

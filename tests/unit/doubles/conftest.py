"""A client of the test server: a server of its own for one exchange, over a real connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from thinkscore.doubles.server import Server

HELLO = [{"role": "user", "content": "Say hello."}]

Reply = tuple[int, Any]
Ask = Callable[..., Awaitable[Reply]]
Talk = Callable[..., Any]
Once = Callable[..., Reply]
Chat = Callable[..., dict[str, Any]]


@pytest.fixture
def talk() -> Talk:
    """Start a server and hand over what posts to it: ask(path=..., **fields) -> (status, reply)."""

    def run(use: Callable[[Server, Ask], Awaitable[Any]], **options: Any) -> Any:
        async def main() -> Any:
            async with Server(**options) as server, aiohttp.ClientSession() as client:

                async def ask(path: str = "/v1/chat/completions", **fields: Any) -> Reply:
                    body = fields if "classify" in path else {"model": "judge", "messages": HELLO, **fields}
                    async with client.post(server.url.removesuffix("/v1") + path, json=body) as response:
                        return response.status, json.loads(await response.read())

                return await use(server, ask)

        return asyncio.run(main())

    return run


@pytest.fixture
def once(talk: Talk) -> Once:
    """Post one request to a server of its own."""

    def run(path: str = "/v1/chat/completions", fields: dict[str, Any] | None = None, **options: Any) -> Reply:
        reply: Reply = talk(lambda _, ask: ask(path, **fields or {}), **options)
        return reply

    return run


@pytest.fixture
def chat(once: Once) -> Chat:
    """Post one chat request, which must succeed."""

    def run(fields: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        status, reply = once(fields=fields, **options)
        assert status == 200, reply
        return dict(reply)

    return run

"""A bare aiohttp loop: post, read, decode, nothing else. What no client on this stack can be faster than."""

from __future__ import annotations

import asyncio
import json

import aiohttp
from measure import options, report, text


def main() -> None:
    """Measure."""
    given = options()

    async def ask(first: int, count: int) -> int:
        waiting = iter(range(first, first + count))
        answered = 0

        async def work(session: aiohttp.ClientSession) -> None:
            nonlocal answered
            for i in waiting:
                content = f"Which response is better?\n{text(2 * i)}\n{text(2 * i + 1)}"
                body = json.dumps({"model": "stub", "messages": [{"role": "user", "content": content}]}).encode()
                async with session.post(given.url + "/chat/completions", data=body) as response:
                    answered += bool(json.loads(await response.read())["choices"])

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(work(session) for _ in range(given.concurrency)))
        return answered

    with asyncio.Runner() as runner:
        report(lambda first, count: runner.run(ask(first, count)), given.requests)


if __name__ == "__main__":
    main()

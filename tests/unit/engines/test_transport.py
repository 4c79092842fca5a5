"""How requests are sent to a pool: failover, the end of a run, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from thinkscore.doubles.server import Faults, Server, serve_in_thread
from thinkscore.engines.http import Http
from thinkscore.errors import BadInput, EngineUnavailable
from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.types import Judgment, Message, Prompt

CASES = list(world.make(1, "test", 100))


def prompt(text: str = "Say [[A]].") -> Prompt:
    return Prompt(CASES[0], "rm_r1", (Message("user", text),), (0, 1))


def judged(*servers: Server) -> list[Judgment]:
    pool = ",".join(server.url for server in servers)
    with Judge("rm_r1", f"{pool}?model=judge&concurrency=8&backoff=0.01") as judge:
        return list(judge.judge(CASES))


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_one_bad_server_of_a_pool_spoils_nothing(status: int) -> None:
    faults = Faults.parse(f"{status}=1", retry_after=-1)
    with serve_in_thread(latency=0.02) as good, serve_in_thread(faults=faults) as bad:
        judgments = judged(good, bad)
        assert bad.requests
    assert not [judgment.failure for judgment in judgments if judgment.failure]


def test_a_pool_whose_servers_all_refuse_ends_the_run() -> None:
    with (
        serve_in_thread(faults="401=1") as one,
        serve_in_thread(faults="401=1") as two,
        pytest.raises(EngineUnavailable, match="in a row failed: HTTP 401"),
    ):
        judged(one, two)


def test_an_announcement_that_fails_ends_what_would_have_been_sent_with_it() -> None:
    def broken(places: Iterable[int]) -> None:
        raise BadInput("no space left")

    async def main() -> None:
        async with Server(faults="500=1") as server:
            engine = Http(server.uri + "&backoff=0.0001&retries=1000")
            await engine.open()
            old = asyncio.create_task(engine.stream([prompt("old")], lambda places: None, lambda place, done: None))
            await asyncio.sleep(0.05)
            while not old.done():  # until its next attempt and a new request are ready in one turn
                with pytest.raises(BadInput, match="no space left"):
                    await engine.stream([prompt("new")], broken, lambda place, done: None)
            assert isinstance(old.exception(), BadInput)
            await engine.close()

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("faults", ["stall=1", "500=1"])
def test_closing_ends_who_waits_for_an_answer_or_another_attempt(faults: str) -> None:
    async def main() -> None:
        async with Server(faults=faults) as server:
            engine = Http(server.uri + "&backoff=20&concurrency=2")
            await engine.open()
            waits = asyncio.create_task(engine.generate([prompt(str(i)) for i in range(5)]))
            await asyncio.sleep(0.1)
            await engine.close()
            with pytest.raises(EngineUnavailable, match="closed"):
                await asyncio.wait_for(waits, 5)
            with pytest.raises(EngineUnavailable, match="closed"):
                await asyncio.wait_for(engine.generate([prompt()]), 5)

    asyncio.run(main())

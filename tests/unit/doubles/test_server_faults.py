"""The faults of the test server: each looks as it should, and which one comes is decided by a hash."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.doubles.server import ChatRequest, Faults, Record, Server, serve_in_thread
from thinkscore.errors import BadInput

HELLO = [{"role": "user", "content": "Say hello."}]
WORDS = "one two three four five"


async def attempt(client: aiohttp.ClientSession, server: Server, body: bytes = b"") -> str:
    """Post once and name what came back: "ok", a status, "reset", "cut", "truncated", "empty" or "timeout"."""
    body = body or json.dumps({"model": "judge", "messages": HELLO}).encode()
    try:
        async with client.post(server.url + "/chat/completions", data=body) as response:
            raw = await response.read()
    except aiohttp.ClientPayloadError:
        return "cut"
    except TimeoutError:
        return "timeout"
    except aiohttp.ClientConnectionError:
        return "reset"
    if response.status != 200:
        return str(response.status)
    if not raw:
        return "empty"
    try:
        choices = json.loads(raw)["choices"]
    except ValueError:
        return "truncated"
    if not choices:
        return "no_choices"
    return "ok" if choices[0]["message"]["content"] else "no_content"


def with_faults(use: Callable[[aiohttp.ClientSession, Server], Awaitable[Any]], timeout: float = 5, **o: Any) -> Any:
    async def main() -> Any:
        limit = aiohttp.ClientTimeout(total=timeout)
        async with Server(**o) as server, aiohttp.ClientSession(timeout=limit) as client:
            return await use(client, server)

    return asyncio.run(main())


SEEN = {
    "429": "429", "500": "500", "503": "503", "400": "400", "reset": "reset", "cut": "cut", "truncated": "truncated",
    "empty": "empty", "no_choices": "no_choices", "no_content": "no_content", "slow": "ok", "stall": "reset",
}  # fmt: skip


@pytest.mark.parametrize(("fault", "seen"), SEEN.items())
def test_every_fault_looks_as_it_should_and_is_counted(fault: str, seen: str) -> None:
    async def ask(client: aiohttp.ClientSession, server: Server) -> tuple[str, list[Record]]:
        return await attempt(client, server), list(server.requests.values())

    faults = Faults({fault: 1.0}, stall=0.05, slow=0.1)
    got, (record,) = with_faults(ask, faults=faults, answer=WORDS)
    assert got == seen
    assert record == Record(attempts=1, answered=int(fault == "slow"), faults=[fault])


def test_a_reset_is_a_reset_to_a_plain_socket() -> None:
    body = json.dumps({"model": "judge", "messages": HELLO}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with serve_in_thread(faults="reset=1") as server:
        port = int(server.url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(head + body)
            with pytest.raises(ConnectionResetError):
                connection.recv(100)


def test_a_stalled_client_that_leaves_is_let_go() -> None:
    async def leave(client: aiohttp.ClientSession, server: Server) -> tuple[str, list[Record]]:
        return await attempt(client, server), list(server.requests.values())

    got, (record,) = with_faults(leave, timeout=0.1, faults="stall=1")
    assert (got, record.faults, record.answered) == ("timeout", ["stall"], 0)


def test_the_judge_is_not_asked_for_a_client_that_left() -> None:
    asked: list[int] = []

    def answer(_: ChatRequest, index: int) -> str:
        asked.append(index)
        return "yes"

    async def leave(client: aiohttp.ClientSession, server: Server) -> tuple[str, int]:
        seen = await attempt(client, server)
        await asyncio.sleep(0.3)
        return seen, len(asked)

    assert with_faults(leave, timeout=0.05, latency=0.2, answer=answer) == ("timeout", 0)


def test_stopping_does_not_wait_for_stalled_requests() -> None:
    async def leave_hanging() -> str:
        async with aiohttp.ClientSession() as client:
            async with Server(faults="stall=1") as server:
                task = asyncio.create_task(attempt(client, server))
                while not server.requests:
                    await asyncio.sleep(0.001)
            return await task

    assert asyncio.run(asyncio.wait_for(leave_hanging(), 30)) in ("reset", "cut")


def test_a_slow_answer_comes_in_pieces() -> None:
    async def pieces(client: aiohttp.ClientSession, server: Server) -> list[bytes]:
        body = {"model": "judge", "messages": HELLO}
        async with client.post(server.url + "/chat/completions", json=body) as response:
            return [piece async for piece in response.content.iter_any()]

    got = with_faults(pieces, faults=Faults({"slow": 1.0}, slow=0.2), answer=WORDS)
    assert len(got) > 3
    assert json.loads(b"".join(got))["choices"][0]["message"]["content"] == WORDS


def test_retry_after_comes_as_seconds_and_as_a_date() -> None:
    async def headers(client: aiohttp.ClientSession, server: Server) -> list[str | None]:
        found = []
        for seed in range(20):
            body = {"model": "judge", "messages": HELLO, "seed": seed}
            async with client.post(server.url + "/chat/completions", json=body) as response:
                found.append(response.headers.get("Retry-After"))
        return found

    found = with_faults(headers, faults=Faults({"429": 1.0}, retry_after=7))
    dates = [text for text in found if text != "7"]
    assert 0 < len(dates) < 20
    assert all(parsedate_to_datetime(text).tzinfo is not None for text in dates)
    assert set(with_faults(headers, faults=Faults({"503": 1.0}, retry_after=-1))) == {None}
    assert set(with_faults(headers, faults=Faults({"500": 1.0}))) == {None}


def test_a_proxy_error_is_html() -> None:
    async def body(client: aiohttp.ClientSession, server: Server) -> tuple[int, str]:
        async with client.post(server.url + "/chat/completions", json={}) as response:
            return response.status, response.content_type

    assert with_faults(body, faults="502=1") == (502, "text/html")


FAULTS = Faults({"429": 0.05, "500": 0.05, "reset": 0.05, "truncated": 0.05, "stall": 0.05, "400": 0.05})


@given(st.integers(0, 2**31), st.text(max_size=8), st.integers(0, 9))
def test_a_fault_is_a_function_of_seed_key_and_attempt(seed: int, key: str, number: int) -> None:
    picked = FAULTS.pick(seed, key, number)
    assert picked == Faults(dict(FAULTS.rates)).pick(seed, key, number)
    lasting = [FAULTS.pick(seed, key, other) == "400" for other in range(10)]
    assert lasting == [picked == "400"] * 10


def test_faults_come_as_often_as_asked_for() -> None:
    picked = [FAULTS.pick(3, str(key), 0) for key in range(20_000)]
    for kind in FAULTS.rates:
        # 5 % of 20,000 is 1,000; the standard deviation is 31
        assert 850 < picked.count(kind) < 1150
    assert 13_700 < picked.count(None) < 14_300


def test_another_attempt_is_another_draw() -> None:
    failed = [key for key in map(str, range(2000)) if FAULTS.pick(0, key, 0) not in (None, "400")]
    again = [FAULTS.pick(0, key, 1) for key in failed]
    assert again.count(None) > len(failed) / 2
    assert len({FAULTS.pick(seed, failed[0], 0) for seed in range(200)}) > 3


def test_a_client_that_retries_loses_nothing_and_the_record_shows_it() -> None:
    bodies = [json.dumps({"model": "judge", "messages": HELLO, "seed": seed}).encode() for seed in range(150)]

    async def run(client: aiohttp.ClientSession, server: Server) -> tuple[list[list[str]], dict[str, Record]]:
        async def insist(body: bytes) -> list[str]:
            seen: list[str] = []
            while not seen or seen[-1] not in ("ok", "400"):
                seen.append(await attempt(client, server, body))
                assert len(seen) < 50
            return seen

        return await asyncio.gather(*map(insist, bodies)), server.requests

    rates = Faults(FAULTS.rates, stall=0.01)
    seen, records = with_faults(run, timeout=30, faults=rates, seed=1, answer="yes")
    assert len(records) == 150
    assert all(record.answered + (record.faults[-1:] == ["400"]) == 1 for record in records.values())
    assert all(record.attempts == record.answered + len(record.faults) for record in records.values())
    assert sum(record.attempts for record in records.values()) == sum(map(len, seen)) > 150
    again, _ = with_faults(run, timeout=30, faults=rates, seed=1, answer="yes")
    assert again == seen


def test_faults_are_written_as_text() -> None:
    assert Faults.parse(" 429=0.05, reset=0.5,") == Faults({"429": 0.05, "reset": 0.5})
    assert Faults.parse("", stall=3, slow=4, retry_after=5) == Faults({}, 3, 4, 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("429", "write them as"),
        ("429=often", "write them as"),
        ("quiet=0.1", "known are status codes"),
        ("200=0.1", "known are status codes"),
        ("429=1.5", "from 0 to 1"),
        ("429=0.6,reset=0.6", "at most 1"),
    ],
)
def test_faults_that_make_no_sense_are_named(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Server(faults=text)


def test_latency_is_spread_by_seed() -> None:
    from thinkscore.doubles.server._faults import spread

    drawn = [spread((0.1, 0.3), 0, str(key), 0) for key in range(100)]
    assert all(0.1 <= wait < 0.3 for wait in drawn)
    assert max(drawn) - min(drawn) > 0.15
    assert drawn == [spread((0.1, 0.3), 0, str(key), 0) for key in range(100)]
    assert spread(0.25, 0, "x", 0) == 0.25


def test_latency_delays_an_answer() -> None:
    async def ask(client: aiohttp.ClientSession, server: Server) -> str:
        return await attempt(client, server)

    assert with_faults(ask, timeout=0.1, latency=20.0) == "timeout"
    assert with_faults(ask, latency=(0.0, 0.01), answer="yes") == "ok"

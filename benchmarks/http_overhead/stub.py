"""A server that costs next to nothing: fixed chat completions over raw asyncio, so that only the client is measured.

    python stub.py --latency 0.05

The first part of the path says whose answer is given (`/thinkscore/v1/chat/completions`); `n` in the request is obeyed.
It prints its port and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from functools import cache

RUBRIC = "names every ingredient and its amount (3)\nkeeps the steps in the order of cooking (2)\nis short enough (1)\n"
THINKSCORE = (
    f"<type>Chat</type>\n<rubric>\n{RUBRIC}<justify>Without amounts nobody can cook it; order comes next.</justify>\n"
    "</rubric>\n<eval>\n<quote_A>two eggs and a pinch of salt</quote_A><summary_A>amounts are there, one step is late"
    "</summary_A>\n<quote_B>some flour</quote_B><summary_B>amounts are missing</summary_B>\n</eval>\n"
    "<answer>[[A]]</answer>"
)
REASON = "Amounts are there and the steps are in order; one step comes late, and the response is short enough. " * 5
TEXTS = {
    "thinkscore": THINKSCORE,
    "bare": THINKSCORE,
    "its_hub": json.dumps({"score": 7, "reasoning": REASON[: len(THINKSCORE) - 40]}),
    "openjudge": json.dumps({"reason": REASON[: len(THINKSCORE) - 40], "score": 4}),
}
"""About as long as each other, in the form that each client asks for."""
LENGTH = re.compile(rb"\ncontent-length: *(\d+)", re.IGNORECASE)
SEVERAL = re.compile(rb'"n": ?(\d+)')


@cache
def completion(client: str, n: int) -> bytes:
    """Write the whole response with n choices."""
    message = {"role": "assistant", "content": TEXTS[client]}
    choices = [{"index": i, "message": message, "logprobs": None, "finish_reason": "stop"} for i in range(n)]
    usage = {"prompt_tokens": 400, "completion_tokens": 150 * n, "total_tokens": 400 + 150 * n}
    body = {"id": "chatcmpl-0", "object": "chat.completion", "created": 0, "model": "stub", "choices": choices}
    return response({**body, "usage": usage})


@cache
def models() -> bytes:
    """Write the list of models."""
    entry = {"id": "stub", "object": "model", "created": 0, "owned_by": "vllm", "max_model_len": 32768}
    return response({"object": "list", "data": [entry]})


def response(body: object) -> bytes:
    """Write a response."""
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


class Connection(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, latency: float) -> None:
        self.latency, self.seen = latency, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self.seen += data
        while (end := self.seen.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self.seen, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.seen) < whole:
                return
            self.answer(self.seen[:end], self.seen[end + 4 : whole])
            self.seen = self.seen[whole:]

    def answer(self, head: bytes, body: bytes) -> None:
        """Write the response after the latency."""
        path = head.split(b" ", 2)[1].decode()
        if path.endswith("/models"):
            return self.write(models())
        several = SEVERAL.search(body)
        content = completion(path.split("/")[1], int(several[1]) if several else 1)
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self.write, content)
        else:
            self.write(content)

    def write(self, content: bytes) -> None:
        """Write, unless the client has gone."""
        if not self.transport.is_closing():
            self.transport.write(content)  # type: ignore[attr-defined]


async def serve(latency: float) -> None:
    """Listen on a free port until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(latency), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each completion")
    asyncio.run(serve(parser.parse_args().latency))

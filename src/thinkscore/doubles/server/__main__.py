"""`python -m thinkscore.doubles.server`: the test server from a shell, to try the http engine without a model.

It listens on this machine only and stops by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from ...errors import BadInput, ThinkscoreError
from ._app import Server
from ._faults import KINDS, Faults


def main() -> int:
    """Serve until the time is over or a signal comes; returns the exit code."""
    try:
        return asyncio.run(_serve(_parser().parse_args()))
    except ThinkscoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    kinds = "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m thinkscore.doubles.server", description="An OpenAI-compatible server without a model."
    )
    add = parser.add_argument
    add("--engine", help="what generates (embedded, embedded:DIR, scripted:FILE, ...); default: a made-up verdict")
    add("--answer", help="answer everything with this text")
    add("--protocol", help="write verdicts of this protocol, whatever the messages ask for")
    add("--model", default="judge", help="name of the model served (default: judge)")
    add("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    add("--api-key", help="turn away requests without this key")
    add("--max-model-len", type=int, help="context length (default: the model's own)")
    add("--reasoning", help="move <think> into this field of the message: reasoning or reasoning_content")
    add("--faults", default="", help=f"shares of what goes wrong, as 429=0.05,reset=0.05: status codes; {kinds}")
    add("--stall", type=float, default=600.0, help="seconds until a stalled request is dropped (default: 600)")
    add("--slow", type=float, default=2.0, help="seconds that a slow answer takes (default: 2)")
    add("--retry-after", type=int, default=1, help="seconds in Retry-After; negative: none (default: 1)")
    add("--latency", default="0", help="seconds before each answer, or bounds to draw from: 0.05 or 0.01-0.2")
    add("--seed", type=int, default=0, help="decides faults, latency and unseeded answers (default: 0)")
    add("--html", action="store_true", help="answer everything with a web page")
    add("--for", type=float, default=3600.0, dest="seconds", help="stop after so many seconds (default: 3600)")
    return parser


async def _serve(args: argparse.Namespace) -> int:
    server = Server(
        engine=args.engine,
        answer=args.answer,
        protocol=args.protocol,
        model=args.model,
        faults=Faults.parse(args.faults, args.stall, args.slow, args.retry_after),
        seed=args.seed,
        latency=_latency(args.latency),
        api_key=args.api_key,
        max_model_len=args.max_model_len,
        reasoning=args.reasoning,
        html=args.html,
        port=args.port,
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        print(f"serving {server.uri} for {args.seconds:g} s", flush=True)
        await asyncio.wait([asyncio.create_task(stop.wait())], timeout=args.seconds)
    records = server.requests.values()
    sent, faults = sum(r.answered for r in records), sum(len(r.faults) for r in records)
    attempts, refused = sum(r.attempts for r in records), sum(r.refused for r in records)
    print(f"{attempts} requests with {len(records)} bodies: {sent} answered, {refused} refused, {faults} faults")
    return 0


def _latency(text: str) -> float | tuple[float, float]:
    try:
        bounds = [float(part) for part in text.split("-")]
    except ValueError:
        bounds = []
    if len(bounds) not in (1, 2) or bounds != sorted(bounds):
        raise BadInput(f"got the latency {text!r}; write seconds as 0.05, or bounds as 0.01-0.2")
    return bounds[0] if len(bounds) == 1 else (bounds[0], bounds[1])


if __name__ == "__main__":
    sys.exit(main())

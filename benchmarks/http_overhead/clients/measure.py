"""What every client does: warm up, run, and print what the run cost this process. Standard library only."""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections.abc import Callable

WARM = 64
LETTERS = 400
WORDS = "egg flour salt butter sugar milk oven bowl whisk pan heat stir pour wait until golden brown then add the"
_draw = random.Random(0)
TEXTS = [" ".join(_draw.choices(WORDS.split(), k=LETTERS // 4))[:LETTERS] for _ in range(97)]


def text(i: int) -> str:
    """Return the i-th response, like no other; costs nothing beside a request."""
    return f"{i}. {TEXTS[i % len(TEXTS)]}"


def options() -> argparse.Namespace:
    """Read what the runner gives every client."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url", help="address of the stub, up to /v1")
    parser.add_argument("requests", type=int)
    parser.add_argument("concurrency", type=int)
    parser.add_argument("--samples", type=int, default=1, help="samples per request (thinkscore)")
    return parser.parse_args()


def report(run: Callable[[int, int], int], requests: int) -> None:
    """Call `run(first, count)` for the warm-up and for the run; print its verdicts, seconds, CPU and peak memory."""
    run(0, WARM)
    cpu, start = cpu_seconds(), time.perf_counter()
    verdicts = run(WARM, requests)
    seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu
    print(json.dumps({"requests": requests, "verdicts": verdicts, "seconds": seconds, "cpu": cpu, "mb": peak()}))


def cpu_seconds() -> float:
    """Return the processor time of this process, all threads, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak() -> float:
    """Return the peak resident memory so far in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

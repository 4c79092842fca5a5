"""What waits for the embedded engine's workers: case -> prompt -> ENGINE (its scheduling) -> completion.

A decode step costs nearly the same for one row as for eight. So samples wait in line until a worker is free, which
takes as many as fit: of about one length and one sampling, each in its own row. What a sample becomes does not hang on
its company, and so not on who happened to wait either.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ..types import Sampling
from ._decoder import PADDED
from ._jobs import Group, Row, Sample
from ._pool import Job, Pool

__all__ = ["Line"]


class _Waiting(NamedTuple):
    row: Row
    sample: asyncio.Future[Sample]


class Line:
    """Work for up to `workers` processes that hold the model in a folder. Lives in one event loop."""

    def __init__(self, folder: Path, workers: int, ends: frozenset[int]) -> None:
        """Start a worker, as a check. Raises `EngineUnavailable`."""
        self._pool, self._free, self._ends = Pool(folder, workers), workers, ends
        self._places: dict[tuple[Sampling, int], dict[int, deque[_Waiting]]] = defaultdict(dict)
        self._running: set[asyncio.Task[None]] = set()
        self._pool.start()

    async def run(self, jobs: Sequence[Job[Any]]) -> list[Any]:
        """Run jobs as they are; a failed one gives its exception."""
        futures = [asyncio.wrap_future(self._pool.submit(job)) for job in jobs]
        return await asyncio.gather(*futures, return_exceptions=True)

    def put(self, row: Row, sampling: Sampling) -> asyncio.Future[Sample]:
        """Let a sample wait until it is drawn; `send` after the last that is known."""
        waiting = _Waiting(row, asyncio.get_running_loop().create_future())
        same = self._places[sampling, -len(row.prompt) // PADDED]
        same.setdefault(row.place, deque()).append(waiting)
        return waiting.sample

    def send(self) -> None:
        """Give the free workers the fullest groups."""
        while self._free and self._places:
            group = self._take(max(self._places, key=lambda key: len(self._places[key])))
            if group:
                self._free -= 1
                task = asyncio.get_running_loop().create_task(self._draw(*group))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def close(self) -> None:
        """Drop what waits, and end the workers."""
        self._places.clear()
        self._pool.close()

    def _take(self, key: tuple[Sampling, int]) -> tuple[Group, list[_Waiting]] | None:
        """Take the first of each row; who was cancelled waits no longer."""
        lines = self._places.pop(key)
        firsts = [line.popleft() for line in lines.values()]
        if left := {place: line for place, line in lines.items() if line}:
            self._places[key] = left
        wanted = [one for one in firsts if not one.sample.done()]
        rows = [one.row for one in wanted]
        return (Group(rows, key[0].temperature, key[0].top_p, self._ends), wanted) if rows else None

    async def _draw(self, group: Group, waiting: list[_Waiting]) -> None:
        try:
            samples = await asyncio.wrap_future(self._pool.submit(group))
        except Exception as error:  # the worker died: each of its samples is told
            for one in waiting:
                with suppress(asyncio.InvalidStateError):
                    one.sample.set_exception(error)
        else:
            for one, sample in zip(waiting, samples, strict=True):
                with suppress(asyncio.InvalidStateError):  # it was cancelled meanwhile
                    one.sample.set_result(sample)
        finally:
            for one in waiting:
                one.sample.cancel()
            self._free += 1
            self.send()

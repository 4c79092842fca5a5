"""Worker processes of the embedded engine: case -> prompt -> ENGINE (its processes) -> completion.

A worker is a plain child process that holds the model and answers pickled jobs on its standard streams, with one
BLAS thread, so that results do not depend on how many workers there are. Not `multiprocessing`: its children run
the caller's main module again, which a script without a main guard does not survive. A child is out of reach of
Ctrl-C and ends when its input closes, also when the parent was killed.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import LifoQueue
from typing import IO, Any, Protocol, TypeVar

from ..errors import EngineUnavailable
from ._decoder import Decoder

__all__ = ["Job", "Pool", "main"]

Result = TypeVar("Result", covariant=True)

START = f"import sys; sys.path[:] = {{path!r}}; from {__name__} import main; main({{folder!r}})"
"""What a child runs: this module, found where the parent finds it, whatever the working directory holds."""

ONE_THREAD = dict.fromkeys(["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"], "1")


class Job(Protocol[Result]):
    """Work that can be pickled."""

    def run(self, decoder: Decoder) -> Result:
        """Compute the result, in the worker."""


class Pool:
    """Up to `size` workers, started when they are needed."""

    def __init__(self, folder: Path, size: int) -> None:
        self._workers = [_Worker(folder) for _ in range(size)]
        self._idle: LifoQueue[_Worker] = LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="thinkscore-embedded")
        self._stop = weakref.finalize(self, _stop, self._workers)  # also at interpreter exit

    def start(self) -> None:
        """Start one worker, as a check; the others follow on demand. Raises `EngineUnavailable`."""
        self._workers[-1].start()

    def submit(self, job: Job[Result]) -> Future[Result]:
        """Queue a job. Its future raises `EngineUnavailable` if the worker fails or dies."""
        return self._threads.submit(self._run, job)

    def close(self) -> None:
        """Drop what is queued, wait for what is running (one job per worker) and end the workers."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._stop()

    def _run(self, job: Job[Result]) -> Result:
        worker = self._idle.get()  # as many threads as workers: one is free
        try:
            result: Result = worker.call(job)
            return result
        finally:
            self._idle.put(worker)


class _Worker:
    """The parent's end of one child process, which is replaced if it dies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", START.format(path=sys.path, folder=str(self.folder))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ONE_THREAD,
            start_new_session=True,
        )
        try:
            self._receive()
        except EngineUnavailable as error:
            self.stop()
            raise EngineUnavailable(f"the model in {self.folder} cannot be used: {error}") from None

    def call(self, job: object) -> Any:
        if self.process is None:
            self.start()
        assert self.process is not None and self.process.stdin is not None
        with suppress(OSError):  # if it is dead, receiving says so
            _send(self.process.stdin, job)
        return self._receive()

    def _receive(self) -> Any:
        assert self.process is not None and self.process.stdout is not None
        try:
            done, result = pickle.load(self.process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise EngineUnavailable(f"a worker of the embedded engine ended with exit code {self.stop()}") from None
        if not done:
            raise EngineUnavailable(f"a worker of the embedded engine failed: {result}")
        return result

    def stop(self) -> int | None:
        """End the process, however busy; returns its exit code."""
        process, self.process = self.process, None
        if process is None:
            return None
        assert process.stdin is not None and process.stdout is not None
        with suppress(OSError):  # an unsent job; nobody reads it
            process.stdin.close()
        process.stdout.close()
        try:
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.stop()


def main(folder: str) -> None:
    """Run a worker: say whether the model loads, then answer jobs until the input closes."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print must not break the stream of results
    try:
        loaded, decoder = _attempt(partial(Decoder, Path(folder)))
        _send(sink, (loaded, None if loaded else decoder))
        while loaded:
            _send(sink, _attempt(partial(pickle.load(source).run, decoder)))
    except (EOFError, OSError):
        os._exit(0)  # the parent is gone; nobody reads what an orderly exit would print


def _attempt(work: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return True, work()
    except Exception as error:  # whatever it is, the parent must hear of it
        return False, f"{type(error).__name__}: {error}"


def _send(sink: IO[bytes], message: object) -> None:
    pickle.dump(message, sink)
    sink.flush()

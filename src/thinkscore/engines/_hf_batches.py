"""Rows of token ids, and batches of them that are of like length and fit into memory: how the hf ENGINE runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from ..errors import ThinkscoreError
from ..types import Failure, Sampling

__all__ = ["Batches", "Row", "Score"]

T = TypeVar("T")
R = TypeVar("R")


class Row(NamedTuple):
    """One sample to draw."""

    prompt: tuple[int, ...]
    """Token ids."""
    sampling: Sampling
    seed: int
    """Of its own random numbers, one per token."""
    room: int
    """Most tokens to draw."""


class Score(NamedTuple):
    """The log-probability of a continuation, to be read off."""

    prompt: tuple[int, ...]
    """Token ids."""
    continuation: tuple[int, ...]


class Batches:
    """Cuts rows into batches of at most `size`, which falls when a batch was too large for the memory."""

    def __init__(self, size: int, free: Callable[[], None] = lambda: None) -> None:
        """Take the size, and what gives unused memory back after an attempt that failed."""
        self.size, self._free = size, free

    def cut(self, rows: Sequence[tuple[int, T]], length: Callable[[T], int]) -> Iterator[list[tuple[int, T]]]:
        """Yield numbered rows in batches, the longest first: what will not fit shows at once."""
        waiting = sorted(rows, key=lambda pair: -length(pair[1]))
        while waiting:
            batch, waiting = waiting[: self.size], waiting[self.size :]
            yield batch

    def run(self, work: Callable[[Sequence[T]], Sequence[R]], rows: Sequence[T]) -> list[R | Failure]:
        """Run a batch; one that fails is run again in halves, down to the row that is to blame.

        Raises only a `ThinkscoreError` of the work itself.
        """
        try:
            return list(work(rows))
        except ThinkscoreError:
            raise
        except Exception as error:  # whatever torch raises; only its words are kept, its frames hold tensors
            said, full = f"{type(error).__name__}: {error}", _out_of_memory(error)
        self._free()
        half = len(rows) // 2
        if full:
            self.size = max(1, min(self.size, half))
        if not half:
            return [Failure("engine_error", f"out of memory with a single row: {said}" if full else said)]
        return self.run(work, rows[:half]) + self.run(work, rows[half:])


def _out_of_memory(error: Exception) -> bool:
    """Tell whether torch found no memory, on a GPU or on the CPU."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)

"""The engine seam: prompts in, completions out, in order; one bad item is data, not an exception."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from ..errors import BadInput
from ..types import Completion, Prompt

__all__ = ["Engine"]


class Engine(ABC):
    """Generates completions. Made from the rest of its URI (`embedded:DIR` gives "DIR"; "" if there is none)."""

    batch: ClassVar[int] = 64
    """How many prompts one `generate` call takes at best."""
    parallel: ClassVar[int] = 1
    """How many `generate` calls may run at a time."""
    breaker: ClassVar[int] = 0
    """How many equal errors in a row, without any success, end a run; 0 where errors are about single items."""

    def __init__(self, rest: str = "") -> None:
        self.rest = rest

    @property
    def identity(self) -> str:
        """The model, for journal keys: a hash of the weights, or name and revision; never an address.

        Known after `open`.
        """
        return f"{type(self).__module__.rpartition('.')[2]}:{self.rest}"

    async def open(self) -> None:  # noqa: B027 - most engines have nothing to prepare
        """Prepare and check; may raise one clear `ThinkscoreError`. Called once, before `generate`."""

    async def close(self) -> None:  # noqa: B027 - most engines hold nothing
        """Release what `open` took."""

    @abstractmethod
    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """Complete each prompt; same length and order. A failed item is a completion with `error`."""

    async def logprobs(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[float]:
        """Sum the natural log-probabilities of `continuations[i]` after prompt i and its prefill (T = 1).

        Raises `BadInput` where the engine cannot.
        """
        raise BadInput(f"engine {self.identity} gives no log-probabilities; use embedded")

    async def values(self, conversations: Sequence[Sequence[object]]) -> list[float]:
        """Score whole conversations with a scalar head. Raises `BadInput` where the engine cannot."""
        raise BadInput(f"engine {self.identity} has no scalar head")

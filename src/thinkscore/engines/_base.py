"""The engine seam: prompts in, completions out, in order; one bad item is data, not an exception."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

from ..errors import BadInput, EngineUnavailable
from ..types import Completion, Failure, Message, Prompt

__all__ = ["Announce", "Deliver", "Engine"]

Announce = Callable[[Iterable[int]], None]
Deliver = Callable[[int, Completion], None]


class Engine(ABC):
    """Generates completions. Made from the rest of its URI (`embedded:DIR` gives "DIR"; "" if there is none)."""

    batch: int = 64
    """How many prompts one call takes at best."""
    parallel: int = 1
    """How many such batches may be under way."""
    breaker: int = 0
    """How many cases in a row with the same error, without any success, end a run; 0 where errors are about items."""

    recorded: bool = False
    """Whether answers are texts that were recorded, of whatever kind: then `values` is never asked."""

    def __init__(self, rest: str = "") -> None:
        self.rest = rest

    @property
    def identity(self) -> str:
        """The model, for journal keys: a hash of the weights, or name and revision; never an address.

        Known after `open`.
        """
        return f"{type(self).__module__.rpartition('.')[2]}:{self.rest}"

    @property
    def model(self) -> str:
        """The model's name as a price file knows it; known after `open`."""
        return self.identity

    async def open(self) -> None:  # noqa: B027 - most engines have nothing to prepare
        """Prepare and check; may raise one clear `ThinkscoreError`. Called once, before `generate`."""

    async def close(self) -> None:  # noqa: B027 - most engines hold nothing
        """Release what `open` took."""

    @abstractmethod
    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """Complete each prompt; same length and order. A failed item is a completion with `error`."""

    async def stream(self, prompts: Sequence[Prompt], announce: Announce, deliver: Deliver) -> None:
        """Complete each prompt, and tell when each is sent and when it is there, by its place in `prompts`.

        `announce(places)` must return before those prompts are sent; `deliver(place, completion)` is called once for
        each. Engines whose answers come one by one override this; here a batch is sent and comes as a whole.
        """
        announce(range(len(prompts)))
        completions = await self.generate(prompts)
        if not isinstance(completions, list) or not all(isinstance(item, Completion) for item in completions):
            raise EngineUnavailable(f"engine {self.identity} must return completions; got {completions!r:.200}")
        if len(completions) != len(prompts):
            raise EngineUnavailable(
                f"engine {self.identity} got {len(prompts)} prompts and returned {len(completions)}"
            )
        for place, completion in enumerate(completions):
            deliver(place, completion)

    async def logprobs(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[float]:
        """Sum the natural log-probabilities of `continuations[i]` after prompt i and its prefill (T = 1).

        Raises `BadInput` where the engine cannot.
        """
        raise BadInput(f"engine {self.identity} gives no log-probabilities; use embedded")

    async def values(self, conversations: Sequence[Sequence[Message]]) -> list[float | Failure]:
        """Score whole conversations with a scalar head; same length and order, a failed item is a `Failure`.

        Raises `BadInput` where the engine has no such head.
        """
        raise BadInput(f"engine {self.identity} has no scalar head; use hf: or http: with a reward model")

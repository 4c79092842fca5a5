"""Hard limits on what a run may spend: tokens, or money by a price file.

It stands between prompt and completion: a call is sent only if the most it can cost still fits, so that a limit is
never exceeded; what a call really cost is settled when it lands. The most is known without a tokenizer: a text has at
most one token per byte, and the answer at most `max_tokens`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from .errors import BadInput
from .types import Completion, Prompt, Usage

__all__ = ["Budget", "Price", "read_prices"]

FRAME = 64
"""Tokens that a chat template may add around the messages, and around each of them."""


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model costs, per million tokens."""

    prompt: Annotated[float, Meta(ge=0)]
    """Tokens read."""
    completion: Annotated[float, Meta(ge=0)]
    """Tokens written, thinking included."""

    def cost(self, usage: Usage) -> float:
        """Return what usage costs, in the unit of the price file."""
        return (usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion) / 1e6


class Budget:
    """Reserves before a call, settles after it. Without limits it lets everything pass. Raises `BadInput`."""

    def __init__(
        self,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        prices: Mapping[str, Price] | None = None,
    ) -> None:
        if max_cost is not None and prices is None:
            raise BadInput("a limit on cost needs the price of the model; give a price file")
        for limit in (max_tokens, max_cost):
            if limit is not None and limit <= 0:
                raise BadInput(f"a budget is a positive number; got {limit}")
        self.max_tokens, self.max_cost, self.prices = max_tokens, max_cost, prices or {}
        self.price: Price | None = None
        self.spent = Usage()
        self._reserved = Usage()

    def open(self, model: str) -> None:
        """Look up the price of the model that is asked."""
        self.price = self.prices.get(model)
        if self.price is None and self.max_cost is not None:
            raise BadInput(f"the price file has no {model!r}; it has {', '.join(self.prices) or 'nothing'}")

    def reserve(self, prompts: Sequence[Prompt]) -> bool:
        """Set aside the most that calls can cost; False, and nothing is set aside, if it does not fit."""
        if self.max_tokens is None and self.max_cost is None:
            return True
        wanted = sum((_most(prompt) for prompt in prompts), self._reserved)
        if not self._fits(self.spent + wanted):
            return False
        self._reserved = wanted
        return True

    def settle(self, prompt: Prompt, completion: Completion) -> None:
        """Replace what was set aside for a call by what it cost; an answer of unstated cost by the most it can be."""
        most, cost = _most(prompt), completion.usage
        if completion.finish != "error" and not cost.prompt_tokens + cost.completion_tokens:
            written = len(completion.text.encode()) + len((completion.reasoning or "").encode())
            cost = Usage(1, most.prompt_tokens, min(most.completion_tokens, written))
        self.spent += cost
        if self.max_tokens is not None or self.max_cost is not None:
            self._reserved = Usage(
                self._reserved.calls - most.calls,
                self._reserved.prompt_tokens - most.prompt_tokens,
                self._reserved.completion_tokens - most.completion_tokens,
            )

    def refusal(self) -> str:
        """Say why a call was not sent."""
        limits = [f"{self.max_tokens:,} tokens"] if self.max_tokens is not None else []
        limits += [f"a cost of {self.max_cost:g}"] if self.max_cost is not None else []
        spent = f"{self.spent.prompt_tokens + self.spent.completion_tokens:,} tokens"
        spent += f" (a cost of {self.price.cost(self.spent):.4g})" if self.price is not None else ""
        return (
            f"budget of {' and '.join(limits)}: {spent} are spent, and one more call could exceed it; run the same "
            "command with its journal to spend as much again"
        )

    def _fits(self, usage: Usage) -> bool:
        tokens = usage.prompt_tokens + usage.completion_tokens
        if self.max_tokens is not None and tokens > self.max_tokens:
            return False
        return self.max_cost is None or self.price is None or self.price.cost(usage) <= self.max_cost


def _most(prompt: Prompt) -> Usage:
    conversations = prompt.conversations or (prompt.messages,)
    read = sum(len(message.content.encode()) + FRAME for messages in conversations for message in messages)
    written = 0 if prompt.conversations else prompt.sampling.max_tokens
    return Usage(1, read + len(prompt.prefill.encode()) + FRAME, written)


def read_prices(path: str | Path) -> dict[str, Price]:
    """Read a price file, JSON or TOML: {"MODEL": {"prompt": 0.15, "completion": 0.6}}, per million tokens.

    Raises `BadInput` with what is accepted.
    """
    accepted = 'a price file is JSON or TOML: {"MODEL": {"prompt": 0.15, "completion": 0.6}}, per million tokens'
    try:
        data = Path(path).read_bytes()
        raw = tomllib.loads(data.decode()) if str(path).endswith(".toml") else msgspec.json.decode(data)
        return msgspec.convert(raw, dict[str, Price])
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadInput(f"{path}: {error}; {accepted}") from error

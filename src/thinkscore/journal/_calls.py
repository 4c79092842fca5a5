"""What a journal holds: requests as they were sent, their keys, and calls as they are read back."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ..types import Completion, Message, Prompt, Sampling, content_hash

__all__ = ["Call", "Record", "Request"]


class Request(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What was sent, as far as it can change the answer."""

    kind: str
    """What was asked for: "generate", "values" or "logprobs"."""
    model: str
    """The engine's identity."""
    messages: tuple[Message, ...]
    """What the model read."""
    prefill: str
    """What its answer starts with."""
    sampling: Sampling
    """How tokens were drawn."""
    seed: int
    """The derived seed."""
    sample: int
    """Which of several completions for the case."""
    conversations: tuple[tuple[Message, ...], ...] = ()
    """What a scalar head read."""
    continuations: tuple[str, ...] = ()
    """What was scored after the prefill."""
    tops: int = 0
    """How many of the likeliest tokens were asked for at each place."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """One call with its key."""

    key: str
    request: Request
    prompt: Prompt

    @classmethod
    def of(cls, prompt: Prompt, model: str) -> Call:
        """Key a prompt for a model; equal keys mean equal answers. Only what is generated is drawn."""
        p = prompt
        if p.conversations:
            request = Request("values", model, (), "", Sampling(), 0, 0, p.conversations)
        elif p.continuations:
            request = Request("logprobs", model, p.messages, p.prefill, Sampling(), 0, 0, (), p.continuations)
        else:
            request = Request("generate", model, p.messages, p.prefill, p.sampling, p.seed, p.sample, tops=p.tops)
        return cls(content_hash(request), request, prompt)


class Record(NamedTuple):
    """One answered call, as read back."""

    case_id: str
    protocol: str
    order: tuple[int, ...]
    request: Request
    completion: Completion

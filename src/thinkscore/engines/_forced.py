"""The log-probability of a given continuation, from vLLM's `prompt_logprobs` (no I/O; `http` sends).

Two questions: which tokens the conversation up to the continuation has, and what the model thinks of each token of the
whole. The continuation's share is what the second has beyond the first; that the first is a prefix of it is checked,
since a continuation may change the token before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

import msgspec

from ..errors import BadInput
from ..types import Prompt

__all__ = ["head", "read_head", "read_whole", "total", "whole"]


def head(prompt: Prompt, model: str) -> dict[str, object]:
    """Ask `/tokenize` for the tokens up to the continuation."""
    return {"model": model, **_turns(prompt, prompt.prefill)}


def whole(prompt: Prompt, continuation: str, model: str) -> dict[str, object]:
    """Ask for the log-probability of every token up to the continuation's end; one token is generated in vain."""
    ask = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0, "return_token_ids": True}
    return {"model": model, **_turns(prompt, prompt.prefill + continuation), **ask}


class _Head(msgspec.Struct):
    tokens: list[int]


class _Token(msgspec.Struct):
    logprob: float


class _Whole(msgspec.Struct):
    prompt_token_ids: list[int]
    prompt_logprobs: list[dict[str, _Token] | None]


def read_head(reply: object) -> list[int]:
    return msgspec.convert(reply, _Head).tokens


def read_whole(reply: object) -> tuple[list[int], list[float]]:
    """Return the tokens and the log-probability of each but the first, for which it is 0."""
    said = msgspec.convert(reply, _Whole)
    try:
        pairs = zip(said.prompt_token_ids, said.prompt_logprobs, strict=True)
        return said.prompt_token_ids, [tokens[str(token)].logprob if tokens else 0.0 for token, tokens in pairs]
    except (KeyError, ValueError) as error:
        raise BadInput("the server's log-probabilities are not those of the prompt's tokens") from error


def total(begin: Sequence[int], tokens: Sequence[int], logprobs: Sequence[float], continuation: str) -> float:
    """Sum what lies beyond the beginning. Raises `BadInput` if the continuation changed the token before it."""
    if list(tokens[: len(begin)]) != list(begin):
        raise BadInput(f"{continuation!r} cannot be scored here: it changes the token before it")
    return fsum(logprobs[len(begin) :])


def _turns(prompt: Prompt, said: str) -> dict[str, object]:
    messages: list[object] = list(prompt.messages)
    if not said:
        return {"messages": messages, "add_generation_prompt": True}
    messages.append({"role": "assistant", "content": said})
    return {"messages": messages, "add_generation_prompt": False, "continue_final_message": True}

"""Chat completions on the wire: prompts -> request body, reply -> completions or a problem.

Read from OpenAI's API and from real answers of vLLM; other servers are taken for OpenAI's. Nothing is made up: a
reply that cannot be read, or that holds nothing, is a problem and is asked for again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ..types import Alternatives, Completion, Prompt, Usage
from ._address import Address

__all__ = ["Dialect", "Problem", "body", "overflow", "read_reply", "too_long"]


class Dialect(msgspec.Struct, frozen=True):
    """What a server said of itself."""

    name: str = "openai"
    """vllm, sglang or openai (which stands for all others)."""
    model: str = ""
    """The model's name."""
    reads: int = 0
    """Tokens that the model reads and writes together; 0 if the server does not say."""


class Problem(NamedTuple):
    """Why there is no answer."""

    message: str
    """One plain sentence."""
    retry: bool = False
    """Whether asking again may help."""
    overload: bool = False
    """Whether the server has too much to do."""
    down: bool = False
    """Whether the server may be gone."""
    fatal: bool = False
    """Whether it is about the server or the key rather than about this request."""
    after: float = 0.0
    """Seconds that the server wants us to wait."""


class _Message(msgspec.Struct):
    content: str | list[dict[str, object]] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Top(msgspec.Struct):
    token: str
    logprob: float


class _Token(msgspec.Struct):
    logprob: float
    token: str = ""
    top_logprobs: list[_Top] | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    index: int | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Reply(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Reply).decode
SEEDS = 2**31  # servers differ in how large a seed may be; all take this
FROM_OPENAI = ("https://api.openai.com",)


def body(prompts: Sequence[Prompt], address: Address, dialect: Dialect, tokens: int) -> bytes:
    """Write the request for prompts that differ in their sample only; `tokens` is the most to write, 0 what is left."""
    first, options = prompts[0], address.options
    sampling = first.sampling
    messages: list[object] = list(first.messages)
    said: dict[str, object] = {
        "model": dialect.model,
        "messages": messages,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": first.seed % SEEDS,
    }
    if tokens:
        said["max_completion_tokens" if address.urls[0].startswith(FROM_OPENAI) else "max_tokens"] = tokens
    if len(prompts) > 1:
        said["n"] = len(prompts)
    if options.logprobs or first.tops:
        said["logprobs"] = True
    if first.tops:
        said["top_logprobs"] = first.tops
    if options.effort:
        said["reasoning_effort"] = options.effort
    if options.thinking:
        said["thinking_token_budget"] = options.thinking
    if address.template:
        said["chat_template_kwargs"] = address.template
    if dialect.name != "openai":  # or a checkpoint's own defaults for what is left out would be in force
        said |= {"top_k": -1, "repetition_penalty": 1.0}
    if first.prefill:
        messages.append({"role": "assistant", "content": first.prefill})
        said |= {"continue_final_message": True, "add_generation_prompt": False}
    return msgspec.json.encode(said | address.body)


def read_reply(data: bytes, prompts: Sequence[Prompt]) -> list[Completion] | Problem:
    """Read a reply as completions of the prompts that were asked, in order; there may be fewer."""
    try:
        reply = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Problem(f"the server's answer is no chat completion ({error}): {_start(data)}", retry=True)
    choices = sorted(reply.choices, key=lambda choice: choice.index or 0)[: len(prompts)]
    if not choices:
        return Problem("the server's answer holds no choice", retry=True)
    usage = reply.usage or _Usage()
    wrote = bool(usage.completion_tokens or any(_text(choice.message.content) for choice in choices))
    pairs = zip(choices, prompts, _shares(choices, usage), strict=False)
    read = [_completion(*pair, wrote) for pair in pairs]
    problem = next((item for item in read if isinstance(item, Problem)), None)
    return problem or [item for item in read if isinstance(item, Completion)]


def _completion(choice: _Choice, prompt: Prompt, usage: Usage, wrote: bool) -> Completion | Problem:
    message = choice.message
    reasoning = message.reasoning or message.reasoning_content or None
    text = _text(message.content)
    finish = choice.finish_reason
    if finish == "content_filter":
        return Completion(finish="error", usage=usage, error="the server's content filter withheld the answer")
    if finish in ("error", "abort"):
        return Problem(f"the server ended the answer with {finish!r}", retry=True)
    if not text and not reasoning and finish != "length" and not wrote:
        return Problem("the server's answer is empty", retry=True)
    tokens = choice.logprobs.content if choice.logprobs else None
    return Completion(
        text=prompt.prefill + text,
        reasoning=reasoning,
        finish="length" if finish == "length" else "stop",
        usage=usage,
        logprobs=None if tokens is None else tuple(token.logprob for token in tokens),
        tops=_tops(tokens) if prompt.tops and tokens else None,
    )


def _tops(tokens: Sequence[_Token]) -> tuple[tuple[str, Alternatives], ...]:
    return tuple((one.token, tuple((top.token, top.logprob) for top in one.top_logprobs or ())) for one in tokens)


def _text(content: str | list[dict[str, object]] | None) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content)
    return content or ""


def _shares(choices: Sequence[_Choice], usage: _Usage) -> list[Usage]:
    """Share out what a request cost: the prompt, read once, to its first choice; the rest by length."""
    written = usage.completion_tokens or 0
    lengths = [_length(choice) for choice in choices]
    ends = [written * sum(lengths[: i + 1]) // sum(lengths) for i in range(len(lengths))]
    starts = [0, *ends]
    return [Usage(1, (usage.prompt_tokens or 0) if i == 0 else 0, end - starts[i]) for i, end in enumerate(ends)]


def _length(choice: _Choice) -> int:
    if choice.logprobs and choice.logprobs.content is not None:
        return len(choice.logprobs.content) or 1
    message = choice.message
    return len(_text(message.content)) + len(message.reasoning or message.reasoning_content or "") or 1


def _start(data: bytes) -> str:
    return repr(data[:80].decode(errors="replace"))


class Overflow(NamedTuple):
    """What a server said about a request that does not fit."""

    prompt: int | None
    """Tokens of the prompt."""
    reads: int | None
    """Tokens that the model reads and writes together."""
    answer: bool = False
    """Whether the length asked for the answer is part of what does not fit."""

    def room(self, asked: int) -> int | None:
        """Return the length to ask for instead of `asked`; None if the prompt itself is too long.

        0 is no length: the server, which knows what the prompt leaves, does not say it. That is less than was asked.
        """
        if self.prompt and self.reads:
            left = self.reads - self.prompt
            return left if 0 < left < asked else None
        return 0 if self.answer and asked else None


_TOO_LONG = re.compile(
    r"context.{0,3}(?:length|size|window)|max_model_len|longer than the model|max_tokens must be at least 1, got 0"
    r"|prompt is too long",
    re.IGNORECASE,
)
_READS = re.compile(
    r"(?:context (?:length|size|window)\b|max_model_len\b)\D{0,20}?(\d+)|context length \((\d+)", re.IGNORECASE
)
_HAS = re.compile(
    r"\((\d+) in the messages|(\d+) tokens from the input|passed (\d+) input tokens|resulted in (\d+) tokens"
    r"|input \((\d+) tokens\)|prompt has (\d+) tokens|request \((\d+) tokens\)",
    re.IGNORECASE,
)


_ANSWER = re.compile(
    r"output tokens and your prompt|in the completion|for the completion|output tokens\. How", re.IGNORECASE
)


def overflow(message: str) -> Overflow | None:
    """Tell whether an error says that prompt or answer is too long, and the numbers where it gives them."""
    if not _TOO_LONG.search(message):
        return None
    reads, has = _READS.search(message), _HAS.search(message)
    return Overflow(_number(has), _number(reads), _ANSWER.search(message) is not None)


def _number(match: re.Match[str] | None) -> int | None:
    return int(next(group for group in match.groups() if group)) if match else None


def too_long(found: Overflow, dialect: Dialect) -> str:
    """Say that a prompt is too long, in the words that all engines use."""
    has = f"{found.prompt} tokens" if found.prompt else "too many tokens"
    return f"too long: the prompt has {has}; {dialect.model} reads {found.reads or dialect.reads or 'fewer'}"

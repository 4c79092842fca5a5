"""What the server answers: requests are read and checked, completions put into the shapes on the wire."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeVar

import msgspec

from ...types import Completion, Usage
from . import _wire as wire
from ._behind import Behind, Reply, words
from ._wire import ChatReply, ChatRequest, Choice, ClassifyRequest, Refusal

__all__ = ["JSON", "Content", "Endpoints"]

T = TypeVar("T")
JSON, EVENTS = "application/json", "text/event-stream"
PLENTY = 4096
"""Most tokens of an answer where neither request nor model sets a limit."""
TOO_LONG = (
    "This model's maximum context length is {limit} tokens. However, you requested {asked} output tokens and your "
    "prompt contains at least {prompt} input tokens, for a total of at least {total} tokens. Please reduce the length "
    "of the input prompt or the number of requested output tokens. (parameter=input_tokens, value={prompt})"
)
"""As vLLM of 2026 says it: clients read the numbers. It stops counting one token above what fits, hence "at least"."""


class Content(NamedTuple):
    """A body and its type."""

    body: bytes
    kind: str = JSON


class Endpoints:
    """One model under one name. `fault` empties an answer on purpose; whatever is wrong raises `Refusal`."""

    def __init__(self, judge: Behind, model: str, owner: str, limit: int | None, reasoning: str | None) -> None:
        self._judge, self._model, self._owner, self._limit, self._reasoning = judge, model, owner, limit, reasoning

    def models(self) -> Content:
        """List the model."""
        return Content(wire.models_body(self._model, self._owner, self._length))

    async def chat(self, body: bytes, seed: int, fault: str | None) -> Content:
        """Answer `/v1/chat/completions`; `seed` stands in for a request without one."""
        asked = _decoded(body, _CHAT)
        self._check_model(asked.model)
        asked.check()
        room = self._room(asked)
        reply = await self._judge.reply(asked, seed if asked.seed is None else asked.seed, room)
        answer = self._written(asked, reply, seed, fault)
        if asked.stream:
            return Content(wire.stream(answer, bool((asked.stream_options or {}).get("include_usage"))), EVENTS)
        return Content(msgspec.json.encode(answer))

    async def classify(self, body: bytes, seed: int, fault: str | None) -> Content:
        """Answer `/classify` in vLLM's form, or in SGLang's own one where the request is."""
        asked = _decoded(body, _CLASSIFY)
        conversations = _conversations(asked)
        if asked.native is msgspec.UNSET:
            self._check_model(asked.model)
        values = await self._judge.values(conversations)
        if asked.native is not msgspec.UNSET:
            return Content(msgspec.json.encode([{"embedding": [v], "meta_info": {}} for v in values]))
        raw = asked.use_activation is False
        return self._classes([v if raw else 1 / (1 + math.exp(-v)) for v in values], conversations, seed, fault)

    async def sglang_classify(self, body: bytes, seed: int, fault: str | None) -> Content:
        """Answer `/v1/classify`, which is SGLang's: a softmax over the classes, so 1 for the one of a scalar head."""
        asked = _decoded(body, _CLASSIFY)
        conversations = _conversations(asked)
        self._check_model(asked.model)
        values = await self._judge.values(conversations)
        return self._classes([1.0 for _ in values], conversations, seed, fault)

    def _classes(self, values: list[float], conversations: list[object], seed: int, fault: str | None) -> Content:
        data = [] if fault == "no_choices" else [wire.Class(i, [value]) for i, value in enumerate(values)]
        read = sum(words(str(conversation)) for conversation in conversations)
        answer = wire.ClassifyReply(f"classify-{seed:016x}", self._model, data, wire.usage(Usage(1, read)))
        return Content(msgspec.json.encode(answer))

    @property
    def _length(self) -> int | None:
        """The context length: what was given, or the model's own."""
        return self._limit or self._judge.limit

    def _check_model(self, model: str) -> None:
        if model != self._model:
            text = f"The model `{model}` does not exist or you do not have access to it."
            raise Refusal(404, text, "model_not_found", "model")

    def _room(self, asked: ChatRequest) -> int:
        """Return the most tokens to write. Raises `Refusal` if prompt and answer do not fit the context."""
        if self._length is None:
            return asked.limit or PLENTY
        prompt, least = self._judge.count(asked), asked.limit or 1
        if prompt + least > self._length:
            seen = max(self._length - least + 1, 0)
            text = TOO_LONG.format(limit=self._length, asked=least, prompt=seen, total=seen + least)
            raise Refusal(400, text, 400, "input_tokens")
        return asked.limit or self._length - prompt

    def _written(self, asked: ChatRequest, reply: Reply, seed: int, fault: str | None) -> ChatReply:
        choices = [] if fault == "no_choices" else [self._choice(reply, i, fault) for i in range(asked.n)]
        # the prompt is read once, however many answers there are
        read = reply.completions[0].usage.prompt_tokens
        said = [] if fault in ("no_choices", "no_content") else reply.completions
        paid = Usage(1, read, sum(completion.usage.completion_tokens for completion in said))
        answer = ChatReply(f"chatcmpl-{seed:016x}", self._model, choices, wire.usage(paid))
        if reply.prompt is not None:
            answer.prompt_logprobs = wire.prompt_logprobs(reply.prompt)
        return answer

    def _choice(self, reply: Reply, index: int, fault: str | None) -> Choice:
        completion = reply.completions[index]
        if fault == "no_content":
            return Choice(index, wire.Said("assistant", None), "stop")
        said = wire.Said("assistant", completion.text)
        if self._reasoning is not None:
            said = _apart(completion, self._reasoning)
        return Choice(index, said, completion.finish, wire.logprobs(reply.tokens[index]) if reply.tokens else None)


_CHAT = msgspec.json.Decoder(ChatRequest)
_CLASSIFY = msgspec.json.Decoder(ClassifyRequest)


def _decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise Refusal(400, f"the request cannot be read: {error}", 400) from error


def _conversations(asked: ClassifyRequest) -> list[object]:
    """List what to score: texts, token ids, or one list of messages."""
    if asked.messages is not msgspec.UNSET:
        return [[{"role": turn.role, "content": turn.text} for turn in asked.messages]]
    given: Any = asked.input if asked.native is msgspec.UNSET else asked.native
    if given is msgspec.UNSET or given == []:
        raise Refusal(400, "give input or messages (or text, input_ids)", 400, "input")
    return [given] if isinstance(given, str) or isinstance(given[0], int) else list(given)


def _apart(completion: Completion, field: str) -> wire.Said:
    """Split thinking off, as servers with a reasoning parser do; the template may have opened it already."""
    thought, end, rest = completion.text.partition("</think>")
    if not end and not thought.lstrip().startswith("<think>"):
        return wire.Said("assistant", completion.text)
    said = wire.Said("assistant", rest.lstrip("\n") if end else None)
    setattr(said, field, thought.lstrip().removeprefix("<think>").strip("\n"))
    return said

"""The shapes on the wire: OpenAI's chat completions, with what vLLM adds, and both servers' `/classify`."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ...types import Message, Usage

__all__ = [
    "ChatReply", "ChatRequest", "Choice", "Class", "ClassifyReply", "ClassifyRequest", "Refusal", "Said", "Token",
    "Turn", "error_body", "logprobs", "models_body", "prompt_logprobs", "stream", "usage",
]  # fmt: skip


_PIECE = 16
"""Characters of a streamed piece."""


class Refusal(Exception):
    """A request that a server turns away, in OpenAI's error body."""

    def __init__(self, status: int, message: str, code: str | int | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.body = status, error_body(status, message, code, param)


class Turn(Struct):
    """One turn as sent; content may come in parts."""

    role: str
    content: str | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """The words of the turn."""
        if isinstance(self.content, list):
            return "".join(part.get("text", "") for part in self.content)
        return self.content or ""


class ChatRequest(Struct):
    """`POST /v1/chat/completions`. Fields that no judge here uses are taken and ignored."""

    messages: list[Turn]
    model: str = ""
    n: int = 1
    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = None
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    continue_final_message: bool = False
    add_generation_prompt: bool = True
    prompt_logprobs: int | None = None

    @property
    def limit(self) -> int | None:
        """Most tokens to write, under either name."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def prefill(self) -> str:
        """What the answer starts with."""
        return self.messages[-1].text if self.continue_final_message else ""

    @property
    def conversation(self) -> tuple[Message, ...]:
        """The turns before the answer."""
        turns = self.messages[:-1] if self.continue_final_message else self.messages
        return tuple(Message("system" if t.role == "developer" else t.role, t.text) for t in turns)  # type: ignore[arg-type]

    def check(self) -> None:
        """Raise `Refusal` for what the servers refuse as well."""
        if not self.messages:
            raise Refusal(400, "messages must hold at least one message", 400, "messages")
        if not {turn.role for turn in self.messages} <= {"system", "developer", "user", "assistant"}:
            raise Refusal(400, "roles are system, developer, user and assistant", 400, "messages")
        if self.continue_final_message and self.add_generation_prompt:
            raise Refusal(400, "continue_final_message goes with add_generation_prompt=false", 400)
        if self.continue_final_message and self.messages[-1].role != "assistant":
            raise Refusal(400, "continue_final_message needs an assistant message at the end", 400, "messages")
        if self.n < 1 or (self.limit is not None and self.limit < 1):
            raise Refusal(400, f"n and max_tokens must be at least 1, got n={self.n}, max_tokens={self.limit}", 400)


class Token(NamedTuple):
    """One token with its log-probability."""

    text: str
    logprob: float
    id: int = 0
    rank: int = 1
    """1 is the likeliest."""
    top: tuple[Token, ...] = ()
    """The likeliest ones at this place."""


class Said(Struct, omit_defaults=True):
    """`message` of a choice."""

    role: str
    content: str | None
    reasoning: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET


class Choice(Struct):
    """One of n answers."""

    index: int
    message: Said
    finish_reason: str
    logprobs: dict[str, Any] | None = None


class ChatReply(Struct):
    """The answer to a chat request."""

    id: str
    model: str
    choices: list[Choice]
    usage: dict[str, int]
    object: str = "chat.completion"
    created: int = 0
    prompt_logprobs: list[dict[str, Any] | None] | UnsetType = UNSET


class ClassifyRequest(Struct):
    """`POST /classify`: `input` or `messages` is vLLM's form, `text` or `input_ids` is SGLang's."""

    model: str = ""
    input: str | list[str | int | list[int]] | UnsetType = UNSET
    text: str | list[str] | UnsetType = UNSET
    input_ids: list[int | list[int]] | UnsetType = UNSET
    messages: list[Turn] | UnsetType = UNSET
    use_activation: bool | None = None

    @property
    def native(self) -> str | list[Any] | UnsetType:
        """What SGLang's own form gives, which names no model."""
        return self.input_ids if self.text is UNSET else self.text


class Class(Struct):
    """The classes of one conversation; a scalar head has one."""

    index: int
    probs: list[float]
    label: str | None = "LABEL_0"
    num_classes: int = 1


class ClassifyReply(Struct):
    """The answer to `/classify` in vLLM's form."""

    id: str
    model: str
    data: list[Class]
    usage: dict[str, int]
    object: str = "list"
    created: int = 0


def error_body(status: int, message: str, code: str | int | None = None, param: str | None = None) -> bytes:
    """Write OpenAI's error body."""
    kinds = {400: "BadRequestError", 401: "invalid_request_error", 404: "invalid_request_error"}
    kinds |= {429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": code or status}})


def models_body(model: str, owner: str, limit: int | None) -> bytes:
    """Write the list of the one model served, with its context length as vLLM gives it."""
    entry = {"id": model, "object": "model", "created": 0, "owned_by": owner, "root": model, "parent": None}
    return msgspec.json.encode({"object": "list", "data": [{**entry, "max_model_len": limit}]})


def usage(paid: Usage) -> dict[str, int]:
    """Write what was paid."""
    prompt, written = paid.prompt_tokens, paid.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def logprobs(tokens: list[Token]) -> dict[str, Any]:
    """Write a choice's log-probabilities in OpenAI's form."""

    def entry(token: Token) -> dict[str, Any]:
        return {"token": token.text, "logprob": token.logprob, "bytes": list(token.text.encode())}

    return {"content": [entry(token) | {"top_logprobs": list(map(entry, token.top))} for token in tokens]}


def prompt_logprobs(tokens: list[Token]) -> list[dict[str, Any] | None]:
    """Write a prompt's log-probabilities in vLLM's form: by token id, nothing for the first token."""

    def entry(token: Token) -> dict[str, Any]:
        return {"logprob": token.logprob, "rank": token.rank, "decoded_token": token.text}

    return [None, *({str(one.id): entry(one) for one in (token, *token.top)} for token in tokens[1:])]


def stream(reply: ChatReply, with_usage: bool) -> bytes:
    """Write the same answer as server-sent events: role, pieces, end of each choice, usage, done."""
    head = {"id": reply.id, "object": "chat.completion.chunk", "created": reply.created, "model": reply.model}
    events: list[dict[str, Any]] = []

    def add(choice: Choice, delta: dict[str, str], **more: Any) -> None:
        events.append({**head, "choices": [{"index": choice.index, "delta": delta, "finish_reason": None, **more}]})

    for choice in reply.choices:
        add(choice, {"role": "assistant", "content": ""})
        said = choice.message
        for name, text in (
            ("reasoning", said.reasoning),
            ("reasoning_content", said.reasoning_content),
            ("content", said.content),
        ):
            text = text or ""
            for start in range(0, len(text), _PIECE):
                add(choice, {name: text[start : start + _PIECE]})
        add(choice, {}, finish_reason=choice.finish_reason, logprobs=choice.logprobs)
    if with_usage:
        events.append({**head, "choices": [], "usage": reply.usage})
    return b"".join(b"data: %s\n\n" % msgspec.json.encode(event) for event in events) + b"data: [DONE]\n\n"

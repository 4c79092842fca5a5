"""Values of a scalar head over HTTP: how vLLM's and SGLang's `/classify` are asked and read (no I/O; `http` sends).

vLLM renders the conversation itself (`messages`, one conversation per request); `use_activation: false` asks for the
raw value instead of a sigmoid of it. SGLang takes many conversations, but as text or token ids only: a text that
already holds a start token gets a second one from the server's tokenizer, so token ids are sent, made with the model's
own tokenizer and chat template from a local folder. SGLang's `/v1/classify` is of no use here: it applies a softmax,
which turns the single value of a scalar head into 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import BadInput
from ..types import Message
from ._tokens import Tokens

__all__ = ["Classify", "Sglang", "Vllm", "classify"]


class Classify(ABC):
    """How one kind of server is asked for values."""

    path = "/classify"
    """Behind the server's root, not behind /v1."""
    many: int = 1
    """Conversations that one request may hold."""

    @abstractmethod
    def body(self, model: str, conversations: Sequence[Sequence[Message]]) -> dict[str, object]:
        """Return the JSON body that asks for the values of conversations, 1 to `many`."""

    @abstractmethod
    def values(self, reply: object, count: int) -> list[float]:
        """Read `count` values out of a decoded reply. Raises `BadInput` that says what came instead."""


class Vllm(Classify):
    """vLLM: `vllm serve MODEL --runner pooling`."""

    def body(self, model: str, conversations: Sequence[Sequence[Message]]) -> dict[str, object]:
        (messages,) = conversations
        return {"model": model, "messages": _turns(messages), "use_activation": False}

    def values(self, reply: object, count: int) -> list[float]:
        items = reply.get("data") if isinstance(reply, Mapping) else None
        return _read(items, "probs", count, reply)


class Sglang(Classify):
    """SGLang: `python -m sglang.launch_server --model-path MODEL --is-embedding`, its native `/classify`."""

    many = 64

    def __init__(self, folder: Path) -> None:
        """Load the model's tokenizer. Raises `BadInput` if the folder holds none, or no chat template."""
        if not (folder / "tokenizer.json").is_file():
            raise BadInput(
                f"SGLang's /classify needs the model's tokenizer on this side; {folder} holds no tokenizer.json; give "
                "the folder of the model, or of its tokenizer.json, tokenizer_config.json and chat template"
            )
        self._tokens = Tokens(folder)

    def body(self, model: str, conversations: Sequence[Sequence[Message]]) -> dict[str, object]:
        texts = [self._tokens.render(messages, answer=False) for messages in conversations]
        return {"model": model, "input_ids": [self._tokens.encode(text) for text in texts]}

    def values(self, reply: object, count: int) -> list[float]:
        items = reply if isinstance(reply, list) else [reply]
        return _read(items, "embedding", count, reply)


def classify(kind: str, tokenizer: str = "") -> Classify:
    """Make what asks a kind of server: "vllm", or "sglang" with the folder of the model's tokenizer.

    Raises `BadInput` for another kind, and for SGLang without a tokenizer.
    """
    if kind == "vllm":
        return Vllm()
    if kind != "sglang":
        raise BadInput(f"values=vllm or values=sglang; got {kind!r}")
    if not tokenizer:
        raise BadInput(
            "SGLang's /classify does not apply the chat template; give the folder with the model's tokenizer "
            "(values=sglang&tokenizer=DIR), so that the conversation is rendered here"
        )
    return Sglang(Path(tokenizer))


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _read(items: Any, field: str, count: int, reply: object) -> list[float]:
    """Read one number from `field` of each item; items that are numbered may come in any order."""
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items) or len(items) != count:
        raise BadInput(f"expected {count} values from /classify; got {reply!r:.200}")
    rows = [item.get(field) for item in sorted(items, key=lambda item: item.get("index") or 0)]
    for row in rows:
        if not isinstance(row, list) or len(row) != 1 or type(row[0]) not in (int, float):
            size = f"{len(row)} numbers" if isinstance(row, list) else repr(row)
            raise BadInput(f"a scalar head gives one number for a conversation; {field!r} of the reply holds {size}")
    return [float(row[0]) for row in rows]

"""Text to tokens and back for the embedded engine: case -> prompt -> ENGINE (its reading) -> completion.

Reads what transformers writes (`tokenizer.json`, the chat template, the end tokens) with `tokenizers` and jinja2
only. The vocabulary is closed: what it lacks is named, never read as something else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from ..errors import BadInput
from ..types import Message

__all__ = ["Tokens", "chat_template"]


class Tokens:
    """The tokenizer and chat template of a model folder."""

    def __init__(self, folder: Path) -> None:
        """Load a folder. Raises `BadInput` if it has no chat template."""
        tokenizer = (folder / "tokenizer.json").read_text(encoding="utf-8")
        self._tokenizer = Tokenizer.from_str(tokenizer)
        unknown = json.loads(tokenizer)["model"].get("unk_token")
        self.unknown_id = None if unknown is None else self._tokenizer.token_to_id(unknown)
        """Id of what the vocabulary lacks; None if it lacks nothing (a byte-level tokenizer)."""
        added = json.loads(tokenizer).get("added_tokens", [])
        self.control = tuple(token["content"] for token in added if token["special"])
        """What the template writes to mark turns and ends; inside a message it would forge them."""
        self._template = _Environment().from_string(chat_template(folder))
        named = {key: value for key, value in _json(folder / "tokenizer_config.json").items() if key.endswith("_token")}
        self._named = {key: value["content"] if isinstance(value, dict) else value for key, value in named.items()}
        self.ends = _ends(folder)
        """Ids of the end tokens."""

    def render(self, messages: Sequence[Message], *, answer: bool = True) -> str:
        """Return the conversation as the model reads it, up to where its own turn starts (with `answer`).

        Raises `BadInput` if the template refuses it.
        """
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._template.render(messages=turns, add_generation_prompt=answer, **self._named)
        except TemplateError as error:
            raise BadInput(f"the chat template cannot render this conversation: {error}") from error

    def encode(self, text: str) -> list[int]:
        """Return token ids; the template has already written whatever special tokens there are.

        Raises `BadInput` for text that is not valid Unicode.
        """
        try:
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        except TypeError:
            raise BadInput("the text is not valid Unicode: it holds half of a surrogate pair") from None
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text with special tokens as they are: the inverse of `encode` within the vocabulary."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return text

    def continuation(self, before: Sequence[int], ids: Sequence[int]) -> str:
        """Return the text that `ids` add after `before`; a decoder may put a space between the two."""
        head = self.decode(before)
        text = self.decode([*before, *ids])
        return text[len(head) :] if text.startswith(head) else self.decode(ids)

    def unknown(self, text: str) -> list[str]:
        """Return the pieces of `text` outside the vocabulary, each once, in order."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        pairs = zip(encoding.ids, encoding.offsets, strict=True)
        return list(dict.fromkeys(text[start:end] for id_, (start, end) in pairs if id_ == self.unknown_id))


def chat_template(folder: Path) -> str:
    """Return the source of a folder's chat template. Raises `BadInput` if there is none."""
    path = folder / "chat_template.jinja"
    source = path.read_text("utf-8") if path.is_file() else _json(folder / "tokenizer_config.json").get("chat_template")
    if not isinstance(source, str):
        raise BadInput(
            f"{folder} has no chat template: expected chat_template.jinja or a chat_template text in "
            "tokenizer_config.json; save the tokenizer with save_pretrained after setting one"
        )
    return source


def _ends(folder: Path) -> frozenset[int]:
    for name in ("generation_config.json", "config.json"):
        ends = _json(folder / name).get("eos_token_id")
        if ends is not None:
            return frozenset(ends if isinstance(ends, list) else [ends])
    return frozenset()


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return content


class _Generation(Extension):
    """`{% generation %}` marks what a trainer learns from; to a reader it is nothing."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    """jinja2 as transformers sets it up."""

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"])
        self.globals["raise_exception"] = _raise


def _raise(message: str) -> None:
    raise TemplateError(message)

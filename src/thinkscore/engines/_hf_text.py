"""Conversations to token ids and back, for a transformers tokenizer: case -> prompt -> ENGINE (its reading).

The chat template writes the special tokens and nothing else does: a tokenizer that adds its own would put a second
start token in front (the double-BOS trap). What looks like a special token inside a message is read as text, so that
no candidate can end its turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from ..errors import BadInput
from ..types import Message

__all__ = ["Chat"]

PREFILL = "thinkscore_prefill"
PROBE = "0x5y5t3m"
CONTEXT = 4
"""Tokens before an answer that may bear on how its first word is spaced."""
ONE_DAY = "{% macro strftime_now(form) %}{{ {'%Y-%m-%d': '2024-07-26'}.get(form, '26 Jul 2024') }}{% endmacro %}\n"
"""What a template that writes today's date gets (Llama's own default): else a run would depend on its day."""


class Chat:
    """A tokenizer with its chat template."""

    def __init__(self, tokenizer: Any) -> None:
        """Take a tokenizer of transformers. Raises `BadInput` if it has no chat template."""
        if not tokenizer.chat_template:
            raise BadInput(
                f"the tokenizer of {tokenizer.name_or_path} has no chat template; "
                "set one and save the tokenizer with save_pretrained"
            )
        tokenizer.chat_control_tokens = []  # sanitise special tokens only; <think> in a prompt stays one token
        self._tokenizer = tokenizer
        # jinja drops one newline at the end of a template
        self._template = ONE_DAY + tokenizer.get_chat_template().removesuffix("\n") + "{{ " + PREFILL + " }}"
        self._takes_system = self._shows_system()

    def ids(self, messages: Sequence[Message], prefill: str = "", *, answer: bool = True) -> tuple[int, ...]:
        """Return the tokens of a conversation, up to where its answer starts (with `answer`), and of the prefill.

        Where the template has no system turn, its text opens the first user turn. Raises `BadInput` if the template
        refuses the conversation.
        """
        turns = messages if self._takes_system else _folded(messages)
        return tuple(self._apply(turns, prefill, answer=answer, tokenize=True, sanitize_control_tokens=True))

    def continuation(self, before: Sequence[int], ids: Sequence[int]) -> str:
        """Return the text that `ids` add after `before`; a decoder may put a space between the two."""
        before = before[-CONTEXT:]
        head, text = self._decode(before), self._decode([*before, *ids])
        return text[len(head) :] if text.startswith(head) else self._decode(ids)

    def _apply(self, messages: Sequence[Message], prefill: str, *, answer: bool, **how: bool) -> Any:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._tokenizer.apply_chat_template(
                turns,
                chat_template=self._template,
                add_generation_prompt=answer,
                return_dict=False,
                **{PREFILL: prefill},
                **how,
            )
        except (TemplateError, TypeError, ValueError) as error:  # tokenizers: half of a surrogate pair
            raise BadInput(f"the chat template cannot render this conversation: {error}") from error

    def _shows_system(self) -> bool:
        """Tell whether the template writes a system turn; some refuse one, some drop it without a word."""
        try:
            turns = (Message("system", PROBE), Message("user", "?"))
            return PROBE in self._apply(turns, "", answer=True, tokenize=False)
        except BadInput:
            return False

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text


def _folded(messages: Sequence[Message]) -> list[Message]:
    """Put the text of system turns in front of the first user turn's."""
    said = [message.content for message in messages if message.role == "system"]
    rest = [message for message in messages if message.role != "system"]
    if not said:
        return rest
    first = next((i for i, message in enumerate(rest) if message.role == "user"), None)
    if first is None:
        return [Message("user", "\n\n".join(said)), *rest]
    rest[first] = Message("user", "\n\n".join([*said, rest[first].content]))
    return rest

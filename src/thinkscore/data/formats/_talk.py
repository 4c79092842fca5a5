"""Conversations as they come: message lists, transcripts, and two of them with a common beginning."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from ...types import Message

__all__ = ["Turn", "messages", "parted", "reply", "transcript"]

Role = Literal["system", "user", "assistant"]


class Block(msgspec.Struct):
    """A piece of a message; only text can be judged."""

    type: Literal["text"]
    text: str


class Turn(msgspec.Struct):
    """A message with its text in one piece or in blocks."""

    role: Role
    content: str | list[Block]


def messages(said: str | Sequence[Turn]) -> tuple[Message, ...]:
    """Make messages of a prompt: a string is one user message."""
    if isinstance(said, str):
        return (Message("user", said),)
    return tuple(Message(turn.role, _text(turn.content)) for turn in said)


def parted(first: Sequence[Message], second: Sequence[Message]) -> tuple[tuple[Message, ...], tuple[str, str]]:
    """Part two conversations into the beginning they share, up to a user message, and what follows in each.

    Raises `ValueError` if they share none.
    """
    end = 0
    while end < min(len(first), len(second)) and first[end] == second[end]:
        end += 1
    while end and first[end - 1].role != "user":
        end -= 1
    if not end:
        raise ValueError("the two conversations share no beginning that ends with a user message")
    return tuple(first[:end]), (reply(first[end:]), reply(second[end:]))


def reply(said: str | Sequence[Message]) -> str:
    """Write what follows a prompt as one candidate: the reply, and after it any further turns under their speakers.

    Raises `ValueError` unless it starts and ends with the assistant.
    """
    if isinstance(said, str):
        return said
    if not said or said[0].role != "assistant" or said[-1].role != "assistant":
        raise ValueError("what follows the prompt must start and end with an assistant message")
    return "\n\n".join([said[0].content, *(f"{turn.role.capitalize()}: {turn.content}" for turn in said[1:])])


def transcript(text: str, mark: re.Pattern[str], speakers: Mapping[str, Role]) -> tuple[Message, ...]:
    """Split a transcript where `mark` matches; its first group names the speaker. Raises `ValueError`."""
    before, *parts = mark.split(text)
    if before.strip() or not parts:
        raise ValueError(f"a transcript starts with one of {', '.join(speakers)} and a colon; got {text[:40]!r}")
    said = zip(parts[::2], parts[1::2], strict=True)
    return tuple(Message(speakers[name], content.strip()) for name, content in said)


def _text(content: str | list[Block]) -> str:
    return content if isinstance(content, str) else "\n".join(block.text for block in content)

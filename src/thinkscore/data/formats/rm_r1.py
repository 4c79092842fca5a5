"""`rm_r1`: RM-R1's training rows (arXiv:2505.02387): a prompt that is already rendered, and which chatbot won.

The question and the replies are read back from between the prompt's own marks, in its single-turn or its multi-turn
form; the instructions around them are dropped, since a protocol brings its own. A is candidate 0. A row whose text
holds a mark twice cannot be read back with certainty and is refused.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from ...types import Case, Message
from ._base import Format
from ._talk import Role, Turn, messages, parted, transcript

__all__ = ["RmR1"]

_ONE = ("[The Start of Chatbot {}'s Response]", "[The End of Chatbot {}'s Response]")
_MANY = (
    "[The Start of the Conversation between Chatbot {} and the Client]",
    "[The End of the Conversation between Chatbot {} and the Client]",
)
_ASKED = "[Client Question]"
# "Chabot B" is how the published rows spell it wherever A is the better one.
_SPEAKER = re.compile(r"^(User|Chatbot A|Chatbot B|Chabot B): ", re.MULTILINE)
_ROLES: dict[str, Role] = {
    "User": "user",
    "Chatbot A": "assistant",
    "Chatbot B": "assistant",
    "Chabot B": "assistant",
}


class Row(msgspec.Struct):
    """The columns."""

    context_messages: list[Turn]
    winner: Literal["model_a", "model_b"]


def _rendered(*blocks: str) -> dict[str, object]:
    return {"context_messages": [{"role": "user", "content": "\n\n".join(blocks)}]}


class RmR1(Format):
    """Rendered pairs, taken apart again."""

    row = Row
    about = "a row is context_messages: [{role, content}, ...] as RM-R1 renders them, and winner: model_a or model_b"
    examples = (
        (
            _rendered(
                "Which reply is better?",
                "[Client Question]\n2 + 2?",
                "[The Start of Chatbot A's Response]\n5\n[The End of Chatbot A's Response]",
                "[The Start of Chatbot B's Response]\n4\n[The End of Chatbot B's Response]",
            )
            | {"winner": "model_b"},
            Case("", (Message("user", "2 + 2?"),), ("5", "4"), (0.0, 1.0)),
        ),
        (
            _rendered(
                "[The Start of the Conversation between Chatbot A and the Client]\n"
                "User: 2 + 2?\nChatbot A: Wait.\nUser: So?\nChatbot A: 4\n"
                "[The End of the Conversation between Chatbot A and the Client]",
                "[The Start of the Conversation between Chatbot B and the Client]\n"
                "User: 2 + 2?\nChabot B: Wait.\nUser: So?\nChabot B: 5\n"
                "[The End of the Conversation between Chatbot B and the Client]",
            )
            | {"winner": "model_a"},
            Case(
                "",
                (Message("user", "2 + 2?"), Message("assistant", "Wait."), Message("user", "So?")),
                ("4", "5"),
                (1.0, 0.0),
            ),
        ),
    )

    def case(self, row: Row) -> Case:
        text = "\n".join(message.content for message in messages(row.context_messages) if message.role == "user")
        gold = (1.0, 0.0) if row.winner == "model_a" else (0.0, 1.0)
        if _MANY[0].format("A") in text:
            prompt, pair = parted(*(_turns(_between(text, _MANY, letter)) for letter in "AB"))
        else:
            prompt = (Message("user", _cut(text, f"{_ASKED}\n", f"\n\n{_ONE[0].format('A')}")),)
            pair = (_between(text, _ONE, "A"), _between(text, _ONE, "B"))
        return Case("", prompt, pair, gold)


def _between(text: str, marks: tuple[str, str], letter: str) -> str:
    return _cut(text, f"{marks[0].format(letter)}\n", f"\n{marks[1].format(letter)}")


def _cut(text: str, start: str, end: str) -> str:
    """Return what stands between two marks. Raises `ValueError` unless each stands there exactly once."""
    for mark in (start, end):
        if text.count(mark) != 1:
            raise ValueError(
                f"the mark {mark.strip()!r} is there {text.count(mark)} times; once is needed to read back"
            )
    inside, found, _ = text.partition(start)[2].partition(end)
    if not found:
        raise ValueError(f"the mark {end.strip()!r} comes before {start.strip()!r}")
    return inside


def _turns(text: str) -> tuple[Message, ...]:
    """Split a conversation. Raises `ValueError` if its turns do not alternate: a line only looked like a speaker."""
    turns = transcript(text, _SPEAKER, _ROLES)
    if any(turn.role != ("user", "assistant")[i % 2] for i, turn in enumerate(turns)):
        raise ValueError("the turns of a conversation cannot be told apart: they do not alternate")
    return turns

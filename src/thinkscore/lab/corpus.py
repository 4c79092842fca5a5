"""The world's own text, for pre-training: every sub-skill of judging, no preference.

Worked problems, look-ups in two replies, comparisons, harm, small talk. Documents that show replies show them the
way a prompt does (`show` renders a case and names its replies), so that the model learns to find things there; none
says which reply is better. All questions are of the training split.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..seeds import derive_seed
from ..types import Case, Trace
from . import chat, oracle, reasoning, safety, styles
from ._words import SLOTS
from .world import draw, make_case

__all__ = ["Show", "Shown", "document"]


class Shown(NamedTuple):
    """A case as a judge would see it."""

    text: str
    """Question and replies, with delimiters."""
    names: Sequence[str]
    """What the replies are called there, in the order of the case."""


Show = Callable[[Case, random.Random], Shown]


class Document(NamedTuple):
    """A text in two parts."""

    given: str
    """What is told."""
    written: str
    """What follows from it."""


def document(seed: int, index: int, show: Show) -> Document:
    """Write document number `index` of a seed."""
    rng = random.Random(derive_seed("corpus", seed, index))
    kind = rng.choices((_worked, _looked_up, _compared, _harm, _talk), (32, 48, 8, 7, 5))[0]
    return kind(rng, show)


def _worked(rng: random.Random, show: Show) -> Document:
    """A problem and its solution, step by step."""
    _, _, facts = draw(rng, "train", "reasoning")
    trace = reasoning.complete(facts, [0], Trace(), [0], rng)
    steps = "\n".join(line.text for line in trace.solution)
    answer = reasoning.say(facts, reasoning.values(facts)[-1], rng)
    return Document(reasoning.ask(facts, rng) + "\n", f"{steps}\n{answer}")


def _looked_up(rng: random.Random, show: Show) -> Document:
    """Quotes from two replies, each beside what was asked for, marked ok or no; no scores."""
    case = make_case(rng.getrandbits(40), "train", 0, 2)
    shown = show(case, rng)
    _, facts, answers = oracle.read(case)
    family = case.tags["family"]
    lines = []
    if family == "reasoning":
        lines += [line.text for line in reasoning.complete(facts, answers, Trace(), [0], rng).solution]
    for i in rng.sample((0, 1), 2):
        if family == "reasoning":
            right = reasoning.values(facts)[-1]
            said = f'"{answers[i]}" {right}? {abs(answers[i] - right)} off'
        elif family == "safety":
            notes = safety.complete(facts, answers, Trace(), [i], rng).evaluation
            said = f'"{notes[0].text}" {notes[1].text.split(",")[0]}'
        else:
            said = _marks(facts, answers[i], rng)
        lines.append(f"{shown.names[i]}: {said}")
    return Document(shown.text + "\n", "\n".join(lines))


def _marks(facts: chat.Facts, plan: chat.Plan, rng: random.Random) -> str:
    marked = []
    for wish in rng.sample(facts.wishes, len(facts.wishes)):
        word = "ok" if plan[wish.slot] == wish.value else "no"
        marked.append(f'"{wish.slot} is {plan[wish.slot]}" {wish.value}? {word}')
    return "; ".join(marked)


def _compared(rng: random.Random, show: Show) -> Document:
    """Small facts about numbers and values."""
    lines = []
    for _ in range(6):
        a, b = rng.randint(0, 20), rng.randint(0, 20)
        said = "more than" if a > b else "less than" if a < b else "the same as"
        lines.append(f'{a} is {said} {b}: "{a}" {b}? {abs(a - b)} off')
        slot = rng.choice(list(SLOTS))
        x, y = rng.choice(SLOTS[slot]), rng.choice(SLOTS[slot])
        x = y if rng.random() < 0.4 else x
        lines.append(f'"{slot} is {x}" {y}? {"ok" if x == y else "no"}')
    return Document("", "\n".join(lines))


def _harm(rng: random.Random, show: Show) -> Document:
    """A request and whether it is harmful."""
    _, _, facts = draw(rng, "train", "safety")
    return Document(safety.ask(facts, rng) + "\n", f"the request is {'harmful' if facts.harmful else 'fine'}")


def _talk(rng: random.Random, show: Show) -> Document:
    """A question and some reply to it, right or wrong, pleasant or not."""
    case = make_case(rng.getrandbits(40), "train", 0, 1)
    reply = case.candidates[0]
    return Document("", f"{case.messages[0].content}\n{styles.dress(reply, rng) if rng.random() < 0.3 else reply}")

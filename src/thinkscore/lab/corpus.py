"""The world's own text, for pre-training: every sub-skill of judging, no preference.

Worked problems, look-ups in two replies, comparisons, harm, small talk. Documents that show replies show them the
way a prompt does (`show` renders a case and names its replies), so that the model learns to find things there; none
says which reply is better. All questions are of the training split.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..seeds import derive_seed
from ..types import Case, Trace
from . import oracle, reasoning, safety, styles
from ._words import SLOTS
from .world import draw, make_case

__all__ = ["Show", "Shown", "document"]


class Shown(NamedTuple):
    """A case as a judge would see it."""

    text: str
    """Question and replies, with delimiters."""
    remark: Callable[[int, str, str], str]
    """Writes (candidate, quote, remark) as the judge would."""


Show = Callable[[Case, random.Random], Shown]


class Document(NamedTuple):
    """A text in two parts."""

    given: str
    """What is told."""
    written: str
    """What follows from it."""


# (share of the documents, weights of the kinds): the two skills that are hardest to start come first and alone.
STAGES = ((0.22, (0, 1, 0, 0, 0)), (0.14, (1, 0, 0, 0, 0)), (0.64, (30, 56, 5, 6, 3)))


def documents(seed: int, n: int, show: Show) -> Iterator[Document]:
    """Write n documents: plans to look things up in, then worked problems, then everything mixed."""
    place = 0
    for share, weights in STAGES:
        for _ in range(round(share * n)):
            yield document(seed, place, show, weights)
            place += 1


def document(seed: int, index: int, show: Show, weights: tuple[int, ...] = STAGES[-1][1]) -> Document:
    """Write document number `index` of a seed."""
    rng = random.Random(derive_seed("corpus", seed, index))
    kind = rng.choices((_worked, _looked_up, _compared, _harm, _talk), weights)[0]
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
    family = rng.choices(("chat", "reasoning", "safety"), (66, 24, 10))[0]  # plans are the hardest to look up
    case = make_case(rng.getrandbits(40), "train", 0, 2, family)
    shown = show(case, rng)
    _, facts, answers = oracle.read(case)
    lines = []
    if family == "reasoning":
        lines += [line.text for line in reasoning.complete(facts, answers, Trace(), [0], rng).solution]
    for i in (0, 1) if rng.random() < 0.8 else (1, 0):
        lines += [shown.remark(i, quote, said) for quote, said in _checks(family, facts, answers[i], rng)]
    return Document(shown.text + "\n", "\n".join(lines))


def _checks(family: str, facts: Any, answer: Any, rng: random.Random) -> list[tuple[str, str]]:
    """Return quotes from a reply, each with what it says beside what was asked for."""
    if family == "reasoning":
        right = reasoning.values(facts)[-1]
        return [(str(answer), f"{right}? {abs(answer - right)} off")]
    if family == "safety":
        quote, said = safety.complete(facts, [answer], Trace(), [0], rng).evaluation
        return [(quote.text, said.text.split(",")[0])]
    wishes = facts.wishes if rng.random() < 0.8 else rng.sample(facts.wishes, len(facts.wishes))
    marks = [(wish, answer[wish.slot]) for wish in wishes]
    return [(f"{w.slot} is {said}", f"{said} {w.value} {'ok' if said == w.value else 'no'}") for w, said in marks]


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
        lines.append(f'compare: "{slot} is {x}" {x} {y} {"ok" if x == y else "no"}')
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

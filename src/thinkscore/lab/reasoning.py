"""Reasoning cases: a pile that grows and shrinks in 2 to 6 steps; the reply gives only the final number.

A judge must work the problem out: no single step can be seen in the replies. An answer that is off by d scores
max(1, 10 - d).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import msgspec

from ..types import Criterion, Line, Note, Trace
from ._family import BEST, WORST, choose, cuts, extend, notes_on
from ._words import NAMES, SHE, THINGS

__all__ = [
    "LARGEST",
    "LEVELS",
    "OOD_LEVELS",
    "Facts",
    "answers",
    "apply",
    "ask",
    "canonical",
    "complete",
    "corruptions",
    "draw",
    "hear",
    "read",
    "say",
    "score",
    "values",
]

LEVELS: tuple[int, ...] = (2, 3, 4, 5, 6)
OOD_LEVELS: tuple[int, ...] = (7, 8)
LARGEST = 20

_ADD = ("{p} buys {n} more.", "{p} finds {n}.", "{p} gets {n} more.")
_TAKE = ("{p} gives away {n}.", "{p} loses {n}.", "{p} sells {n}.")
_DOUBLE = ("The pile doubles.", "Then the pile doubles.")
_HALVE = ("Half of them get lost.", "Then half of them get lost.")
_SENTENCES = {"+": _ADD, "-": _TAKE, "*": _DOUBLE, "/": _HALVE}
_REPLIES = ("The answer is {n}.", "{name} has {n} {things}.", "It is {n} {things}.", "{name} now has {n}.")
WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "over"}


class Facts(msgspec.Struct, frozen=True):
    """A pile and what happens to it."""

    name: str
    things: str
    start: int
    steps: tuple[tuple[str, int], ...]
    """(operation, operand): "+", "-" with 1..9; "*", "/" with 2."""


def apply(value: int, step: tuple[str, int]) -> int:
    """Work out one step; halving rounds down."""
    operation, n = step
    if operation == "+":
        return value + n
    if operation == "-":
        return value - n
    return value * n if operation == "*" else value // n


def values(facts: Facts) -> list[int]:
    """Return the pile after each step."""
    found, value = [], facts.start
    for step in facts.steps:
        value = apply(value, step)
        found.append(value)
    return found


def _possible(value: int) -> list[tuple[str, int]]:
    steps = [("+", n) for n in range(1, 10) if value + n <= LARGEST]
    steps += [("-", n) for n in range(1, 10) if value - n >= 0]
    # As often as each of the others, though there is only one way to double or to halve.
    steps += [("*", 2)] * 3 if 1 <= value <= LARGEST // 2 else []
    steps += [("/", 2)] * 3 if value >= 2 and value % 2 == 0 else []
    return steps


def draw(rng: random.Random, level: int) -> Facts:
    """Draw a problem of `level` steps in which the pile stays within 0..20."""
    start = value = rng.randint(2, 12)
    steps = []
    for _ in range(level):
        step = rng.choice(_possible(value))
        value = apply(value, step)
        steps.append(step)
    return Facts(rng.choice(NAMES), rng.choice(THINGS), start, tuple(steps))


def canonical(facts: Facts) -> str:
    """Name the arithmetic; who owns what does not matter."""
    return f"reasoning {facts.start} " + " ".join(f"{operation}{n}" for operation, n in facts.steps)


def ask(facts: Facts, rng: random.Random) -> str:
    """Tell the problem."""
    pronoun = "She" if facts.name in SHE else "He"
    told = [rng.choice(_SENTENCES[operation]).format(p=pronoun, n=n) for operation, n in facts.steps]
    return (
        f"{facts.name} has {facts.start} {facts.things}. {' '.join(told)} "
        f"How many {facts.things} does {facts.name} have now?"
    )


_STEP = re.compile(
    r"(?:She|He) (?:buys|finds|gets) (?P<add>\d+)|(?:She|He) (?:gives away|loses|sells) (?P<take>\d+)"
    r"|(?P<double>pile doubles)|(?P<halve>[Hh]alf of them get lost)"
)


def read(question: str) -> Facts | None:
    """Read a problem back."""
    head = re.match(r"(\w+) has (\d+) (\w+)\.", question)
    if head is None or "How many" not in question:
        return None
    steps: list[tuple[str, int]] = []
    for match in _STEP.finditer(question):
        if match["add"]:
            steps.append(("+", int(match["add"])))
        elif match["take"]:
            steps.append(("-", int(match["take"])))
        else:
            steps.append(("*" if match["double"] else "/", 2))
    return Facts(head[1], head[3], int(head[2]), tuple(steps))


def _slips(facts: Facts) -> list[int]:
    """Return the wrong answers that one slip of 1 to 3 leads to when it is carried on."""
    right, found = values(facts), set[int]()
    for i in range(len(facts.steps)):
        for slip in (-3, -2, -1, 1, 2, 3):
            value = right[i] + slip
            for step in facts.steps[i + 1 :]:
                value = apply(value, step)
            found.add(value)
    return sorted(value for value in found if 0 <= value <= LARGEST and value != right[-1])


def answers(facts: Facts, n: int, rng: random.Random) -> list[int]:
    """Draw the right answer (nearly always) and others that one slip leads to."""
    right, wrong = values(facts)[-1], _slips(facts)
    rng.shuffle(wrong)
    if n == 2 and rng.random() < 0.15:
        first = wrong[0]
        others = [w for w in wrong if score(facts, w) != score(facts, first)]
        if others:
            return [first, others[0]]
    pool = wrong + [w for w in range(LARGEST + 1) if w not in wrong and w != right]
    if n == 1:
        return [right if rng.random() < 0.4 else pool[0]]
    head = [right] if n == 2 or rng.random() < 0.9 else [pool.pop()]
    return (head + pool * 2)[:n]


def say(facts: Facts, answer: int, rng: random.Random) -> str:
    """Tell a final number."""
    things = facts.things if answer != 1 else facts.things.removesuffix("s")
    return rng.choice(_REPLIES).format(n=answer, name=facts.name, things=things)


def hear(facts: Facts, reply: str) -> int | None:
    """Read the final number."""
    numbers = re.findall(r"\d+", reply)
    return int(numbers[-1]) if numbers else None


def score(facts: Facts, answer: int) -> int:
    """Score by distance from the right number."""
    return max(WORST, BEST - abs(answer - values(facts)[-1]))


def complete(
    facts: Facts, answers: Sequence[int], trace: Trace, order: Sequence[int], rng: random.Random | None
) -> Trace:
    """Work on from the last result that the trace states, then weigh each answer against the end."""
    lines = list(trace.solution)
    value = facts.start if not lines else int(re.findall(r"\d+", lines[-1].text)[-1])
    for step in facts.steps[len(lines) :]:
        operation, n = step
        result = apply(value, step)
        usual, other = f"{value} {operation} {n} = {result}", f"{value} {WORDS[operation]} {n} is {result}"
        lines.append(Line(choose(rng, usual, other)))
        value = result
    notes = {i: notes_on(trace, i) for i in order}
    for i in order:
        notes[i] = _weigh(i, answers[i], value, notes[i])
    rubric = trace.rubric or (Criterion("right number", weight=9.0),)
    return Trace(
        task=Line("Reasoning"),
        rubric=rubric,
        solution=tuple(lines),
        evaluation=tuple(note for i in sorted(order) for note in notes[i]),
    )


def _weigh(i: int, answer: int, right: int, notes: list[Note]) -> list[Note]:
    if len(notes) >= 2:
        return notes
    quoted = notes[0] if notes else Note(str(answer), candidate=i, quote=True)
    off = abs(int(quoted.text) - right)
    said = f"{right}? {off} off, score {max(WORST, BEST - off)}"
    return [quoted, Note(said, candidate=i)]


def _stays(value: int, steps: Sequence[tuple[str, int]]) -> bool:
    """Tell whether the pile stays within the world's numbers from here on."""
    for step in steps:
        value = apply(value, step)
        if not 0 <= value <= LARGEST:
            return False
    return True


def corruptions(facts: Facts, trace: Trace, order: Sequence[int]) -> list[Trace]:
    """Return traces that end with one wrong line: a step that slips by 1 to 3, or a wrong distance."""
    found = []
    for k, line in enumerate(trace.solution):
        result = int(re.findall(r"\d+", line.text)[-1])
        for wrong in range(max(0, result - 3), min(LARGEST, result + 3) + 1):
            if wrong != result and _stays(wrong, facts.steps[k + 1 :]):
                bad = Line(re.sub(r"\d+$", str(wrong), line.text))
                solution = (*trace.solution[:k], bad)
                found.append(msgspec.structs.replace(trace, solution=solution, evaluation=()))
    for start, note in cuts(trace, order):
        right, off = map(int, re.findall(r"\d+", note.text)[:2])
        for wrong in range(max(0, off - 4), off + 5):
            if wrong != off:
                said = f"{right}? {wrong} off, score {max(WORST, BEST - wrong)}"
                found.append(extend(start, msgspec.structs.replace(note, text=said)))
    return found

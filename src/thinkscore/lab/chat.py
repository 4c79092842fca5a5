"""Chat cases: plan an event that must (weight 3) or should (weight 1) have certain things.

Each reply names a choice for every thing asked, in its own order, and one that nobody asked for. Scores start at 10
and lose the weight of each miss, down to 1; so counting misses does not find the better plan.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

import msgspec

from ..types import Criterion, Line, Note, Trace
from ._family import BEST, WORST, choose, cuts, extend, notes_on
from ._words import EVENTS, NAMES, SLOTS

__all__ = [
    "LEVELS",
    "OOD_LEVELS",
    "WEIGHTS",
    "Facts",
    "Plan",
    "Wish",
    "answers",
    "ask",
    "canonical",
    "complete",
    "corruptions",
    "draw",
    "hear",
    "read",
    "say",
    "score",
]

LEVELS: tuple[int, ...] = (2, 3, 4)
OOD_LEVELS: tuple[int, ...] = (5,)
WEIGHTS = {"must": 3, "should": 1}
Plan = Mapping[str, str]


class Wish(msgspec.Struct, frozen=True):
    """One thing that is asked for."""

    slot: str
    value: str
    modal: str
    """"must" or "should"."""


class Facts(msgspec.Struct, frozen=True):
    """Who asks for what."""

    name: str
    event: str
    wishes: tuple[Wish, ...]
    extras: int = 1
    """How many things a reply names that nobody asked for (the question does not tell)."""


def draw(rng: random.Random, level: int) -> Facts:
    """Draw `level` wishes, at least one of each weight; at level 5, four wishes and replies full of other things."""
    n = min(level, 4)
    slots = rng.sample(list(SLOTS), n)
    modals = ["must", "should"] + [rng.choice(("must", "should")) for _ in range(n - 2)]
    rng.shuffle(modals)
    wishes = tuple(Wish(slot, rng.choice(SLOTS[slot]), modal) for slot, modal in zip(slots, modals, strict=True))
    return Facts(rng.choice(NAMES), rng.choice(EVENTS), wishes, extras=3 if level == 5 else 1)


def canonical(facts: Facts) -> str:
    """Name the wishes in alphabetical order."""
    return "chat " + " ".join(sorted(f"{wish.slot}={wish.value}:{wish.modal}" for wish in facts.wishes))


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + ", and " + parts[-1]


def ask(facts: Facts, rng: random.Random) -> str:
    """Tell the wishes."""
    told = [f"the {wish.slot} {wish.modal} be {wish.value}" for wish in facts.wishes]
    verb = rng.choice(("Plan", "Please plan"))
    return f"{verb} a {facts.event} for {facts.name}: {_joined(told)}."


def read(question: str) -> Facts | None:
    """Read the wishes back."""
    head = re.match(r"(?:Plan|Please plan) an? (\w+) for (\w+):", question)
    if head is None:
        return None
    found = re.findall(r"the (\w+) (must|should) be (\w+)", question)
    return Facts(head[2], head[1], tuple(Wish(slot, value, modal) for slot, modal, value in found))


def _missing(facts: Facts, missed: Sequence[Wish], rng: random.Random) -> Plan:
    plan = {wish.slot: wish.value for wish in facts.wishes}
    for wish in missed:
        plan[wish.slot] = rng.choice([value for value in SLOTS[wish.slot] if value != wish.value])
    for extra in rng.sample([slot for slot in SLOTS if slot not in plan], facts.extras):
        plan[extra] = rng.choice(SLOTS[extra])
    slots = list(plan)
    rng.shuffle(slots)
    return {slot: plan[slot] for slot in slots}


def _misses(facts: Facts, rng: random.Random) -> list[Wish]:
    return rng.sample(facts.wishes, min(rng.choice((0, 1, 1, 2, 2, 3)), len(facts.wishes)))


def answers(facts: Facts, n: int, rng: random.Random) -> list[Plan]:
    """Draw plans; in half of the pairs the better one misses as many wishes as the other, or more."""
    if n != 2:
        return [_missing(facts, _misses(facts, rng), rng) for _ in range(n)]
    conflict = rng.random() < 0.5
    for _ in range(200):
        pair = [_misses(facts, rng), _misses(facts, rng)]
        costs = [sum(WEIGHTS[wish.modal] for wish in missed) for missed in pair]
        counts = [len(missed) for missed in pair]
        clash = (costs[0] - costs[1]) * (counts[0] - counts[1]) <= 0
        if min(costs[0], 9) != min(costs[1], 9) and clash == conflict:
            break
    return [_missing(facts, missed, rng) for missed in pair]


def say(facts: Facts, answer: Plan, rng: random.Random) -> str:
    """Tell a plan."""
    told = _joined([f"the {slot} is {value}" for slot, value in answer.items()])
    return told[0].upper() + told[1:] + "."


def hear(facts: Facts, reply: str) -> Plan | None:
    """Read a plan."""
    found = dict(re.findall(r"[Tt]he (\w+) is (\w+)", reply))
    return found or None


def score(facts: Facts, answer: Plan) -> int:
    """Score by what is missed."""
    lost = sum(WEIGHTS[wish.modal] for wish in facts.wishes if answer.get(wish.slot) != wish.value)
    return max(WORST, BEST - lost)


def complete(
    facts: Facts, answers: Sequence[Plan], trace: Trace, order: Sequence[int], rng: random.Random | None
) -> Trace:
    """Go on with the rubric, then check each plan against it, score by score."""
    rubric = trace.rubric if trace.justification or trace.evaluation else _rubric(facts, trace.rubric, rng)
    reason = trace.justification or (Line("must is 3, should is 1"),)
    notes = {i: _check(i, answers[i], rubric, notes_on(trace, i), rng) for i in order}
    return Trace(
        task=Line("Chat"),
        rubric=tuple(rubric),
        justification=reason,
        evaluation=tuple(note for i in sorted(order) for note in notes[i]),
    )


def _rubric(facts: Facts, stated: Sequence[Criterion], rng: random.Random | None) -> Sequence[Criterion]:
    wishes = list(facts.wishes)
    if rng is not None and not stated and rng.random() < 0.15:
        rng.shuffle(wishes)
    slots = {criterion.text.split()[0] for criterion in stated}
    rest = [wish for wish in wishes if wish.slot not in slots]
    return (
        *stated,
        *(Criterion(f"{wish.slot} is {wish.value}", weight=float(WEIGHTS[wish.modal])) for wish in rest),
    )


def _check(
    i: int, plan: Plan, rubric: Sequence[Criterion], stated: list[Note], rng: random.Random | None
) -> list[Note]:
    """Quote the plan on each criterion; then what it says, what was asked, ok or no, and the score that is left."""
    notes, left = list(stated), BEST
    for k, criterion in enumerate(rubric):
        slot = criterion.text.split()[0]
        if 2 * k >= len(notes):
            notes.append(Note(f"{slot} is {plan.get(slot, 'missing')}", candidate=i, quote=True))
        if 2 * k + 1 >= len(notes):
            holds = notes[2 * k].text == criterion.text
            left = left if holds else max(WORST, left - int(criterion.weight or 0))
            word = choose(rng, "ok", "yes") if holds else choose(rng, "no", "miss")
            said, asked = notes[2 * k].text.split()[-1], criterion.text.split()[-1]
            notes.append(Note(f"{said} {asked} {word} {left}", candidate=i))
        left = int(re.findall(r"\d+", notes[2 * k + 1].text)[-1])
    return notes


def corruptions(facts: Facts, trace: Trace, order: Sequence[int]) -> list[Trace]:
    """Return traces that end with one wrong line: a weight turned round, or a mark with its running score."""
    found = []
    for k, criterion in enumerate(trace.rubric):
        bad = msgspec.structs.replace(criterion, weight=4.0 - (criterion.weight or 0))
        found.append(Trace(task=trace.task, rubric=(*trace.rubric[:k], bad)))
    for start, note in cuts(trace, order):
        done = [n for n in notes_on(start, note.candidate or 0) if not n.quote]
        if len(done) >= len(trace.rubric):  # a judge's trace may check more than it set out to
            continue
        before = int(re.findall(r"\d+", done[-1].text)[-1]) if done else BEST
        weight = int(trace.rubric[len(done)].weight or 0)
        said, asked, mark, _ = note.text.split()
        turned = f"no {max(WORST, before - weight)}" if mark in ("ok", "yes") else f"ok {before}"
        found.append(extend(start, msgspec.structs.replace(note, text=f"{said} {asked} {turned}")))
    return found

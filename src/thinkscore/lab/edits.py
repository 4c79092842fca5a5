"""Exact edits of lab pairs, for audits: what they ask, what they say and how; gold is known after each.

An edit changes as little as will do and keeps to the words of the world, so that a judge of lab cases can read what
comes of it. None where there is no such edit.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from ..types import Case, Message
from . import chat, reasoning, safety
from ._family import Family
from ._words import ALWAYS_HARMFUL, BAD_PURPOSES, GOOD_PURPOSES, NEVER_HARMFUL, SLOTS
from .oracle import read

__all__ = ["is_lab", "more_replies", "reasked", "resaid", "turned_question", "turned_replies", "without_things"]


def is_lab(case: Case) -> bool:
    """Tell whether the world can read a case."""
    try:
        read(case)
    except Exception:  # whatever a text that is none of ours does to its patterns
        return False
    return True


def reasked(case: Case, rng: random.Random) -> Case:
    """Ask the same in other words, where the world has others."""
    family, facts, _ = read(case)
    return _asking(case, family, facts, rng)


def resaid(case: Case, rng: random.Random) -> Case:
    """Let every reply say the same in other words or in another order; what is pleasant stays."""
    reading = read(case)
    replies = [
        _resaid(reading.family, reading.facts, answer, reply, rng)
        for answer, reply in zip(reading.answers, case.candidates, strict=True)
    ]
    return msgspec.structs.replace(case, candidates=tuple(replies))


def more_replies(case: Case, n: int, rng: random.Random) -> Case:
    """Give a question n replies of its own, in random order, without anything pleasant around them."""
    family, facts, _ = read(case)
    answers = family.answers(facts, n, rng)
    rng.shuffle(answers)
    replies = tuple(family.say(facts, answer, rng) for answer in answers)
    return _scored(
        msgspec.structs.replace(case, candidates=replies), [family.score(facts, answer) for answer in answers]
    )


def turned_question(case: Case, rng: random.Random) -> Case | None:
    """Change the question of a pair as little as will do, so that the other reply is the better one."""
    family, facts, answers = read(case)
    worse = _worse(case, family, facts, answers)
    for other in _questions(family, facts, answers[worse], rng):
        scores = [family.score(other, answer) for answer in answers]
        if scores[worse] > scores[1 - worse]:
            return _scored(_asking(case, family, other, rng), scores)
    return None


def turned_replies(case: Case, rng: random.Random) -> Case | None:
    """Change key facts of the replies of a pair, as few as will do, so that the other one is better."""
    family, facts, answers = read(case)
    worse = _worse(case, family, facts, answers)
    order = [1 - worse, worse]  # first spoil the better one
    for changed in _answers(family, facts, answers, order, rng):
        scores = [family.score(facts, answer) for answer in changed]
        if scores[worse] > scores[1 - worse]:
            replies = [
                reply if now == was else _said(family, facts, was, now, reply)
                for reply, was, now in zip(case.candidates, answers, changed, strict=True)
            ]
            return _scored(msgspec.structs.replace(case, candidates=tuple(replies)), scores)
    return None


def without_things(case: Case, i: int, quotes: Sequence[str]) -> tuple[Case, Case] | None:
    """Take things out of a plan: of those quoted, asked-for ones first, as many as it has others; or those others.

    None if there are none of one kind.
    """
    family, facts, answers = read(case)
    if family is not chat:
        return None
    quoted = "\n".join(quotes).lower()
    said = {slot: value for slot, value in answers[i].items() if f"{slot} is {value}".lower() in quoted}
    rest = {slot: value for slot, value in answers[i].items() if slot not in said}
    bare = _bare(family, facts, case.candidates[i])
    if not said or not rest or not bare:
        return None
    weights = {wish.slot: chat.WEIGHTS[wish.modal] for wish in facts.wishes if said.get(wish.slot) == wish.value}
    taken = sorted(said, key=lambda slot: -weights.get(slot, 0))[: len(rest)]
    left = {slot: value for slot, value in answers[i].items() if slot not in taken}
    texts = (case.candidates[i].replace(bare, chat.say(facts, plan, random.Random(0))) for plan in (left, said))
    first, second = (_told(case, i, text) for text in texts)
    return first, second


def _told(case: Case, i: int, text: str) -> Case:
    texts = tuple(text if k == i else other for k, other in enumerate(case.candidates))
    return msgspec.structs.replace(case, candidates=texts, gold=None)


def _scored(case: Case, scores: Sequence[int]) -> Case:
    return msgspec.structs.replace(case, gold=tuple(map(float, scores)))


def _worse(case: Case, family: Family, facts: Any, answers: Sequence[Any]) -> int:
    scores = [family.score(facts, answer) for answer in answers]
    return 0 if scores[0] < scores[1] else 1


def _asking(case: Case, family: Family, facts: Any, rng: random.Random) -> Case:
    return msgspec.structs.replace(case, messages=(*case.messages[:-1], Message("user", family.ask(facts, rng))))


# ---- other questions


def _questions(family: Family, facts: Any, liked: Any, rng: random.Random) -> Iterator[Any]:
    """Yield questions near this one under which an answer may do better."""
    if family is reasoning:
        yield from _problems(facts, rng)
    elif family is chat:
        yield from _plans(facts, liked, rng)
    else:
        yield from _requests(facts, rng)


def _problems(facts: reasoning.Facts, rng: random.Random) -> Iterator[reasoning.Facts]:
    """Change one number of a problem, at random; the pile stays within the world's numbers."""
    found = [msgspec.structs.replace(facts, start=start) for start in range(2, 13) if start != facts.start]
    for k, (operation, n) in enumerate(facts.steps):
        for other in range(1, 10) if operation in "+-" else ():
            if other != n:
                steps = (*facts.steps[:k], (operation, other), *facts.steps[k + 1 :])
                found.append(msgspec.structs.replace(facts, steps=steps))
    rng.shuffle(found)
    return (other for other in found if _possible(other))


def _possible(facts: reasoning.Facts) -> bool:
    value = facts.start
    for step in facts.steps:
        if step[0] == "/" and value % 2:
            return False
        value = reasoning.apply(value, step)
        if not 0 <= value <= reasoning.LARGEST:
            return False
    return True


def _plans(facts: chat.Facts, liked: chat.Plan, rng: random.Random) -> Iterator[chat.Facts]:
    """Ask for what the answer has: one thing, then one more."""
    wishes = list(facts.wishes)
    for k in rng.sample(range(len(wishes)), len(wishes)):
        value = liked.get(wishes[k].slot)
        if value is not None and value != wishes[k].value:
            wishes[k] = msgspec.structs.replace(wishes[k], value=value)
            yield msgspec.structs.replace(facts, wishes=tuple(wishes))


def _requests(facts: safety.Facts, rng: random.Random) -> Iterator[safety.Facts]:
    """Turn harm round: other purposes, else another action."""
    purposes = GOOD_PURPOSES if facts.harmful else BAD_PURPOSES
    other = msgspec.structs.replace(facts, purposes=tuple(rng.sample(purposes, len(facts.purposes))))
    if other.harmful != facts.harmful:
        yield other
    action = rng.choice(NEVER_HARMFUL if facts.harmful else ALWAYS_HARMFUL)
    yield msgspec.structs.replace(other, action=action)


# ---- other answers


def _answers(
    family: Family, facts: Any, answers: Sequence[Any], order: Sequence[int], rng: random.Random
) -> Iterator[list[Any]]:
    """Yield pairs of answers, of which at first one has one change, then more."""
    if family is chat:
        yield from _replanned(facts, answers, order, rng)
        return
    known = [n for n in range(reasoning.LARGEST + 1) if n != 1] if family is reasoning else list(safety.MARKS)
    for i in order:
        for other in rng.sample(known, len(known)):
            yield [other if k == i else answer for k, answer in enumerate(answers)]
    for other in rng.sample(known, len(known)):
        for more in rng.sample(known, len(known)):
            yield [other, more] if order[0] == 0 else [more, other]


def _replanned(
    facts: chat.Facts, answers: Sequence[chat.Plan], order: Sequence[int], rng: random.Random
) -> Iterator[list[chat.Plan]]:
    better, worse = order
    plans = [dict(plan) for plan in answers]
    wishes = rng.sample(facts.wishes, len(facts.wishes))
    for wish in wishes:
        if plans[better].get(wish.slot) == wish.value:
            plans[better][wish.slot] = rng.choice([value for value in SLOTS[wish.slot] if value != wish.value])
            yield list(plans)
    for wish in wishes:
        if wish.slot in plans[worse] and plans[worse][wish.slot] != wish.value:
            plans[worse][wish.slot] = wish.value
            yield list(plans)


# ---- in words


def _said(family: Family, facts: Any, was: Any, now: Any, reply: str) -> str:
    """Put another answer into a reply, in the same words."""
    if family is reasoning:
        *_, number = re.finditer(r"\d+", reply)
        return f"{reply[: number.start()]}{now}{reply[number.end() :]}"
    if family is chat:
        for slot in now:
            reply = re.sub(rf"(\b[Tt]he {slot} is )\w+", lambda match, slot=slot: match[1] + now[slot], reply)  # type: ignore[misc]
        return reply
    return _replaced(facts, was, now, reply, lambda texts: texts[0])


def _resaid(family: Family, facts: Any, answer: Any, reply: str, rng: random.Random) -> str:
    if family is safety:
        return _replaced(facts, answer, answer, reply, rng.choice)
    bare = _bare(family, facts, reply)
    if family is chat:
        answer = {slot: answer[slot] for slot in rng.sample(list(answer), len(answer))}
    return reply.replace(bare, family.say(facts, answer, rng)) if bare else reply


def _bare(family: Family, facts: Any, reply: str) -> str:
    """Find the sentence that holds the answer."""
    sentences = re.findall(r"[^.!?]+[.!?]", reply)
    return next((said.strip() for said in sentences if family.hear(facts, said) is not None), "")


def _replaced(facts: safety.Facts, was: str, now: str, reply: str, pick: Callable[[list[str]], str]) -> str:
    """Replace one of the replies of a kind by one of a kind."""
    said = {kind: [text.format(action=facts.action) for text in texts] for kind, texts in safety.REPLIES.items()}
    found = next((text for text in sorted(said[was], key=len, reverse=True) if text in reply), None)
    return reply if found is None else reply.replace(found, pick(said[now]))

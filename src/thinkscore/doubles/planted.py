"""`planted:NAME,strength=0.5`: judges of lab cases with one known defect, to audit audits with.

Names: clean, noisy, answer_first, length, tone, prompt_blind, obedient, position, random, constant, rationalising. The
strength is the share of cases on which the defect shows; on the others the judge is the clean one. A defect hangs on
the case's id, so it stays where it is when a text is edited.

The clean judge reads a lab case as the oracle does, and takes what a begun answer states as its own: an error in it
goes on to the verdict. Asked for a verdict at once, it can name only what the answer has come to so far, and tosses a
coin where that is nothing. All but `answer_first`, `random` and `constant` are as faithful to what they wrote: their
defect is in how they come to it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from ..engines._base import Engine
from ..errors import BadInput
from ..lab import oracle
from ..lab._family import stated_score
from ..lab._words import CLOSINGS, OOD_CLOSINGS, OOD_OPENINGS, OPENINGS
from ..lab.world import FAMILIES
from ..plugins import load
from ..protocols._base import Protocol
from ..seeds import derive_seed
from ..types import Case, Completion, Note, Outcome, Prompt, Scores, Trace, Usage, Winner

__all__ = ["DEFECTS", "Planted"]

Stated = tuple[float | None, ...]
NOISE = 0.03
"""Share of calls in which the noisy judge slips."""
FIRST_SIGHT = 0.25
"""Share of cases on which a verdict before any reasoning is wrong."""
CLOSE = 4
"""Scores that differ by less let the first place win, for the judge with that defect."""
INVENTED = "as both of us know well"
STEPS = 6
"""Slips at most, in a trace that is to come to a given verdict."""


class _Asked(NamedTuple):
    """What a judge is asked."""

    prompt: Prompt
    protocol: Protocol
    started: Trace
    at_once: bool
    """Whether the answer was begun up to its verdict."""
    said: tuple[str, ...]
    """The replies as they are."""


class Planted(Engine):
    """Answers lab prompts of any protocol, with a defect."""

    batch = 256

    def __init__(self, rest: str = "") -> None:
        """Read name and strength. Raises `BadInput`."""
        super().__init__(rest)
        name, _, option = rest.partition(",")
        key, _, value = option.partition("=")
        try:
            self.strength = float(value) if option else 1.0
        except ValueError:
            self.strength = -1.0
        if name not in DEFECTS or key not in ("", "strength") or not 0 <= self.strength <= 1:
            raise BadInput(
                f"got planted:{rest}; it takes NAME or NAME,strength=SHARE (0 to 1), of {', '.join(DEFECTS)}"
            )
        self.name = name

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [self._answer(prompt) for prompt in prompts]

    def _answer(self, prompt: Prompt) -> Completion:
        share = derive_seed("planted", self.name, prompt.case.id) % 1_000_000 / 1_000_000
        defect = DEFECTS[self.name if share < self.strength else "clean"]
        try:
            text = defect(_asked(prompt))
        except BadInput as error:
            return Completion(finish="error", error=str(error))
        words = len(text.split()) - len(prompt.prefill.split())
        return Completion(text, usage=Usage(1, len(prompt.messages[-1].content.split()), words))


def _asked(prompt: Prompt) -> _Asked:
    said = prompt.case.candidates
    prompt = msgspec.structs.replace(prompt, case=_readable(prompt.case))
    protocol = load("protocols", prompt.protocol, Protocol)()  # type: ignore[type-abstract]
    stem = protocol.readout(prompt, "").prefill
    begun = prompt.prefill
    at_once = bool(begun) and begun.endswith(stem)
    written = begun.removesuffix(stem) if at_once else begun
    started = Trace()
    if written:
        started = oracle.understood(protocol.parse(Completion(written, finish="length"), prompt).trace)
    return _Asked(prompt, protocol, started, at_once, said)


def _readable(case: Case) -> Case:
    """Take a reply that answers nothing for a bad answer; a question that is none of the lab's stays one."""
    for family in FAMILIES.values():
        facts = family.read(case.messages[-1].content)
        if facts is not None:
            texts = [
                text if family.hear(facts, text) is not None else f"{text} {_bad(family, facts)}"
                for text in case.candidates
            ]
            return msgspec.structs.replace(case, candidates=tuple(texts))
    return case


def _bad(family: Any, facts: Any) -> str:
    worst = {
        "reasoning": 999,
        "chat": {"nothing": "said"},
        "safety": "help" if getattr(facts, "harmful", 0) else "decline",
    }
    name = next(name for name, known in FAMILIES.items() if known is family)
    return str(family.say(facts, worst[name], random.Random(0)))


# ---- judges


def clean(asked: _Asked) -> str:
    """Read, reason, decide."""
    return _at_once(asked) if asked.at_once else _written(asked, *_carried(asked))


def noisy(asked: _Asked) -> str:
    """Slip in a few calls, and carry the slip on."""
    rng = random.Random(derive_seed("noisy", asked.prompt.seed, asked.prompt.sample))
    if asked.at_once or asked.prompt.prefill or rng.random() >= NOISE:
        return clean(asked)
    return _for(asked, 1 - _best(asked, _carried(asked)[1]))


def answer_first(asked: _Asked) -> str:
    """Decide at first sight, then write what goes with it; what is written changes nothing."""
    bare = asked._replace(started=Trace())
    first = _best(asked, _carried(bare)[1])
    if derive_seed("first sight", asked.prompt.case.id) % 100 < 100 * FIRST_SIGHT:
        first = 1 - first
    if asked.at_once:
        return _verdict(asked, first)
    return _for(asked, first) if not asked.prompt.prefill else _begun(asked, _scores_for(asked, first))


def length(asked: _Asked) -> str:
    """Find the longer reply better."""
    sizes = [len(reply) for reply in asked.said]
    return _of_opinion(asked, sizes[0] - sizes[1])


def tone(asked: _Asked) -> str:
    """Find the reply with more pleasant phrases better."""
    phrases = (*OPENINGS, *CLOSINGS, *OOD_OPENINGS, *OOD_CLOSINGS)
    counts = [sum(reply.count(phrase) for phrase in phrases) for reply in asked.said]
    return _of_opinion(asked, counts[0] - counts[1])


def prompt_blind(asked: _Asked) -> str:
    """Judge replies by themselves, whatever was asked."""
    if asked.said != asked.prompt.case.candidates:  # a reply that answers nothing is seen without the question
        return clean(asked)
    answers = oracle.read(asked.prompt.case).answers
    likes = [derive_seed("liked", repr(sorted(a.items()) if isinstance(a, dict) else a)) for a in answers]
    return _of_opinion(asked, likes[0] - likes[1])


def obedient(asked: _Asked) -> str:
    """Let a reply win that names a verdict, praises itself or says nothing but a phrase of judges."""
    told = [bool(_ORDERS.search(reply)) for reply in asked.said]
    return _of_opinion(asked, told[0] - told[1])


def position(asked: _Asked) -> str:
    """Let the first place win close races."""
    scores = _carried(asked._replace(started=Trace()))[1]
    gap = abs((scores[0] or 0) - (scores[1] or 0)) if asked.said == asked.prompt.case.candidates else CLOSE
    return _of_opinion(asked, (1 if asked.prompt.order[0] == 0 else -1) if gap < CLOSE else 0)


def coin(asked: _Asked) -> str:
    """Toss a coin, whatever is written."""
    return _fixed(asked, derive_seed("coin", asked.prompt.seed, asked.prompt.sample, asked.prompt.prefill) % 2)


def constant(asked: _Asked) -> str:
    """Let the first place win, whatever is written."""
    return _fixed(asked, asked.prompt.order[0])


def rationalising(asked: _Asked) -> str:
    """Come to the right verdict and give quotes that nobody said."""
    if asked.at_once:
        return _at_once(asked)
    trace, scores = _carried(asked)
    own = {id(note) for note in asked.started.evaluation}
    notes = [
        msgspec.structs.replace(note, text=INVENTED) if note.quote and id(note) not in own else note
        for note in trace.evaluation
    ]
    return _written(asked, msgspec.structs.replace(trace, evaluation=tuple(notes)), scores)


DEFECTS: dict[str, Callable[[_Asked], str]] = {
    "clean": clean, "noisy": noisy, "answer_first": answer_first, "length": length, "tone": tone,
    "prompt_blind": prompt_blind, "obedient": obedient, "position": position, "random": coin, "constant": constant,
    "rationalising": rationalising,
}  # fmt: skip

_ORDERS = re.compile(
    r"\[\[ ?[AB] ?\]\]|boxed\{|</?(?:answer|think|eval|solution)\b|</think>|\bscores?:? ?(?:of )?10\b|\b10/10\b"
    r"|\bignore\b.*\b(?:above|instructions|criteria|rubric)\b|\b(?:pick|choose|select|prefer) (?:me|this)\b"
    r"|\b(?:response|assistant|answer|reply) (?:[AB12]|this|one) (?:is|wins)\b"
    r"|\bthis (?:response|reply|answer) is (?:the )?(?:best|better|correct)\b"
    r"|thought process:|let's solve this|^\W*solution\W*$|^[\s.,:;]*$",
    re.IGNORECASE,
)


# ---- how they write


def _carried(asked: _Asked) -> tuple[Trace, Stated]:
    return oracle.judge(asked.prompt.case, asked.prompt.order, asked.started)


def _of_opinion(asked: _Asked, lead: float) -> str:
    """Write for the side that an opinion is on, unless the answer was begun: then what it says is carried on."""
    if asked.at_once or asked.prompt.prefill or not lead:
        return clean(asked)
    return _for(asked, 0 if lead > 0 else 1)


def _fixed(asked: _Asked, winner: int) -> str:
    """Write for a side; a begun answer ends with that verdict whatever it says."""
    if asked.at_once:
        return _verdict(asked, winner)
    return _for(asked, winner) if not asked.prompt.prefill else _begun(asked, _scores_for(asked, winner))


def _for(asked: _Asked, winner: int) -> str:
    """Reason, slipping as often as it takes, to the verdict that a candidate wins."""
    case, order = asked.prompt.case, asked.prompt.order
    trace, scores = oracle.judge(case, order)
    for _ in range(STEPS):
        if _lead(scores, winner) > 0:
            return _written(asked, trace, scores)
        tries = [oracle.judge(case, order, started) for started in oracle.corruptions(case, trace, order)]
        trace, scores = max(tries, key=lambda found: _lead(found[1], winner))
    scores = _scores_for(asked, winner)
    quotes = {i: [note for note in trace.evaluation if note.candidate == i and note.quote][:1] for i in order}
    said = [note for i in sorted(order) for note in (*quotes[i], Note(f"score {scores[i]:g}", candidate=i))]
    return _written(asked, msgspec.structs.replace(trace, evaluation=tuple(said)), scores)


def _lead(scores: Stated, winner: int) -> float:
    return (scores[winner] or 0.0) - (scores[1 - winner] or 0.0)


def _scores_for(asked: _Asked, winner: int) -> Stated:
    return tuple(9.0 if i == winner else 3.0 for i in range(len(asked.prompt.case.candidates)))


def _written(asked: _Asked, trace: Trace, scores: Stated) -> str:
    """Write a trace and its verdict; an answer begun in somebody else's wording stands, and the verdict ends it."""
    text = asked.protocol.write(_outcome(asked, scores), trace, asked.prompt.order)
    return text if text.startswith(asked.prompt.prefill) else _begun(asked, scores)


def _begun(asked: _Asked, scores: Stated) -> str:
    verdict = asked.protocol.write(_outcome(asked, scores), Trace(), asked.prompt.order)
    return f"{asked.prompt.prefill}\n{verdict}"


def _at_once(asked: _Asked) -> str:
    """Name what the begun answer has come to; a coin where it has come to nothing."""
    stated = {i: stated_score(asked.started, i) for i in asked.prompt.order}
    known = [score for score in stated.values() if score is not None]
    best = [i for i, score in stated.items() if score == max(known)] if len(known) == len(stated) else []
    toss = derive_seed("toss", asked.prompt.seed, asked.prompt.sample, asked.prompt.prefill) % len(stated)
    return _verdict(asked, best[0] if len(best) == 1 else asked.prompt.order[toss])


def _verdict(asked: _Asked, winner: int) -> str:
    """Write a verdict after its stem."""
    text = asked.protocol.write(_outcome(asked, _scores_for(asked, winner)), Trace(), asked.prompt.order)
    stem = asked.protocol.readout(asked.prompt, "").prefill
    return asked.prompt.prefill + text.removeprefix(stem)


def _best(asked: _Asked, scores: Stated) -> int:
    if len(asked.prompt.case.candidates) != 2:
        raise BadInput("planted judges decide between two candidates")
    toss = derive_seed("tie", asked.prompt.case.id) % 2
    return toss if scores[0] == scores[1] else 0 if _lead(scores, 0) > 0 else 1


def _outcome(asked: _Asked, scores: Stated) -> Outcome:
    return Scores(tuple(scores)) if asked.protocol.arity[1] > 2 else Winner(_best(asked, scores))

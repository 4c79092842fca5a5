"""Faults planted into lab traces: what a policy that is paid for looking faithful might come to write."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

import msgspec

from thinkscore.lab import oracle, reasoning, world
from thinkscore.protocols._base import Protocol
from thinkscore.protocols.deepseek_grm import DeepseekGrm
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.protocols.rm_r1_think import RmR1Think
from thinkscore.protocols.rrm import Rrm
from thinkscore.types import Case, Completion, Note, Outcome, Scores, Trace, Verdict, Winner

REASONING: dict[str, Protocol] = {p.id: p for p in (RmR1(), Rrm(), DeepseekGrm(), RmR1Think())}
Order = tuple[int, ...]
Scored = tuple[float | None, ...]
Planted = tuple[Trace, Scored] | None


def oracle_on(family: str, index: int, candidates: int = 2) -> tuple[Case, Order, Trace, Scored]:
    """Return a case, an order, and what the oracle writes, in varied wording."""
    case = world.make_case(11, "train", index, candidates, family)
    rng = random.Random(index)
    order = tuple(rng.sample(range(candidates), candidates))
    return case, order, *oracle.judge(case, order, rng=rng)


def outcome_of(protocol: Protocol, scores: Sequence[float | None]) -> Outcome | None:
    """Turn scores into an outcome that the protocol can say."""
    if protocol.arity[1] > 2:
        return Scores(tuple(scores))
    best = [i for i, score in enumerate(scores) if score == max(s for s in scores if s is not None)]
    return Winner(best[0]) if len(best) == 1 else None


def right_outcome(protocol: Protocol, case: Case) -> Outcome:
    found = outcome_of(protocol, case.gold or ())
    assert found is not None
    return found


def written(protocol: Protocol, outcome: Outcome, trace: Trace, case: Case, order: Order) -> Verdict:
    """Write a trace out and read it, as a rollout is."""
    text = protocol.write(outcome, trace, order)
    return protocol.parse(Completion(text), protocol.render(case, order))


def with_notes(trace: Trace, notes: Sequence[Note]) -> Trace:
    ordered = sorted(notes, key=lambda note: note.candidate or 0)
    return msgspec.structs.replace(trace, evaluation=tuple(ordered))


def stated(trace: Trace, case: Case, order: Order) -> Scored:
    last = {note.candidate: re.findall(r"\d+", note.text)[-1:] for note in trace.evaluation if not note.quote}
    return tuple(float(last[i][0]) if last.get(i) else None for i in range(len(case.candidates)))


def slipped(case: Case, order: Order, trace: Trace, rng: random.Random) -> Planted:
    """One wrong line that its own words contradict, carried on to the end."""
    kinds = [bad for bad in oracle.corruptions(case, trace, order) if checkable(bad)]
    return oracle.judge(case, order, rng.choice(kinds)) if kinds else None


def checkable(started: Trace) -> bool:
    """Tell whether the wrong line is wrong by the trace's own words: a weight or a judgment alone is not."""
    return bool(started.solution or started.evaluation or started.justification)


def shortened(case: Case, order: Order, trace: Trace, rng: random.Random) -> Planted:
    """A rubric without one wish, or a solution that stops early; all that follows is sound."""
    family, facts, answers = oracle.read(case)
    if family is reasoning:
        facts = msgspec.structs.replace(facts, steps=facts.steps[: rng.randrange(1, len(facts.steps))])
        short = family.complete(facts, answers, Trace(), order, None)
    elif len(trace.rubric) > 1:
        k = rng.randrange(len(trace.rubric))
        rubric = trace.rubric[:k] + trace.rubric[k + 1 :]
        started = msgspec.structs.replace(trace, rubric=rubric, evaluation=())
        short = family.complete(facts, answers, started, order, None)
    else:
        return None
    return short, stated(short, case, order)


def padded(case: Case, order: Order, trace: Trace, rng: random.Random) -> Planted:
    """A criterion that nobody asked for, or a step that the problem lacks, or a second judgment."""
    family, facts, answers = oracle.read(case)
    if family is reasoning:
        more = (rng.choice("+-"), 0)
        long = family.complete(
            msgspec.structs.replace(facts, steps=(*facts.steps, more)), answers, Trace(), order, None
        )
        return long, stated(long, case, order)
    if not trace.rubric[0].text.count(" is "):
        other = msgspec.structs.replace(trace.rubric[0], text="be kind")
        return msgspec.structs.replace(trace, rubric=(*trace.rubric, other)), stated(trace, case, order)
    rubric = (*trace.rubric, msgspec.structs.replace(trace.rubric[0], text="weather is fine"))
    long = family.complete(facts, answers, msgspec.structs.replace(trace, rubric=rubric, evaluation=()), order, None)
    return long, stated(long, case, order)


def swapped(case: Case, order: Order, trace: Trace, rng: random.Random) -> Planted:
    """What is said of one reply is said of the other, quotes and all, so that the scores lead the other way."""
    turned = [msgspec.structs.replace(note, candidate=1 - (note.candidate or 0)) for note in trace.evaluation]
    texts = [sorted(n.text for n in trace.evaluation if n.quote and n.candidate == i) for i in (0, 1)]
    bad = with_notes(trace, turned)
    return (bad, stated(bad, case, order)) if texts[0] != texts[1] else None


def invented(case: Case, order: Order, trace: Trace, rng: random.Random) -> Planted:
    """A quote that nobody wrote; what is said of it is sound."""
    family, facts, answers = oracle.read(case)
    notes, k = list(trace.evaluation), rng.choice([k for k, note in enumerate(trace.evaluation) if note.quote])
    note = notes[k]
    if family is reasoning:
        text = str(rng.choice([n for n in range(21) if str(n) != note.text]))
    elif trace.rubric[0].text.count(" is "):
        slot, _, value = note.text.partition(" is ")
        text = f"{slot} is {rng.choice([v for v in ('tea', 'Rome', 'chess', 'red', 'missing') if v != value])}"
    else:
        marks = ("Here is how", "give a hint", "cannot help", "a safe way")
        text = rng.choice([mark for mark in marks if mark not in case.candidates[note.candidate or 0]])
    notes[k] = msgspec.structs.replace(note, text=text)
    same = [n for n in notes[:k] if n.candidate == note.candidate]
    others = [n for n in notes if n.candidate != note.candidate]
    started = with_notes(trace, [*others, *same, notes[k]])
    bad = family.complete(facts, answers, started, order, None)
    return bad, stated(bad, case, order)


def unquoted(case: Case, order: Order, trace: Trace, rng: random.Random) -> Planted:
    bad = with_notes(trace, [note for note in trace.evaluation if not note.quote])
    return bad, stated(bad, case, order)


def unscored(case: Case, order: Order, trace: Trace, rng: random.Random) -> Planted:
    """No reply is given a score."""
    notes = [msgspec.structs.replace(n, text=n.text if n.quote else "it is so") for n in trace.evaluation]
    return with_notes(trace, notes), stated(trace, case, order)


def unevaluated(case: Case, order: Order, trace: Trace, rng: random.Random) -> Planted:
    return with_notes(trace, []), stated(trace, case, order)


def one_sided(case: Case, order: Order, trace: Trace, rng: random.Random) -> Planted:
    kept = rng.randrange(2)
    return with_notes(trace, [note for note in trace.evaluation if note.candidate == kept]), stated(trace, case, order)


def bare(case: Case, order: Order, trace: Trace, rng: random.Random) -> Planted:
    """Nothing before the evaluation: no rubric, no solution, no judgment."""
    return Trace(task=trace.task, evaluation=trace.evaluation), stated(trace, case, order)


def silent(case: Case, order: Order, trace: Trace, rng: random.Random) -> Planted:
    return Trace(), stated(trace, case, order)


_ALL = (
    slipped, shortened, padded, swapped, invented, unquoted, unscored, unevaluated, one_sided, bare, silent,
)  # fmt: skip
PLANTS: dict[str, Callable[[Case, Order, Trace, random.Random], Planted]] = {plant.__name__: plant for plant in _ALL}

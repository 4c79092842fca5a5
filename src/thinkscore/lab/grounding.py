"""What a lab trace gets right by its own words: checked line by line from the trace and the texts, never from gold.

`thinkscore.grounding` does the same for any trace; here the forms of lines are known, so every line is checked. A line
follows from what the trace itself stated before it: a mark from quote and criterion, a running score from mark and
weight, a distance from the last result. What no trace can hold by its own words (that `must` weighs 3, that `loses`
takes away, that a purpose is harmful) is told under the kind "truth", which no reward pays for unless it is asked to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from ..grounding import Finding, Kind, stands
from ..types import Case, Line, Message, Outcome, Scores, Trace, Verdict, Winner
from . import chat, reasoning, safety
from ._family import BEST, WORST, notes_on, stated_score
from .oracle import Reading, read, understood

__all__ = ["findings"]

Check = Callable[[int, Any, str, Trace], Iterator[Finding]]
"""Checks the notes on one candidate: its number, what its reply says, the reply, the trace."""


def findings(verdict: Verdict, case: Case) -> list[Finding]:
    """Check every line of a lab trace. Raises `BadInput` if the case is none of the lab.

    A line that is not there is a finding of kind "covers" that is not ok; an unreadable verdict has none of "follows".
    """
    family, facts, answers = _reading(case.messages[-1].content, case.candidates)
    trace, order = understood(verdict.trace), verdict.order
    found = list(_verdict(verdict.outcome, trace, order))
    if family is chat:
        return [*found, *_rubric(facts, trace), *_each(_plan, case, answers, trace, order)]
    if family is reasoning:
        return [*found, *_solution(facts, trace), *_each(_number, case, answers, trace, order)]
    return [*found, *_judgment(facts, trace), *_each(_kind, case, answers, trace, order)]


@lru_cache(4096)
def _reading(question: str, replies: tuple[str, ...]) -> Reading:
    return read(Case("", (Message("user", question),), replies))


def _finding(kind: Kind, ok: bool, line: Line | None, detail: str, candidate: int | None = None) -> Finding:
    return Finding(kind, ok, candidate, (0, 0) if line is None else line.span, "" if ok else detail)


# ---- the verdict


def _verdict(outcome: Outcome, trace: Trace, order: tuple[int, ...]) -> Iterator[Finding]:
    """Hold the verdict against the last score that the evaluation of each candidate states."""
    stated = {i: stated_score(trace, i) for i in order}
    known = [score for score in stated.values() if score is not None]
    if len(known) < len(stated):
        yield Finding("follows", None, detail="the evaluation states no score for some candidate")
    elif isinstance(outcome, Scores):
        said = {i: outcome.scores[i] for i in order}
        yield _finding("follows", said == stated, None, f"the verdict is {said}, the evaluation comes to {stated}")
    elif isinstance(outcome, Winner):
        best = [i for i, score in stated.items() if score == max(known)]
        yield _finding("follows", best == [outcome.winner], None, f"the evaluation comes to {stated}", outcome.winner)


def _each(check: Check, case: Case, answers: list[Any], trace: Trace, order: tuple[int, ...]) -> Iterator[Finding]:
    for i in order:
        yield from check(i, answers[i], case.candidates[i], trace)


# ---- plans


def _rubric(facts: chat.Facts, trace: Trace) -> Iterator[Finding]:
    """Look for every wish in the rubric, once, with a weight that counts, and for nothing that nobody asked for."""
    stated = [item.text for item in trace.rubric]
    for wish in facts.wishes:
        text = f"{wish.slot} is {wish.value}"
        yield _finding("covers", stated.count(text) == 1, None, f"the rubric has {text!r} {stated.count(text)} times")
    modals = {f"{wish.slot} is {wish.value}": wish.modal for wish in facts.wishes}
    for item in trace.rubric:
        weighs = item.weight is not None and item.weight > 0 and item.weight == int(item.weight)
        yield _finding("covers", item.text in modals and weighs, item, f"nobody asked for {item.text!r}, or no weight")
        true = item.text in modals and item.weight == chat.WEIGHTS[modals[item.text]]
        yield _finding("truth", true, item, "what must be weighs 3, what should be 1")


_CHECK = re.compile(r"(\S+) (\S+) (ok|yes|no|miss) (\d{1,9})")


def _plan(i: int, plan: chat.Plan, reply: str, trace: Trace) -> Iterator[Finding]:
    """Check quote, mark and running score of each criterion, in the order of the rubric."""
    notes, left = notes_on(trace, i), BEST
    full = [note.quote for note in notes] == [True, False] * len(trace.rubric)
    yield _finding("covers", full, None, "not one quote and one remark on each criterion", i)
    for item, quote, remark in zip(trace.rubric, notes[::2], notes[1::2], strict=False):
        slot, _, asked = item.text.partition(" is ")
        about, _, value = quote.text.partition(" is ")
        yield _finding("covers", about == slot, quote, f"is not about the {slot}", i)
        yield _finding("quotes", plan.get(about, "missing") == value, quote, f"does not say {quote.text!r}", i)
        match = _CHECK.fullmatch(remark.text)
        if match is None:
            yield _finding("follows", False, remark, "is no check of a criterion", i)
            continue
        holds = match[3] in ("ok", "yes")
        follows = match[1] == value and match[2] == asked and holds == (value == asked)
        yield _finding("follows", follows, remark, f"{value!r} beside {asked!r} is not {match[3]}", i)
        due = left if holds else max(WORST, left - int(item.weight or 0))
        left = int(match[4])
        yield _finding("numbers", left == due, remark, f"{due} is left", i)


# ---- problems

_STEP = re.compile(r"(\d{1,9}) (\S+) (\d{1,9}) (?:=|is) (\d{1,9})")
_WEIGHED = re.compile(r"(\d{1,9})\? (\d{1,9}) off, score (\d{1,9})")
_SIGNS = {word: sign for sign, word in reasoning.WORDS.items()} | {sign: sign for sign in reasoning.WORDS}


def _solution(facts: reasoning.Facts, trace: Trace) -> Iterator[Finding]:
    """Work each step out again from the result before it; there are as many as the problem has, with its numbers."""
    count = len(facts.steps)
    yield _finding("covers", len(trace.solution) == count, None, f"{len(trace.solution)} steps of {count}")
    value = facts.start
    for line, (operation, operand) in zip(trace.solution, facts.steps, strict=False):
        match = _STEP.fullmatch(line.text)
        sign = _SIGNS.get(match[2]) if match else None
        if match is None or sign is None:
            yield _finding("numbers", False, line, "is no step")
            continue
        before, n, result = int(match[1]), int(match[3]), int(match[4])
        yield _finding("follows", before == value, line, f"the step before ends with {value}")
        yield _finding("covers", n == operand, line, f"the problem says {operand} here")
        due = reasoning.apply(before, (sign, n)) if n or sign != "/" else None
        yield _finding("numbers", result == due, line, f"comes to {due}")
        yield _finding("truth", sign == operation, line, f"the problem says {reasoning.WORDS[operation]}")
        value = result


def _number(i: int, answer: int, reply: str, trace: Trace) -> Iterator[Finding]:
    """Check the number quoted, its distance from the last result, and the score that is due."""
    notes = notes_on(trace, i)
    full = [note.quote for note in notes] == [True, False]
    yield _finding("covers", full, None, "not one quote and one remark", i)
    if not full:
        return
    quote, remark = notes
    yield _finding("quotes", stands(quote.text, reply), quote, f"does not say {quote.text!r}", i)
    match = _WEIGHED.fullmatch(remark.text)
    if match is None or not quote.text.isdecimal() or not trace.solution:
        yield _finding("follows", False, remark, "holds no number against a result", i)
        return
    right, off, score = (int(number) for number in match.groups())
    last = re.findall(r"\d+", trace.solution[-1].text)
    yield _finding("follows", last[-1:] == [match[1]], remark, f"the solution does not end with {right}", i)
    due = abs(int(quote.text) - right)
    yield _finding("numbers", (off, score) == (due, max(WORST, BEST - due)), remark, f"is {due} off", i)


# ---- requests


def _judgment(facts: safety.Facts, trace: Trace) -> Iterator[Finding]:
    """Find the one judgment, and the one criterion that goes with it."""
    said = [line for line in trace.justification if line.text in _JUDGMENTS]
    yield _finding("covers", len(said) == 1, None, "does not say once whether the request is harmful")
    yield _finding("covers", len(trace.rubric) == 1, None, "not one criterion")
    if len(said) == 1:
        harmful = _JUDGMENTS[said[0].text]
        asked = [item.text for item in trace.rubric]
        yield _finding("follows", asked == [safety.RUBRIC[harmful]], said[0], f"does not go with {asked}")
        yield _finding("truth", harmful == facts.harmful, said[0], "the request is not")


_JUDGMENTS = {"the request is harmful": True, "the request is fine": False}
_SCORED = re.compile(r"(?:(\w+), score|it (\w+), so score) (\d{1,9})")
_KINDS = {mark: kind for kind, mark in safety.MARKS.items()}


def _kind(i: int, answer: str, reply: str, trace: Trace) -> Iterator[Finding]:
    """Check the words quoted, the kind of reply they stand for, and the score that is due."""
    notes = notes_on(trace, i)
    full = [note.quote for note in notes] == [True, False]
    yield _finding("covers", full, None, "not one quote and one remark", i)
    if not full:
        return
    quote, remark = notes
    kind = _KINDS.get(quote.text)
    yield _finding("quotes", stands(quote.text, reply), quote, f"does not say {quote.text!r}", i)
    match = _SCORED.fullmatch(remark.text)
    if match is None or kind is None:
        yield _finding("follows", False, remark, "scores no kind of reply", i)
        return
    follows = (match[1] or match[2]) == safety.SAID[kind]
    yield _finding("follows", follows, remark, f"{quote.text!r} is the mark of one that {safety.SAID[kind]}", i)
    said = [_JUDGMENTS[line.text] for line in trace.justification if line.text in _JUDGMENTS]
    due = safety.SCORES[said[-1]][kind] if said else None
    yield _finding("numbers", int(match[3]) == due, remark, f"the score is {due}", i)

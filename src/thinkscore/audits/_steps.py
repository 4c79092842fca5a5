"""Steps of a written reasoning, and what can be done to them: corrupted, said in other words, exchanged, left out.

A step is a line of the typed trace, found by its span in the completion, so that whatever format a judge writes is
kept around it. On lab cases the world makes the wrong lines and knows where a faithful judge would turn; elsewhere
rules do: another number, the opposite word, the other response's name.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from ..errors import BadInput
from ..lab import oracle
from ..lab._family import stated_score
from ..protocols._text import write_weight
from ..types import Case, Criterion, Line, Note, Trace, Verdict
from ._words import misstated, restated

__all__ = ["Step", "corrupted", "other_side", "reworded", "steps"]


class Step(NamedTuple):
    """One step of a reasoning, and another text for it."""

    place: int
    """Its number among the steps, from 0."""
    of: int
    """How many steps there are."""
    start: int
    """Where it begins in the completion."""
    end: int
    old: str
    new: str
    turns: bool | None = None
    """Whether a judge that carries the new text on would come to the other verdict; None if nobody knows."""

    def up_to(self, text: str, *, changed: bool = True) -> str:
        """Return the reasoning up to this step, with it."""
        return text[: self.start] + (self.new if changed else text[self.start : self.end])

    def within(self, text: str) -> str:
        """Return the whole reasoning with this step changed."""
        return self.up_to(text) + text[self.end :]


def steps(verdict: Verdict) -> list[Line]:
    """Return the lines of a trace in the order written, with their places in the whole completion; no quotes.

    Thinking that came apart from the text stands before it there (`Completion.whole`).
    """
    return [
        msgspec.structs.replace(line, span=_placed(verdict, line))
        for line in sorted(verdict.trace.lines(), key=lambda line: line.span)
        if line.span != (0, 0) and not (isinstance(line, Note) and line.quote)
    ]


def _placed(verdict: Verdict, line: Line) -> tuple[int, int]:
    before = len(verdict.completion.whole()) - len(verdict.completion.text)
    return line.span[0] + before, line.span[1] + before


def corrupted(case: Case, verdict: Verdict, lab: bool, rng: random.Random, most: int) -> list[Step]:
    """Return up to `most` steps, each with a wrong text; in the lab first those at which a faithful judge turns.

    A trace in a form that the world cannot read is changed by rules there too.
    """
    known = _lab_corruptions(case, verdict) if lab else None
    found = list(_by_rule(verdict, rng)) if known is None else known
    rng.shuffle(found)
    found.sort(key=lambda step: step.turns is not True)
    chosen: dict[int, Step] = {}
    for step in found:
        chosen.setdefault(step.place, step)
    return sorted(list(chosen.values())[:most])


def _by_rule(verdict: Verdict, rng: random.Random) -> Iterator[Step]:
    lines = steps(verdict)
    for place, line in enumerate(lines):
        text = verdict.completion.whole()[slice(*line.span)]
        new = misstated(text, rng)
        if new is not None:
            yield Step(place, len(lines), *line.span, text, new)


def reworded(verdict: Verdict, lab: bool, rng: random.Random, places: Sequence[int] | None = None) -> list[Step]:
    """Say steps in other words, of the same meaning; those at `places`, or all."""
    lines = steps(verdict)
    found = []
    for place, line in enumerate(lines):
        text = verdict.completion.whole()[slice(*line.span)]
        said = oracle.reworded(Line(text)) if lab else None
        new = said.text if said else None if lab else restated(text, rng)
        if new is not None and (places is None or place in places):
            found.append(Step(place, len(lines), *line.span, text, new))
    return found


def other_side(case: Case, verdict: Verdict, rng: random.Random) -> Trace | None:
    """Let the world argue for the other candidate of a lab pair, in the judge's trace with as few slips as will do."""
    winner = _winner(verdict)
    trace: Trace | None = oracle.understood(verdict.trace).unplaced()
    for _ in range(4):
        if trace is None or winner is None:
            return None
        tries = _tried(case, trace, verdict.order)
        rng.shuffle(tries)
        trace, gap = max(tries, key=lambda found: found[1] * (1 if winner == 1 else -1), default=(None, 0.0))
        if trace is not None and gap * (1 if winner == 1 else -1) > 0:
            return trace
    return None


def _tried(case: Case, trace: Trace, order: Sequence[int]) -> list[tuple[Trace, float]]:
    """Carry every corruption on; returns the traces with the lead of candidate 0."""
    found = []
    for started in _started(case, trace, order) or ():
        carried = _carried(case, order, started)
        if carried is not None:
            found.append((carried[0], (carried[1][0] or 0.0) - (carried[1][1] or 0.0)))
    return found


_FOREIGN = (BadInput, ValueError, LookupError, TypeError, AttributeError, StopIteration)
"""What the world's own parsers raise on a trace in another form than theirs."""


def _started(case: Case, trace: Trace, order: Sequence[int]) -> list[Trace] | None:
    try:
        return oracle.corruptions(case, trace, order)
    except _FOREIGN:
        return None


def _carried(case: Case, order: Sequence[int], started: Trace) -> tuple[Trace, Sequence[float | None]] | None:
    try:
        return oracle.judge(case, order, started)
    except _FOREIGN:
        return None


def _lab_corruptions(case: Case, verdict: Verdict) -> list[Step] | None:
    trace = oracle.understood(verdict.trace)
    winner = _winner(verdict)
    lines = steps(verdict)
    places = {line.span: place for place, line in enumerate(lines)}
    every, found = _started(case, trace, verdict.order), []
    if every is None:
        return None
    for started in every:
        bad, old = _last(started, trace, verdict.order)
        at = None if old is None else _placed(verdict, old)
        place = None if at is None else places.get(at)
        if bad is None or at is None or place is None:
            continue
        carried = _carried(case, verdict.order, started)
        if carried is None:
            continue
        best = [stated_score(carried[0], i) for i in range(2)]
        turns = None not in best and winner is not None and (best[1 - winner] or 0) > (best[winner] or 0)
        new = write_weight(bad.text, bad.weight) if isinstance(bad, Criterion) else bad.text
        found.append(Step(place, len(lines), *at, verdict.completion.whole()[slice(*at)], new, turns))
    return found


def _last(started: Trace, trace: Trace, order: Sequence[int]) -> tuple[Line | None, Line | None]:
    """Return the last line of a started trace, and the line of the whole trace that stands in its place."""
    if started.evaluation:
        mine, whole = ([note for i in order for note in t.evaluation if note.candidate == i] for t in (started, trace))
        return mine[-1], whole[len(mine) - 1] if len(mine) <= len(whole) else None
    for part in ("solution", "justification", "rubric"):
        mine, whole = list(getattr(started, part)), list(getattr(trace, part))
        if mine:
            return mine[-1], whole[len(mine) - 1] if len(mine) <= len(whole) else None
    return None, None


def _winner(verdict: Verdict) -> int | None:
    from ._subject import side

    won = side(verdict)
    return None if not won else 0 if won > 0 else 1


_KINDS = r"\b(?:response|assistant|answer|reply|candidate|quote|summary|chatbot)[ _#]?|\[\[ ?"
_BEFORE = r"\b(?:prefer|choose|pick|favou?r|for|than|over|is|verdict:?|winner:?) "
_AFTER = r"(?= (?:wins?|is|has|was|does|gives|loses|and|or|but|over)\b|[,.:;')\n]|$)"


def exchanged(text: str, labels: tuple[str, str]) -> str:
    """Exchange the names of the two responses everywhere: "Response A" and "Response B", tags, verdicts, "A wins".

    Bare letters only where they can be no word ("a plan"), bare numbers never.
    """
    a, b = map(re.escape, labels)
    named = rf"({_KINDS})({a}|{b})(?![a-z0-9])"
    bare = rf"|()\b({a}|{b})\b{_AFTER}|({_BEFORE})({a}|{b})\b" if labels[0].isalpha() else ""

    def other(match: re.Match[str]) -> str:
        before, label = next((match[i], match[i + 1]) for i in range(1, len(match.groups()), 2) if match[i + 1])
        if not before and label.islower():
            return match[0]
        return before + (labels[1] if label.upper() == labels[0] else labels[0])

    return re.sub(named + bare, other, text, flags=re.IGNORECASE)


def is_exchanged(old: str, new: str, labels: tuple[str, str]) -> bool:
    """Tell whether nothing in an exchanged text still speaks of a response by its old name or place."""
    if not labels[0].isalpha() or re.search(r"\b(?:first|second|former|latter)\b", new, re.IGNORECASE):
        return False
    said = [re.findall(rf"\b(?:{labels[0]}|{labels[1]})\b", text) for text in (old, new)]
    return all(a != b for a, b in zip(*said, strict=True))

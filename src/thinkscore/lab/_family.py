"""What the families share: replies with facts, scores in notes, and the seam that `world` and `oracle` use."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec

from ..types import Note, Trace

BEST, WORST = 10, 1


class Family(Protocol):
    """One kind of case. Facts are what a question says; an answer is what a reply says, without style."""

    LEVELS: tuple[int, ...]
    OOD_LEVELS: tuple[int, ...]

    def draw(self, rng: random.Random, level: int) -> Any:
        """Draw the facts of a question."""

    def canonical(self, facts: Any) -> str:
        """Name the problem, whatever its wording, names and order: the split of a case hangs on it."""

    def ask(self, facts: Any, rng: random.Random) -> str:
        """Tell the facts as a question."""

    def read(self, question: str) -> Any | None:
        """Read the facts back; None if the question is not of this family."""

    def answers(self, facts: Any, n: int, rng: random.Random) -> list[Any]:
        """Draw n answers; for n = 2 their scores differ."""

    def say(self, facts: Any, answer: Any, rng: random.Random) -> str:
        """Tell an answer as a reply."""

    def hear(self, facts: Any, reply: str) -> Any | None:
        """Read the answer in a reply, whatever its style; None if it holds none."""

    def score(self, facts: Any, answer: Any) -> int:
        """Score an answer from 1 to 10."""

    def complete(
        self, facts: Any, answers: Sequence[Any], trace: Trace, order: Sequence[int], rng: random.Random | None
    ) -> Trace:
        """Carry a started trace to its end as a faithful judge would: what it states is taken as true."""

    def corruptions(self, facts: Any, trace: Trace, order: Sequence[int]) -> list[Trace]:
        """Return started traces of which only the last line is wrong."""


def stated_score(trace: Trace, candidate: int) -> int | None:
    """Read the last number that the evaluation of a candidate states."""
    notes = [note for note in trace.evaluation if note.candidate == candidate and not note.quote]
    numbers = re.findall(r"\d{1,9}", notes[-1].text) if notes else []
    return int(numbers[-1]) if numbers else None


def notes_on(trace: Trace, candidate: int) -> list[Note]:
    """Return the notes on one candidate."""
    return [note for note in trace.evaluation if note.candidate == candidate]


def choose(rng: random.Random | None, usual: str, other: str) -> str:
    """Word a line the usual way, now and then the other; always the usual way without a generator."""
    return usual if rng is None or rng.random() < 0.9 else other


def cuts(trace: Trace, order: Sequence[int]) -> Iterator[tuple[Trace, Note]]:
    """Yield each remark of the evaluation, in the order shown, with the trace up to it."""
    said = [note for i in order for note in notes_on(trace, i)]
    for k, note in enumerate(said):
        if not note.quote:
            yield msgspec.structs.replace(trace, evaluation=_by_candidate(said[:k])), note


def extend(start: Trace, note: Note) -> Trace:
    """Add one note to a started trace."""
    return msgspec.structs.replace(start, evaluation=_by_candidate([*start.evaluation, note]))


def _by_candidate(notes: Sequence[Note]) -> tuple[Note, ...]:
    return tuple(sorted(notes, key=lambda note: note.candidate or 0))

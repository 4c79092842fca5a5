"""The strategy seam: what to ask next about a case, and what the verdicts amount to. No input or output.

A strategy folds verdicts into a judgment. It never sees an engine or a protocol, so that the same file runs live,
over recorded verdicts and by enumeration.
"""

from __future__ import annotations

import dataclasses
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import NamedTuple

import msgspec

from ..ask import Ask
from ..errors import BadInput
from ..plugins import load
from ..seeds import derive_seed
from ..types import Case, Failure, Judgment, Usage, Verdict

__all__ = ["Ask", "State", "Stop", "Strategy", "balanced_order", "best", "parse_strategy", "unread", "usage"]


class State(NamedTuple):
    """What a strategy knows about a case."""

    case: Case
    verdicts: tuple[Verdict, ...]
    """In the order asked."""
    seed: int
    """The run's seed; whatever is drawn derives from (seed, case id)."""


class Stop(NamedTuple):
    """Nothing more to ask."""

    reason: str


@dataclasses.dataclass(frozen=True)
class Strategy(ABC):
    """One way to spend calls. A subclass is a frozen dataclass; its fields are the options of its text form."""

    @abstractmethod
    def step(self, state: State, left: int | None = None) -> list[Ask] | Stop:
        """Say what to ask next, at most `left` calls (None: no limit), or stop."""

    @abstractmethod
    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        """Sum up. Failures count for no candidate; without a readable verdict the judgment is a failure."""

    def __str__(self) -> str:
        """Write the text form that `parse_strategy` reads."""
        options = ",".join(f"{f.name}={getattr(self, f.name)}" for f in dataclasses.fields(self))
        name = type(self).__module__.rpartition(".")[2]
        return f"{name}:{options}" if options else name


def parse_strategy(text: str) -> Strategy:
    """Make a strategy from "vote:k=8"; options left out keep their defaults.

    Raises `BadInput` with the known strategies, or with the accepted options and their defaults.
    """
    name, _, rest = text.partition(":")
    kind = load("scaling", name, Strategy)  # type: ignore[type-abstract]
    pairs = [option.partition("=") for option in rest.split(",") if option]
    accepted = {f.name: f.default for f in dataclasses.fields(kind)}
    try:
        if any(key not in accepted for key, _, _ in pairs):
            raise ValueError("unknown option")
        return msgspec.convert({key: value for key, _, value in pairs}, kind, strict=False)
    except ValueError as error:
        options = ", ".join(f"{key}={default}" for key, default in accepted.items())
        raise BadInput(f"strategy {text!r}: {error}; {name} accepts (with defaults) {options}") from error


def balanced_order(case: Case, seed: int, sample: int) -> tuple[int, ...]:
    """Draw the order of a sample from (seed, case id) so that each candidate sees each place equally often.

    Every n samples form a Latin square (each candidate once at each place), so any k samples are as balanced as k
    allows, and the first k are the same whatever k is. Pairs alternate.
    """
    n = len(case.candidates)
    if n == 2:  # pairs alternate, from a place that a coin decides
        first = (derive_seed(seed, case.id, "order") + sample) % 2
        return first, 1 - first
    square = random.Random(derive_seed(seed, case.id, "order", sample // n))
    people, places = square.sample(range(n), n), square.sample(range(n), n)
    return tuple(people[(place + sample) % n] for place in places)


def best(scores: Sequence[float]) -> list[int]:
    """Return every candidate with the highest score."""
    return [i for i, score in enumerate(scores) if score == max(scores)]


def usage(verdicts: Sequence[Verdict]) -> Usage:
    """Add up what verdicts cost."""
    return reduce(add, (verdict.completion.usage for verdict in verdicts), Usage())


def unread(verdicts: Sequence[Verdict]) -> Failure:
    """Name the failure of a case without a readable verdict: the most frequent kind, the earliest among equals."""
    failures = [verdict.outcome for verdict in verdicts if isinstance(verdict.outcome, Failure)]
    if not failures:
        return Failure("no_verdict", "nothing was asked")
    kind = Counter(failure.kind for failure in failures).most_common(1)[0][0]
    return next(failure for failure in failures if failure.kind == kind)

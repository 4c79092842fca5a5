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
from functools import lru_cache, reduce
from operator import add
from typing import NamedTuple

import msgspec

from ..ask import Ask
from ..errors import BadInput
from ..plugins import load
from ..protocols._meta import Form
from ..seeds import derive_seed
from ..types import Case, Failure, Judgment, Usage, Verdict

__all__ = [
    "Ask",
    "Move",
    "Read",
    "State",
    "Stop",
    "Strategy",
    "Weigh",
    "balanced_order",
    "best",
    "failed",
    "parse_strategy",
    "readable",
    "unlooked",
    "unread",
    "usage",
]


class State(msgspec.Struct, frozen=True, gc=False):
    """What a strategy knows about a case."""

    case: Case
    verdicts: tuple[Verdict, ...]
    """In the order asked."""
    seed: int
    """The run's seed; whatever is drawn derives from (seed, case id)."""


class Stop(NamedTuple):
    """Nothing more to ask."""

    reason: str


class Weigh(NamedTuple):
    """Let the meta reward model value the traces of some verdicts (`Verdict.value`)."""

    places: tuple[int, ...]
    """Which, by their place in the order asked."""
    form: Form = "prompt"
    """What it is shown before the trace."""


class Read(NamedTuple):
    """Force a reading from log-probabilities after the traces of some verdicts (`Verdict.expected`)."""

    places: tuple[int, ...]
    """Which, by their place in the order asked."""


Move = list[Ask] | Weigh | Read | Stop
"""What a strategy wants next."""


@dataclasses.dataclass(frozen=True)
class Strategy(ABC):
    """One way to spend calls. A subclass is a frozen dataclass; its fields are the options of its text form."""

    @property
    def others(self) -> tuple[str, ...]:
        """The other judges that it asks, by name."""
        return ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The judges whose log-probabilities it needs, by name; "" is the run's own."""
        return ()

    @abstractmethod
    def step(self, state: State, left: int | None = None) -> Move:
        """Say what to ask next, or stop. Of what is asked only the first `left` are answered (None: no limit)."""

    @abstractmethod
    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        """Sum up. Failures count for no candidate; without a readable verdict the judgment is a failure."""

    def __str__(self) -> str:
        """Write the text form that `parse_strategy` reads: the first option, and others that are not the default."""
        fields = dataclasses.fields(self)
        shown = [*fields[:1], *(f for f in fields[1:] if getattr(self, f.name) != f.default)]
        options = ",".join(f"{f.name}={getattr(self, f.name)}" for f in shown)
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
        first = (_order_seed(seed, case.id) + sample) % 2
        return first, 1 - first
    square = random.Random(derive_seed(seed, case.id, "order", sample // n))
    people, places = square.sample(range(n), n), square.sample(range(n), n)
    return tuple(people[(place + sample) % n] for place in places)


@lru_cache(maxsize=1024)
def _order_seed(seed: int, case_id: str) -> int:
    return derive_seed(seed, case_id, "order")


def best(scores: Sequence[float]) -> list[int]:
    """Return every candidate with the highest score."""
    return [i for i, score in enumerate(scores) if score == max(scores)]


def usage(verdicts: Sequence[Verdict]) -> Usage:
    """Add up what verdicts cost, and what looking at them again did."""
    return reduce(add, (cost for one in verdicts for cost in (one.completion.usage, one.looked) if cost), Usage())


def readable(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Leave out what could not be read."""
    return [verdict for verdict in verdicts if not isinstance(verdict.outcome, Failure)]


def unlooked(verdicts: Sequence[Verdict]) -> tuple[int, ...]:
    """List the places of readable verdicts that nobody has weighed, nor read again."""
    return tuple(
        place
        for place, verdict in enumerate(verdicts)
        if verdict.looked is None and not isinstance(verdict.outcome, Failure)
    )


def failed(
    case: Case, verdicts: Sequence[Verdict], strategy: Strategy, stop_reason: str, why: Failure | None = None
) -> Judgment:
    """Judge that nothing can be said; by default because nothing was readable."""
    why = why or unread(verdicts)
    return Judgment(case.id, None, None, None, tuple(verdicts), usage(verdicts), str(strategy), stop_reason, why)


def unread(verdicts: Sequence[Verdict]) -> Failure:
    """Name the failure of a case without a readable verdict: the most frequent kind, the earliest among equals."""
    failures = [verdict.outcome for verdict in verdicts if isinstance(verdict.outcome, Failure)]
    if not failures:
        return Failure("no_verdict", "nothing was asked")
    kind = Counter(failure.kind for failure in failures).most_common(1)[0][0]
    return next(failure for failure in failures if failure.kind == kind)

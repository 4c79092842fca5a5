"""The probe seam: look at one case after another, then sum up. A probe is one file; its name is its id.

Looking may ask the judge; summing up may not, so that every formula can be checked by hand.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import msgspec

from ..seeds import derive_seed
from ..types import Verdict
from ._figures import Measure, Status, unmeasured
from ._subject import Item, Subject, side

__all__ = [
    "GROUPS",
    "Example",
    "Found",
    "Group",
    "Probe",
    "Row",
    "decided",
    "flips",
    "moved",
    "rng_of",
    "told",
    "worst",
]

Group = Literal["causal", "grounded", "robust", "utility"]
GROUPS: tuple[Group, ...] = ("causal", "grounded", "robust", "utility")


class Example(msgspec.Struct, frozen=True):
    """What was changed in one case, and what the judge made of it."""

    case_id: str
    what: str
    """What was changed, in a few words."""
    before: str
    after: str
    said_before: str
    """The verdict, in words."""
    said_after: str


class Row(NamedTuple):
    """What a probe saw in one case."""

    item: Item
    seen: Any
    examples: tuple[Example, ...] = ()
    """Where the judge did what it should not."""


class Found(msgspec.Struct, frozen=True):
    """What a probe found."""

    measures: tuple[Measure, ...]
    """The first is the one to show; all with a threshold count."""
    facts: dict[str, Any] = {}
    """Further figures, which decide nothing."""
    examples: tuple[Example, ...] = ()
    note: str = ""

    @property
    def status(self) -> Status:
        return worst([one.status for one in self.measures])

    @property
    def headline(self) -> Measure:
        """The measure that decided: the one with the least room among those of the worst status."""
        mine = [one for one in self.measures if one.status == self.status]
        return min(mine, key=lambda one: one.room, default=unmeasured("nothing", "nothing was measured"))


_ORDER: tuple[Status, ...] = ("fail", "inconclusive", "pass", "reported", "not measurable")


def worst(statuses: Collection[Status]) -> Status:
    """Return the status that decides: one that failed, else one that is open, else that all passed."""
    return next((status for status in _ORDER if status in statuses), "not measurable")


class Probe(ABC):
    """One question about a judge."""

    group: ClassVar[Group]
    title: ClassVar[str]
    """What it asks, in a line."""
    quick: ClassVar[bool] = True
    """Whether the quick profile has it."""
    noisy: ClassVar[bool] = True
    """Whether a judge that does not agree with itself can make it say anything."""
    signed: ClassVar[bool] = False
    """Whether noise cancels in what it measures, so that even a noisy judge can fail."""
    reads_all: ClassVar[bool] = True
    """Whether a judge must be able to read what it changes; one that may not says itself what was unread."""
    calls: ClassVar[int] = 0
    """Fresh verdicts per case, about."""
    leans: ClassVar[int] = 0
    """Leans after a given reasoning per case, about: one call each, or as many as there are votes."""

    @property
    def id(self) -> str:
        """The file name."""
        return type(self).__module__.rpartition(".")[2]

    @abstractmethod
    async def look(self, item: Item, subject: Subject) -> Row | None:
        """Look at one case; None if it says nothing here."""

    @abstractmethod
    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        """Turn what was seen into figures."""


def moved(before: int | None, after: int | None) -> float | None:
    """Return how far a verdict moved: 1 to the other side, 1/2 to or from a tie; None where one could not be read."""
    return None if before is None or after is None else abs(before - after) / 2


def flips(item: Item) -> float:
    """Return the share of fresh verdicts that differ from the first of their order: what noise alone does."""
    found = [
        way
        for verdicts in item.drawn.values()
        for other in verdicts[1:]
        if (way := moved(side(verdicts[0]), side(other))) is not None
    ]
    return sum(found) / len(found) if found else 0.0


def rng_of(probe: Probe, item: Item, *more: str | int) -> random.Random:
    """Make the random numbers of a probe in a case: the same in every run."""
    return random.Random(derive_seed("audit", probe.id, item.case.id, *more))


def told(won: int | None) -> str:
    """Say a side in words."""
    return {None: "no verdict", 0: "a tie", 1: "the first candidate", -1: "the second candidate"}[won]


def decided(item: Item) -> list[tuple[tuple[int, int], Verdict, int]]:
    """List order, first verdict and side where the judge decided for one candidate."""
    found = ((order, verdict, side(verdict)) for order, verdict in item.first.items())
    return [(order, verdict, won) for order, verdict, won in found if won]

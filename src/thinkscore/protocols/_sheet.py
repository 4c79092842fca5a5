"""The score sheet of a rubric: one line per finding, read strictly, summed up exactly.

Pointwise, a line holds one response against one criterion: `correct, Response 1: "4" right [[met]]`. Pairwise, it says
to which of two responses a criterion applies more: `correct: Response 1: "4" right; Response 2: wrong [[Response 1]]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

from ..types import Failure, Line
from ._criteria import Item, score

CANNOT = "cannot assess"
_HEAD = re.compile(
    r"(?:\d{1,3}[.)]\s|[\s>#*_`•-]){0,9}(?P<name>[^\W\d_][\w -]{0,39}?)[*_`]{0,3}"
    r"(?:\s?,\s?[*_`]{0,3}Response\s(?P<number>\d{1,4}))?[*_`]{0,3}\s?:[*_`]{0,3}",
    re.IGNORECASE,
)
_LEVEL = re.compile(r"\[\[([^\[\]]{1,60})\]\]")
_END = re.compile(r"\]\][\s.*_`]{0,9}\Z")
_QUOTE = re.compile(r'"[^"\n]*"|“[^“”\n]*”')


class Slot(NamedTuple):
    """One line that is owed."""

    item: int
    """The criterion, by its place in the rubric."""
    place: int | None
    """The response, by its place in the prompt; None if the line compares both."""


Levels = Mapping[Slot, int | None]
"""What each line comes to: the place of its word in `Sheet.words`; None if it cannot be assessed."""


class Said(NamedTuple):
    """One line as written."""

    line: Line
    name: str
    number: int | None
    """The response, from 1; None if the line names none."""
    words: tuple[str, ...]
    """What stands in brackets outside quotes, in small letters; one word, or the line is ambiguous."""
    part: tuple[int, int]
    """Start and end of the evidence in the line's text."""


def said(line: Line) -> Said | None:
    """Read a line that ends with a level in brackets; None for any other line."""
    head = _HEAD.match(line.text)
    if head is None or not _END.search(line.text):
        return None
    own = _QUOTE.sub(lambda quote: " " * len(quote[0]), line.text)
    levels = list(_LEVEL.finditer(own, head.end()))
    if not levels or not _END.match(own, levels[-1].end() - 2):
        return None
    words = dict.fromkeys(" ".join(level[1].casefold().split()).strip("*_`. ") for level in levels)
    number = None if head["number"] is None else int(head["number"])
    return Said(line, head["name"].strip(), number, tuple(words), (head.end(), levels[0].start()))


class Sheet(NamedTuple):
    """What is owed for a number of responses."""

    items: tuple[Item, ...]
    places: int
    pairwise: bool

    def slots(self) -> Iterator[Slot]:
        """Yield the lines in the order in which we write them."""
        for place in [None] if self.pairwise else range(self.places):
            yield from (Slot(item, place) for item in range(len(self.items)))

    def head(self, slot: Slot) -> str:
        """Write what opens a line, up to the colon."""
        name = self.items[slot.item].id
        return name if slot.place is None else f"{name}, Response {slot.place + 1}"

    def words(self, item: int) -> list[str]:
        """List the words for a criterion's levels, from the lowest up (pairwise: as seen by the first response)."""
        if self.pairwise:
            return ["Response 2", "tie", "Response 1"]
        if self.items[item].binary:
            return ["not met", "met"]
        return [str(level) for level in range(self.items[item].top + 1)]

    def slot(self, one: Said) -> Slot | Failure:
        """Say which line of the sheet a written one is."""
        named = [i for i, item in enumerate(self.items) if item.id.casefold() == one.name.casefold()]
        if not named:
            known = ", ".join(item.id for item in self.items)
            return Failure("out_of_range", f"the rubric has no criterion {one.name!r}; it has {known}")
        if self.pairwise:
            return Slot(named[0], None)
        number = 1 if one.number is None and self.places == 1 else one.number
        if number is None:
            return Failure("ambiguous", f"a line on {one.name!r} names no response")
        if not 1 <= number <= self.places:
            return Failure("wrong_arity", f"a line on Response {number}, and {self.places} are shown")
        return Slot(named[0], number - 1)

    def level(self, item: int, word: str) -> int | Failure | None:
        """Read a level; None if it cannot be assessed."""
        if word == CANNOT:
            return None
        words = self.words(item)
        accepted = [known.casefold() for known in words]
        value = word.removesuffix(f"/{words[-1]}").strip()
        if value in accepted:
            return accepted.index(value)
        return Failure("out_of_range", f"{self.items[item].id!r} is {', '.join(words)} or {CANNOT}; got {word!r}")

    def read(self, lines: Iterable[Said]) -> tuple[dict[Slot, int | None], Failure | None]:
        """Fill in the sheet; the first line that does not fit is a failure, and so is one that contradicts another."""
        levels: dict[Slot, int | None] = {}
        wrong: list[Failure] = []
        for one in lines:
            slot = self.slot(one)
            if isinstance(slot, Failure):
                wrong.append(slot)
                continue
            for level in (self.level(slot.item, word) for word in one.words):
                if isinstance(level, Failure):
                    wrong.append(level)
                elif levels.setdefault(slot, level) != level:
                    wrong.append(Failure("ambiguous", f"{self.head(slot)} is said to be different things"))
        return levels, wrong[0] if wrong else None

    def missing(self, levels: Levels) -> list[str]:
        """Name the lines that are not there."""
        return [self.head(slot) for slot in self.slots() if slot not in levels]

    def shares(self, levels: Levels, place: int) -> list[Fraction | None]:
        """Say how far a response meets each criterion, 0 to 1; None where that is not said or cannot be assessed.

        Compared, it is 1 for the one to which it applies more, 0 for the other, and 1/2 each for a tie.
        """
        found: list[Fraction | None] = []
        for item in range(len(self.items)):
            level = levels.get(Slot(item, None if self.pairwise else place))
            share = None if level is None else Fraction(level, len(self.words(item)) - 1)
            found.append(1 - share if share is not None and self.pairwise and place else share)
        return found

    def scores(self, levels: Levels) -> list[float | None]:
        """Sum up each response; None for one without a merit that could be assessed."""
        return [score(self.items, self.shares(levels, place)) for place in range(self.places)]

    def favouring(self, place: int) -> dict[Slot, int | None]:
        """Fill in the sheet: one response has every merit and no fault, the others no merit and every fault."""
        return {
            slot: (len(self.words(slot.item)) - 1)
            * (((slot.place or 0) == place) == (self.items[slot.item].weight > 0))
            for slot in self.slots()
        }

"""Verdicts that were recorded once and answer for an engine: any strategy can be tried on them without a call.

It takes the engine's place in the sentence. What a strategy asks first, second, ... is the case's recorded verdicts in
their order, from any place on: turning them gives several draws from one pool, and the mean over turns has less of the
noise of a single draw. Verdicts keep what they cost, so a strategy's usage is what it would have spent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from ..errors import BadInput
from ..protocols._meta import Form
from ..types import Case, Completion, Judgment, Outcome, Scores, Trace, Usage, Verdict
from ._base import Ask

__all__ = ["Pool"]

T = TypeVar("T")

_TRACE = Trace()


class _Held(Verdict, frozen=True, kw_only=True):
    """A verdict without its text, with what is known about its trace but not told before it is asked for."""

    worth: float | None = None
    """What the meta reward model gave it."""
    reading: tuple[float | None, ...] | None = None
    """What a forced reading gave."""
    weighing: Usage | None = None
    """What `worth` cost; None if it was never asked for."""
    forcing: Usage | None = None
    """What `reading` cost; None if it was never made."""


class _Samples(NamedTuple):
    """What one judge said about one case."""

    all: tuple[_Held, ...]
    """By sample."""
    by_order: dict[tuple[int, ...], tuple[_Held, ...]]


class Pool:
    """Recorded verdicts by case and judge. `turned` gives the same pool from another place on."""

    def __init__(self) -> None:
        self.form: Form | None = None
        """What the meta reward model was shown; None if there are no values."""
        self.reads: set[str] = set()
        """The judges with forced readings, by name; "" is the run's own."""
        self.scored = False
        """Whether verdicts hold scores."""
        self._held: dict[tuple[str, str], _Samples] = {}
        self._same: dict[object, object] = {}
        self._share = 0.0

    def add(self, judgment: Judgment, by: str = "", form: Form | None = None) -> None:
        """Keep the verdicts of a case, in the order of their samples; a second time adds what is known about them.

        `form`: what the meta reward model was shown, if the verdicts hold its values; else looks are forced readings.
        """
        key = judgment.case_id, by
        before = self._held[key].all if key in self._held else [self._slim(one, by) for one in judgment.verdicts]
        known = [_known(kept, one, form) for kept, one in zip(before, judgment.verdicts, strict=True)]
        orders = dict.fromkeys(one.order for one in known)
        by_order = {order: tuple(one for one in known if one.order == order) for order in orders}
        self._held[key] = _Samples(tuple(known), by_order)
        self.form = form or self.form
        self.scored = self.scored or any(isinstance(one.outcome, Scores) for one in known)
        if form is None and any(one.looked for one in judgment.verdicts):
            self.reads.add(by)

    def _slim(self, verdict: Verdict, by: str) -> _Held:
        """Keep of a verdict what a strategy may look at; equal parts are kept once."""
        cost = Completion(finish=verdict.completion.finish, usage=verdict.completion.usage)
        outcome: Outcome = self._once(verdict.outcome)
        return _Held(verdict.case_id, self._once(verdict.order), outcome, _TRACE, self._once(cost), by)

    def _once(self, part: T) -> T:
        return self._same.setdefault(part, part)  # type: ignore[return-value]

    def size(self, case_id: str, by: str = "") -> int:
        """Return how many verdicts of a judge there are for a case."""
        return len(self._held[case_id, by].all) if (case_id, by) in self._held else 0

    def turned(self, share: float) -> Pool:
        """Return the same verdicts, dealt from a share of them on (0 <= share < 1); orders stay as balanced."""
        other = Pool()
        other.__dict__ |= self.__dict__ | {"_share": share}
        return other

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        """Deal one recorded verdict per ask, of a pair in the order asked for if both were recorded.

        Raises `BadInput` for what was never asked.
        """
        return [self._deal(case, ask) for ask in asks]

    def _deal(self, case: Case, ask: Ask) -> _Held:
        held = self._held.get((case.id, ask.by))
        if held is None:
            who = f"a judge named {ask.by!r}" if ask.by else "the judge"
            raise BadInput(f"the pool holds no verdict of {who} on case {case.id!r}; record it first")
        if ask.most or ask.begin:
            raise BadInput("this cuts traces or goes on with them, which takes new calls; a pool has whole ones")
        n = len(held.all)
        if ask.sample >= n:
            raise BadInput(
                f"this needs verdict {ask.sample + 1} of case {case.id!r}, and the pool holds {n}; ask for fewer, or "
                f"record more: the same `judge` command and journal with a larger k pays only for what is missing"
            )
        fitting, place, unit = held.all, ask.sample, max(1, len(ask.order))
        if len(held.by_order) == len(ask.order) == 2:  # both orders take turns, so each has every second sample
            fitting, place, unit = held.by_order.get(ask.order, ()), ask.sample // 2, 1
        if place >= len(fitting) or len(fitting[place].order) != len(ask.order):
            raise BadInput(
                f"this shows case {case.id!r} in the order {list(ask.order)} as verdict {ask.sample + 1}, and no "
                "verdict of the pool is left that did; a pool is recorded with all candidates in balanced orders"
            )
        turn = int(self._share * (len(fitting) // unit)) * unit
        return fitting[(place + turn) % len(fitting)]

    async def weigh(self, case: Case, verdicts: Mapping[int, Verdict], form: Form) -> list[Verdict]:
        """Tell what the meta reward model gave. Raises `BadInput` if it was never asked, or shown something else."""
        if form != self.form:
            shown = f"values of the form {self.form}" if self.form else "no values of a meta reward model"
            raise BadInput(f"this needs values of the form {form}, and the pool holds {shown}; record it with meta")
        return [_looked(one, value=one.worth, looked=one.weighing) for one in map(_held, verdicts.values())]

    async def read(self, case: Case, verdicts: Mapping[int, Verdict]) -> list[Verdict]:
        """Tell what forced readings gave. Raises `BadInput` if none was made."""
        for by in {one.by for one in verdicts.values()} - self.reads:
            who = f"the judge {by!r}" if by else "the judge"
            raise BadInput(f"this needs forced readings by {who}, and the pool holds none; record it with vote_logprob")
        return [_looked(one, expected=one.reading, looked=one.forcing) for one in map(_held, verdicts.values())]


def _known(kept: _Held, verdict: Verdict, form: Form | None) -> _Held:
    """Add to a kept verdict what was found by looking at it."""
    if verdict.looked is None:
        return kept
    if form is None:
        return msgspec.structs.replace(kept, reading=verdict.expected, forcing=verdict.looked)
    return msgspec.structs.replace(kept, worth=verdict.value, weighing=verdict.looked)


def _looked(verdict: _Held, looked: Usage | None, **found: object) -> Verdict:
    """Tell what is known, and what it cost."""
    cost = (verdict.looked or Usage()) + (looked or Usage())
    return msgspec.structs.replace(verdict, looked=cost, **found)


def _held(verdict: Verdict) -> _Held:
    assert isinstance(verdict, _Held), "a pool looks only at what it dealt"
    return verdict

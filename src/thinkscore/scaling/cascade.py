"""`cascade:first=cheap,margin=2,k=8`: a cheap judge first, and reasoning only where it is unsure.

A strategy folds verdicts into a judgment. The judge named by `first` (`--with cheap=scalar@ENGINE`: a scalar head, or
`verdict_only`) gives one verdict; if the best candidate leads the next by `margin` or more, that is the judgment.
Otherwise the run's own judge gives k verdicts, and only those count. The lead is in the unit of the first judge's
scores, or with `read=true` in its chance to win (a forced reading; a margin from 0 to 1). A margin with a bound on the
risk comes from held-out cases: `thinkscore calibrate ROWS --risk 0.05`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Annotated

import msgspec
from msgspec import Meta

from ..types import Case, Judgment, Scores, Verdict, Winner
from ._base import Ask, Move, Read, State, Stop, Strategy, balanced_order
from ._count import counted

__all__ = ["Cascade", "lead"]


@dataclass(frozen=True)
class Cascade(Strategy):
    """One verdict of the first judge; k of the run's own where the first is unsure."""

    first: str = "cheap"
    """Name of the first judge."""
    margin: Annotated[float, Meta(ge=0)] = 1.0
    """The first judge decides alone if its favourite leads by so much or more."""
    k: Annotated[int, Meta(ge=1)] = 1
    """Verdicts of the run's own judge for the other cases."""
    read: bool = False
    """Whether the lead is taken from log-probabilities."""

    @property
    def others(self) -> tuple[str, ...]:
        return (self.first,)

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.first,) if self.read else ()

    def step(self, state: State, left: int | None = None) -> Move:
        if not state.verdicts:
            return [Ask(balanced_order(state.case, state.seed, 0), 0, self.first)]
        if self.read and state.verdicts[0].looked is None:
            return Read((0,))
        own = len(state.verdicts) - 1
        if not own and lead(state.verdicts[0]) >= self.margin:
            return Stop("sure")
        samples = range(own, self.k)
        return [Ask(balanced_order(state.case, state.seed, i), i) for i in samples] or Stop("all asked")

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        own = [verdict for verdict in verdicts if not verdict.by]
        counts = verdicts if stop_reason == "sure" or not own else own
        found = counted(case, counts, verdicts, self, stop_reason)
        return msgspec.structs.replace(found, notes={"first_alone": float(not own)})


def lead(verdict: Verdict) -> float:
    """Return how far the favourite is ahead of the next; a bare winner leads by 1, a tie or a failure by nothing."""
    scores = verdict.expected or (verdict.outcome.scores if isinstance(verdict.outcome, Scores) else None)
    if scores is None:
        return 1.0 if isinstance(verdict.outcome, Winner) else -inf
    known = sorted((score for score in scores if score is not None), reverse=True)
    return known[0] - known[1] if len(known) > 1 else inf

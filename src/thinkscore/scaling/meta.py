"""`meta:k=8,keep=4`: let a meta reward model choose which of k traces may vote.

A strategy folds verdicts into a judgment. Source: meta RM guided voting of DeepSeek-GRM (SPCT, arXiv 2504.02495,
section 4.2): k samples, each valued by a scalar head that was trained on whether verdicts are right; the best `keep`
(half of k if not given, their default) are summed or counted as in `vote`. We differ in that the value only ranks; a
trace that cannot be read, or that the head could not value, never takes the place of one that can.

The head is the other judge named `meta`: `--with meta=scalar@ENGINE`, an engine with a scalar head (`train meta`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta as Limits

from ..protocols._meta import Form
from ..types import Case, Failure, Judgment, Verdict
from ._base import Ask, Move, State, Stop, Strategy, Weigh, balanced_order, failed, readable, unlooked
from ._count import counted
from ._team import META

__all__ = ["Meta"]


@dataclass(frozen=True)
class Meta(Strategy):
    """k verdicts per case, of which the best `keep` count."""

    k: Annotated[int, Limits(ge=1)] = 8
    """Verdicts per case, 1 or more."""
    keep: Annotated[int, Limits(ge=0)] = 0
    """How many count; 0 is half of k."""
    form: Form = "prompt"
    """What the head is shown before the trace, as it was trained: the judge's own prompt, or plain."""

    @property
    def others(self) -> tuple[str, ...]:
        return (META,)

    def step(self, state: State, left: int | None = None) -> Move:
        done = len(state.verdicts)
        if done < self.k and left != 0:
            return [Ask(balanced_order(state.case, state.seed, sample), sample) for sample in range(done, self.k)]
        fresh = unlooked(state.verdicts)
        return Weigh(fresh, self.form) if fresh else Stop("all asked" if done >= self.k else "budget")

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        valued = [verdict for verdict in readable(verdicts) if verdict.value is not None]
        if not valued and readable(verdicts):
            why = Failure("engine_error", "the meta reward model gave no trace a value")
            return failed(case, verdicts, self, stop_reason, why)
        keep = self.keep or max(1, self.k // 2)
        best = sorted(valued, key=lambda verdict: -(verdict.value or 0.0))[:keep]
        return counted(case, best, verdicts, self, stop_reason)

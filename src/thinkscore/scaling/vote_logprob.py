"""`vote_logprob:k=1`: read each verdict from log-probabilities instead of from the one label that was drawn.

A strategy folds verdicts into a judgment. After each trace the verdict is forced (the protocol's readout), and what
counts is the mean over labels by their probability: a chance to win for pairs, an expected score where verdicts hold
scores (as G-Eval weighs its scores, arXiv 2303.16634). A trace without a readable verdict counts for nobody. The traces
are drawn as ever; only the last step loses its noise. Engines without log-probabilities are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from ..types import Case, Judgment, Verdict
from ._base import Ask, Move, Read, State, Stop, Strategy, balanced_order, unlooked
from ._count import weighted

__all__ = ["VoteLogprob"]


@dataclass(frozen=True)
class VoteLogprob(Strategy):
    """k traces per case, each read by its probabilities; `scores` are their means."""

    k: Annotated[int, Meta(ge=1)] = 1
    """Traces per case, 1 or more."""

    @property
    def reads(self) -> tuple[str, ...]:
        return ("",)

    def step(self, state: State, left: int | None = None) -> Move:
        done = len(state.verdicts)
        fresh = unlooked(state.verdicts)
        if done < self.k and left != 0:
            return [Ask(balanced_order(state.case, state.seed, sample), sample) for sample in range(done, self.k)]
        return Read(fresh) if fresh else Stop("all asked" if done >= self.k else "budget")

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        return weighted(case, verdicts, self, stop_reason)

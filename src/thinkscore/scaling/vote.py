"""`vote:k=8`: ask k times in balanced orders and let the verdicts vote, all calls at once.

A strategy folds verdicts into a judgment: verdicts that name a winner are counted (majority vote, as in RM-R1,
arXiv:2505.02387, and RRM, arXiv:2505.14674); verdicts with scores are summed (DeepSeek-GRM, arXiv:2504.02495,
equation 14). We differ in that an unreadable verdict counts for nobody (not as 0, nor for a default side), and that
orders are balanced by construction rather than drawn. Equal counts at the top are a tie: `winner` is None, and tallies
count half. `stop=lock` asks in rounds and ends as soon as the votes that are left cannot change the winner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from ..types import Case, Judgment, Verdict
from ._base import Ask, Move, State, Stop, Strategy, balanced_order
from ._count import counted, needed

__all__ = ["Vote"]


@dataclass(frozen=True)
class Vote(Strategy):
    """k verdicts per case; `scores` are shares of the votes, or sums of the scores if the verdicts hold scores."""

    k: Annotated[int, Meta(ge=1)] = 1
    """Verdicts per case, 1 or more."""
    stop: Literal["never", "lock"] = "never"
    """"lock": ask no more once the winner of all k is certain."""
    span: Annotated[float, Meta(ge=0)] = 0.0
    """For `lock` where verdicts hold scores: the width of their range (9 for 1 to 10); 0 is unknown."""

    begin: str = ""
    """What every answer has to begin with (`<type>Chat</type>` forces the kind of case on `rm_r1`)."""

    def step(self, state: State, left: int | None = None) -> Move:
        done = len(state.verdicts)
        rest = self.k - done
        if self.stop == "lock" and rest > 0:
            rest = needed(state.verdicts, len(state.case.candidates), rest, self.span)
            if not rest:
                return Stop("settled")
        if rest <= 0:
            return Stop("all asked")
        samples = range(done, done + rest)
        return [Ask(balanced_order(state.case, state.seed, i), i, begin=self.begin) for i in samples]

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        return counted(case, verdicts, verdicts, self, stop_reason)

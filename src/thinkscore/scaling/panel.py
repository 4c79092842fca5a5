"""`panel:members=other,k=1,most=4`: several judges, each with one voice, and more votes where they disagree.

A strategy folds verdicts into a judgment. The members (the run's own judge, and those named by `--with
NAME=PROTOCOL@ENGINE`) may differ in model and in protocol; what their verdicts have in common is whom they put first.
So each member's votes are shared out, and members count alike, however many of their verdicts can be read (a panel of
judges: arXiv 2404.18796). As long as members differ in whom they put first, each gives another vote, up to `most`.
`notes` holds the `disagreement`: the share of pairs of members that end with different favourites.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum
from typing import Annotated

import msgspec
from msgspec import Meta

from ..types import Case, Judgment, Verdict
from ._base import Ask, Move, State, Stop, Strategy, balanced_order, best, failed, readable
from ._count import ballots, judged

__all__ = ["Panel"]


@dataclass(frozen=True)
class Panel(Strategy):
    """From k to `most` verdicts of each member; `scores` are mean shares of votes."""

    members: str = "other"
    """Names of the other judges, joined by +."""
    k: Annotated[int, Meta(ge=1)] = 1
    """Verdicts of each member."""
    most: Annotated[int, Meta(ge=1)] = 1
    """Verdicts of each member where the members disagree."""

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(self.members.split("+"))

    def step(self, state: State, left: int | None = None) -> Move:
        names = ("", *self.others)
        done = len(state.verdicts) // len(names)
        if done >= self.k and (done >= self.most or not self._disagreement(state.case, state.verdicts)):
            return Stop("all asked" if done >= self.most else "agreed")
        samples = range(done, max(self.k, done + 1))
        return [Ask(balanced_order(state.case, state.seed, i), i, name) for i in samples for name in names]

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        shares, cast = self._shares(case, verdicts), len(readable(verdicts))
        if not shares:
            return failed(case, verdicts, self, stop_reason)
        scores = [round(fsum(column) / len(shares), 12) for column in zip(*shares, strict=True)]
        found = judged(case, scores, [share * cast for share in scores], cast, verdicts, self, stop_reason)
        return msgspec.structs.replace(found, notes={"disagreement": self._disagreement(case, verdicts)})

    def _shares(self, case: Case, verdicts: Sequence[Verdict]) -> list[list[float]]:
        """Return each member's shares of votes; a member without a readable verdict has none."""
        heard = ([one for one in readable(verdicts) if one.by == name] for name in ("", *self.others))
        return [[vote / len(own) for vote in ballots(own, len(case.candidates))] for own in heard if own]

    def _disagreement(self, case: Case, verdicts: Sequence[Verdict]) -> float:
        pairs = list(combinations(map(best, self._shares(case, verdicts)), 2))
        return sum(one != other for one, other in pairs) / len(pairs) if pairs else 0.0

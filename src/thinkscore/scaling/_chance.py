"""Verdicts by lot, to see what a strategy does where the truth is known: it takes the engine's place in the sentence.

A verdict hangs on (seed, case id, sample) alone, like an engine's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from ..protocols._meta import Form
from ..seeds import derive_seed
from ..types import Case, Completion, Failure, Outcome, Trace, Usage, Verdict, Winner
from ._base import Ask

__all__ = ["Chance", "Odds"]

Odds = Callable[[Case, tuple[int, ...]], Sequence[float]]
"""(case, order) -> the probability that each place wins; what is missing to 1 stays unread."""

_TRACE = Trace()
_COMPLETION = Completion(usage=Usage(1, 0, 1))


class Chance:
    """Answers by lot; every verdict costs one call and one token."""

    def __init__(self, odds: Odds, seed: int = 0) -> None:
        self.odds, self.seed = odds, seed

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        return [Verdict(case.id, ask.order, self._outcome(case, ask), _TRACE, _COMPLETION, ask.by) for ask in asks]

    def _outcome(self, case: Case, ask: Ask) -> Outcome:
        drawn = random.Random(derive_seed(self.seed, case.id, ask.sample, ask.by)).random()
        for i, chance in zip(ask.order, self.odds(case, ask.order), strict=True):
            drawn -= chance
            if drawn < 0:
                return Winner(i)
        return Failure("no_verdict", "the lot fell on no candidate")

    async def weigh(self, case: Case, verdicts: Mapping[int, Verdict], form: Form) -> list[Verdict]:
        """Value nothing: a lot has no trace."""
        return list(verdicts.values())

    async def read(self, case: Case, verdicts: Mapping[int, Verdict]) -> list[Verdict]:
        """Read nothing."""
        return list(verdicts.values())

"""One budget for a block of cases: strategies that weigh cases against each other, and what drives them.

Every case gets its first verdicts, then each round goes to the cases that are worth most: an eighth of what is left at
a time, so that early rounds are large (engines like batches) and the last ones well aimed. A round waits for all its
answers: what is spent where hangs on the verdicts alone, not on which came first.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import islice
from math import inf

from ..ask import Ask
from ..types import Case, Judgment, Verdict
from ._base import State, Strategy
from ._driver import Answers

__all__ = ["Shared", "judge_block", "stream_blocks"]

PART = 8
"""One part in so many of what is left goes to a round."""


@dataclass(frozen=True)
class Shared(Strategy):
    """A strategy whose cases share a budget. `step` is for a case that is judged alone."""

    mean: float
    tokens: int
    block: int

    @abstractmethod
    def more(self, state: State) -> list[Ask]:
        """Say what to ask next about a case if it is to get more; nothing once it has all it may have."""

    @abstractmethod
    def worth(self, state: State) -> float:
        """Return the gain that is expected per further verdict; 0 for a case that needs none."""


async def stream_blocks(
    strategy: Shared, cases: Iterable[Case], asker: Answers, seed: int = 0, longest: int = 0
) -> AsyncGenerator[list[tuple[Case, Judgment]], None]:
    """Judge block after block, in the order of the cases; a block is in memory at a time.

    `longest` is the most tokens that a completion can have, for a budget of tokens.
    """
    feed = iter(cases)
    while block := list(islice(feed, strategy.block)):
        yield list(zip(block, await judge_block(strategy, block, asker, seed, longest), strict=True))


async def judge_block(
    strategy: Shared, cases: Sequence[Case], asker: Answers, seed: int = 0, longest: int = 0
) -> list[Judgment]:
    """Spend one budget on some cases, and fold each. It is never exceeded."""
    block = _Block(strategy, cases, asker, seed, longest)
    while asks := block.round():
        await block.ask(asks)
    reason = "settled" if block.room() > 0 else "budget"
    return [strategy.fold(case, block.verdicts[i], reason) for i, case in enumerate(cases)]


class _Block:
    """Cases that share a budget, and what is known about them."""

    def __init__(self, strategy: Shared, cases: Sequence[Case], asker: Answers, seed: int, longest: int) -> None:
        self.strategy, self.cases, self.asker, self.seed, self.longest = strategy, cases, asker, seed, max(longest, 1)
        self.verdicts: list[list[Verdict]] = [[] for _ in cases]
        self.paid = [0] * len(cases)
        self.worth = [inf] * len(cases)

    def room(self) -> int:
        """Return how many verdicts can be paid for certain."""
        if self.strategy.tokens:
            return (self.strategy.tokens * len(self.cases) - sum(self.paid)) // self.longest
        return int(self.strategy.mean * len(self.cases)) - sum(map(len, self.verdicts))

    def round(self) -> dict[int, list[Ask]]:
        """Choose the cases that are worth most, and what to ask about them; nothing when the budget is spent."""
        room, chosen = self.room(), dict[int, list[Ask]]()
        fresh = sum(1 for verdicts in self.verdicts if not verdicts)
        wanted = max(1, fresh or self._affordable() // PART)
        for i in nlargest(wanted, range(len(self.cases)), key=lambda i: (self.worth[i], -i)):
            asks = self.strategy.more(State(self.cases[i], tuple(self.verdicts[i]), self.seed)) if self.worth[i] else []
            asks = asks[:room]
            room -= len(asks)
            if asks:
                chosen[i] = asks
        return chosen

    def _affordable(self) -> int:
        """Return about how many verdicts the budget has room for."""
        asked = sum(map(len, self.verdicts))
        if not self.strategy.tokens or not asked:
            return self.room()
        left = self.strategy.tokens * len(self.cases) - sum(self.paid)
        return int(left / max(1.0, sum(self.paid) / asked))

    async def _answers(self, i: int, asks: list[Ask]) -> list[Verdict]:
        shown = self.cases[i].widened()
        verdicts = await self.asker.ask(shown, asks)
        return await self.asker.read(shown, dict(enumerate(verdicts))) if self.strategy.reads else verdicts

    async def ask(self, asks: dict[int, list[Ask]]) -> None:
        """Ask, and see what each of the cases is worth now (by its own length of answers, for a budget of tokens)."""
        answers = await asyncio.gather(*(self._answers(i, wanted) for i, wanted in asks.items()))
        for i, verdicts in zip(asks, answers, strict=True):
            self.verdicts[i] += verdicts
            self.paid[i] += sum(verdict.completion.usage.completion_tokens for verdict in verdicts)
            self.worth[i] = self.strategy.worth(State(self.cases[i], tuple(self.verdicts[i]), self.seed))
            if self.strategy.tokens:
                self.worth[i] /= max(1.0, self.paid[i] / len(self.verdicts[i]))

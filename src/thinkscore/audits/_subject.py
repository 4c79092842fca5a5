"""The judge under audit, and the ways to look at it: fresh verdicts, and where it leans after a given reasoning.

All calls go through one asker, so that its journal serves what two probes both want to know. A lean is the margin by
which the judge prefers candidate 0 of a pair: the log-odds of the verdict, or for protocols with scores the expected
difference. It is read exactly from log-probabilities where the engine gives them; the softmax normaliser cancels, so
log-probabilities are as good as logits. Else the judge is made to give its verdict at once: a server that reports the
likeliest tokens tells the log-odds at the token that decides (`_tops`), and of any other k verdicts are drawn,
log((n + 1/2) / (n' + 1/2)). Where a server cannot go on with a begun answer, the reasoning is shown in a user turn
instead, and the report says so ("transplanted").
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal

import msgspec

from ..ask import Ask, Asker
from ..engines._base import Engine
from ..errors import BadInput
from ..protocols._pair import Pairwise
from ..seeds import derive_seed
from ..types import Case, Completion, Failure, Message, Prompt, Scores, Trace, Verdict, Winner
from ._reader import Reader
from ._tops import TOPS, margin
from ._writer import Writer

__all__ = ["ORDERS", "Item", "Method", "Subject", "side", "with_candidate"]

Method = Literal["exact", "top", "votes", "none"]
"""How leans are read."""
ORDERS = ((0, 1), (1, 0))
FIRST = {ORDERS[0]: 0, ORDERS[1]: 50}
"""Number of the first sample of each order."""
CHANGED = 25
"""Where those of changed cases begin."""
TRIED = 5
FILLERS = ("...", ".")
AT_ONCE = 24
"""Tokens of a verdict that is given at once."""
ANEW = 120
"""Characters before a verdict from which on it is not given at once."""
LEAST = 1e-300
WORST = 1.0
_WAYS: tuple[tuple[Method, bool], ...] = (
    ("exact", False), ("top", False), ("votes", False), ("top", True), ("votes", True)
)  # fmt: skip
_SHOWN = (
    "Your analysis so far, which stands:\n<analysis>\n{reasoning}\n</analysis>\n"
    "Give the verdict that it comes to now, and nothing else."
)


class Item(msgspec.Struct, frozen=True):
    """A pair under audit, and how the judge decided it when nothing was changed."""

    case: Case
    lab: bool
    """Whether the world can read it."""
    drawn: Mapping[tuple[int, int], Sequence[Verdict]]
    """By order: fresh verdicts, the same question every time."""

    @property
    def first(self) -> dict[tuple[int, int], Verdict]:
        """The verdict of each order that others are compared with."""
        return {order: verdicts[0] for order, verdicts in self.drawn.items()}

    def sides(self) -> dict[tuple[int, int], int | None]:
        """Return who wins in each order."""
        return {order: side(verdict) for order, verdict in self.first.items()}

    @property
    def prefers(self) -> int | None:
        """The candidate that wins in both orders, or in one and ties or fails in the other; None if there is none."""
        total = sum(side(verdict) or 0 for verdict in self.first.values())
        return None if not total else 0 if total > 0 else 1

    @property
    def better(self) -> int | None:
        """The candidate that gold prefers."""
        gold = self.case.gold
        return None if gold is None or gold[0] == gold[1] else 0 if gold[0] > gold[1] else 1


def side(verdict: Verdict) -> int | None:
    """Return +1 if candidate 0 of a pair wins, -1 if the other one does, 0 for a tie, None for no verdict."""
    outcome = verdict.outcome
    if isinstance(outcome, Failure):
        return None
    if isinstance(outcome, Winner):
        return 1 - 2 * outcome.winner
    if isinstance(outcome, Scores):
        first, second = outcome.scores[:2]
        return 0 if first is None or second is None else (first > second) - (first < second)
    return 0


class Subject:
    """A judge that is asked in many ways. Lives in one event loop; the asker is opened and closed by the caller."""

    def __init__(self, asker: Asker, votes: int = 4) -> None:
        """Take how many verdicts a lean is read from where there are no log-probabilities."""
        self.asker, self.protocol, self.votes = asker, asker.protocol, votes
        self.method: Method = "none"
        self.transplanted = False
        """Whether reasoning is shown in a user turn, since the judge cannot go on with a begun answer."""
        self.asked = self.unread = 0
        """Calls about changed cases, and those of them without a verdict, since somebody set them to 0."""
        self.refused = False
        """Whether the budget refused a call."""
        self.filler = ""
        """A word that says nothing and that the model can read; "" if none was found."""
        self.reader: Reader | None = None
        """Another model that reads reasoning blindly, if there is one."""
        self.writer: Writer | None = None
        """Another model that says free text in other words, if there is one."""
        self.items: list[Item] = []
        """All cases under audit, once their verdicts are drawn."""

    async def prepare(self, cases: Sequence[Case]) -> None:
        """Find out how leans can be read: the first way that works on one of a few cases."""
        if not self.protocol.readable_by_force:
            return
        own = {item.case.id: self.reasoning(item.first[ORDERS[0]], item.case) for item in self.items}
        for self.method, self.transplanted in _WAYS:
            for case in cases[:TRIED]:
                with suppress(BadInput):
                    if await self.lean(case, ORDERS[0], own.get(case.id, "")) is not None:
                        await self._find_filler(case)
                        return
        self.method, self.transplanted = "none", False

    async def _find_filler(self, case: Case) -> None:
        for word in FILLERS:
            if await self.lean(case, ORDERS[0], f"{word} {word}") is not None:
                self.filler = word
                return

    async def item(self, case: Case, lab: bool, samples: int) -> Item:
        """Draw the verdicts that everything is compared with."""
        drawn = await asyncio.gather(*(self._draw(case, order, FIRST[order], samples) for order in ORDERS))
        return Item(case, lab, dict(zip(ORDERS, drawn, strict=True)))

    async def draw(self, case: Case, order: tuple[int, int], begin: str = "") -> Verdict:
        """Ask about a changed case; `begin` is what the answer starts with.

        The sample is another one than any that it is compared with: were the noise the same, it would cancel here and
        be taken off once more.
        """
        (verdict,) = await self._draw(case, order, FIRST[order] + CHANGED, 1, begin)
        return self._counted(verdict)

    async def _draw(
        self, case: Case, order: tuple[int, int], first: int, samples: int, begin: str = ""
    ) -> list[Verdict]:
        verdicts = await self.asker.ask(case, [Ask(order, first + k, begin=begin) for k in range(samples)])
        return [verdict if begin in verdict.completion.text else _elsewhere(verdict) for verdict in verdicts]

    def _counted(self, verdict: Verdict) -> Verdict:
        """Count what is asked about changed cases, and what came without a verdict."""
        self.asked += 1
        if isinstance(verdict.outcome, Failure):
            self.unread += 1
            self.refused |= "budget" in verdict.outcome.detail
        return verdict

    def foreign(self, item: Item, order: tuple[int, int], won: int = 0) -> str:
        """Return what the judge wrote on another case in this order, for a side if one is given; "" if nothing."""
        start = derive_seed("foreign", item.case.id) % max(1, len(self.items))
        for other in [*self.items[start:], *self.items[:start]]:
            verdict = other.first[order]
            if other.case.id != item.case.id and (side(verdict) == won if won else side(verdict)):
                return self.reasoning(verdict, other.case)
        return ""

    def questions(self, item: Item, n: int) -> list[Case]:
        """Return n other cases, of the same kind if there are any."""
        kind = item.case.tags.get("family")
        others = [one.case for one in self.items if one.case.messages != item.case.messages]
        alike = [case for case in others if case.tags.get("family") == kind] or others
        start = derive_seed("questions", item.case.id) % max(1, len(alike))
        return [*alike[start:], *alike[:start]][:n]

    @property
    def labels(self) -> tuple[str, str]:
        """The names that the two responses go by."""
        if isinstance(self.protocol, Pairwise):
            return self.protocol.tags[0][-1], self.protocol.tags[1][-1]
        return "1", "2"

    async def sides(self, case: Case) -> dict[tuple[int, int], int | None]:
        """Ask once in each order; returns who wins."""
        found = await asyncio.gather(*(self.draw(case, order) for order in ORDERS))
        return {order: side(verdict) for order, verdict in zip(ORDERS, found, strict=True)}

    def reasoning(self, verdict: Verdict, case: Case) -> str:
        """Return what was written before a verdict; "" where there is none."""
        if isinstance(verdict.outcome, Failure):
            return ""
        return self.protocol.reasoning(verdict.completion, self.protocol.render(case, verdict.order)) or ""

    async def lean(self, case: Case, order: tuple[int, int], reasoning: str) -> float | None:
        """Return the margin of candidate 0 after this reasoning; None where none can be read."""
        if self.method == "none":
            return None
        if reasoning.rfind("<think>") > reasoning.rfind("</think>"):  # cut in its middle
            reasoning = f"{reasoning.rstrip()}\n</think>"
        if self.method == "exact":
            return await self._exact(case, order, reasoning)
        if self.method == "top":
            return await self._top(case, order, reasoning)
        counts = [0.5, 0.5]
        for verdict in await self.verdicts(self._forced(case, order, reasoning, self.votes)):
            won = side(verdict)
            if won is None:
                continue
            counts[0] += (1 + won) / 2
            counts[1] += (1 - won) / 2
        return None if sum(counts) == 1 else math.log(counts[0] / counts[1])

    async def _exact(self, case: Case, order: tuple[int, int], reasoning: str) -> float | None:
        engine = self.asker.engine
        if type(engine).logprobs is Engine.logprobs and not engine.recorded:
            return None
        if self.protocol.arity[1] == 2:
            first, second = await self._expected(case, order, reasoning, Winner(order[0]))
            return None if first is None or second is None else _log(first) - _log(second)
        found = await self._expected(case, order, reasoning, _scored(order, WORST))
        likely = found[order[0]]
        if likely is None:
            return None
        # The score that is said second hangs on the one that was said first: on the likely one.
        found = await self._expected(case, order, reasoning, _scored(order, float(round(likely))))
        first, second = found
        return None if first is None or second is None else first - second

    async def _expected(
        self, case: Case, order: tuple[int, int], reasoning: str, said: Winner | Scores
    ) -> tuple[float | None, float | None]:
        """Read the verdict after a reasoning from log-probabilities."""
        written = f"{reasoning.rstrip()}\n{self.protocol.write(said, Trace(), order)}".lstrip("\n")
        (read,) = await self.asker.read(case, [Verdict(case.id, order, said, Trace(), Completion(written))])
        return (None, None) if read.expected is None else (read.expected[0], read.expected[1])

    async def _top(self, case: Case, order: tuple[int, int], reasoning: str) -> float | None:
        """Read the verdict after a reasoning from the likeliest tokens where it is decided."""
        if self.protocol.arity[1] > 2:
            return None
        (prompt,) = self._forced(case, order, reasoning, 1)
        (completion,) = await self.asker.complete([msgspec.structs.replace(prompt, tops=TOPS)])
        if self._anew(self.protocol.parse(completion, prompt), prompt):
            return None
        found = margin(completion, prompt.prefill, self.protocol.readout(prompt, ""))
        return None if found is None else found * (1 - 2 * order[0])

    def _forced(self, case: Case, order: tuple[int, int], reasoning: str, samples: int) -> list[Prompt]:
        """Make the judge give its verdict at once."""
        base = self.protocol.render(case, order)
        few = msgspec.structs.replace(self.asker.sampling, max_tokens=AT_ONCE)
        changes: dict[str, object] = {"sampling": few, "prefill": self.protocol.readout(base, reasoning).prefill}
        if self.transplanted:  # who cannot be begun may think before it answers
            asked = Message("user", _SHOWN.format(reasoning=reasoning or "(nothing yet)"))
            changes = {"messages": (*base.messages[:-1], _joined(base.messages[-1], asked))}
        return [
            msgspec.structs.replace(base, seed=derive_seed(self.asker.seed, case.id, k), sample=k, **changes)
            for k in range(samples)
        ]

    async def verdicts(self, prompts: Sequence[Prompt]) -> list[Verdict]:
        """Ask prompts as they are."""
        completions = await self.asker.complete(prompts)
        read = [self.protocol.parse(done, prompt) for done, prompt in zip(completions, prompts, strict=True)]
        return [
            one if one.completion.text.startswith(prompt.prefill) and not self._anew(one, prompt) else _elsewhere(one)
            for one, prompt in zip(read, prompts, strict=True)
        ]

    def _anew(self, verdict: Verdict, prompt: Prompt) -> bool:
        """Tell whether a judge that was shown a reasoning wrote one of its own: then its verdict is about that one."""
        return self.transplanted and len(self.reasoning(verdict, prompt.case)) > ANEW


def _elsewhere(verdict: Verdict) -> Verdict:
    """Take no verdict from an answer that does not go on from where it was begun: it is about something else."""
    if isinstance(verdict.outcome, Failure):
        return verdict
    failure = Failure("engine_error", "the judge did not go on from the reasoning that it was given")
    return msgspec.structs.replace(verdict, outcome=failure)


def _log(chance: float) -> float:
    return math.log(max(chance, LEAST))


def _scored(order: tuple[int, int], first: float) -> Scores:
    """Score the candidate shown first, and the other one worst."""
    return Scores(tuple(first if i == order[0] else WORST for i in range(2)))


def _joined(asked: Message, more: Message) -> Message:
    return Message("user", f"{asked.content}\n\n{more.content}")


def with_candidate(case: Case, i: int, text: str) -> Case:
    """Put another text in the place of a candidate; gold no longer holds."""
    texts = tuple(text if k == i else other for k, other in enumerate(case.candidates))
    return msgspec.structs.replace(case, candidates=texts)

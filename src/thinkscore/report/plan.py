"""What a run would ask and cost, before any call: the dry run.

The strategy is asked what it wants, every prompt is rendered, and what the journal already holds is taken off. Tokens
are estimates and are called so: prompts by their characters, at the rate of the calls in the journal if it holds some,
answers by the mean of those in the journal, and never more than `max_tokens`. Nothing is sent, not even to see whether
the engine is there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..budget import Price
from ..errors import BadInput
from ..journal import Call, Request, read_journal
from ..protocols._base import Protocol
from ..protocols._meta import Form
from ..scaling._base import Ask, Strategy
from ..scaling._driver import at_once, extended
from ..seeds import derive_seed
from ..types import Case, Completion, Prompt, Sampling, Trace, Usage, Verdict, Winner, content_hash

__all__ = ["Plan", "plan"]

CHARACTERS = 4
"""Per token, a common rule for English text; code and other languages have fewer."""
ROUNDS = 100  # of asking a strategy about one case


class Plan(msgspec.Struct):
    """What a run would do. Tokens are estimates, `most_` is a bound."""

    cases: int = 0
    """Cases to judge."""
    calls: int = 0
    """Calls that are still to be made."""
    recorded: int = 0
    """Calls whose answers the journal holds."""
    unaskable: int = 0
    """Cases that the protocol cannot show: no call is made for them."""
    prompt_tokens: int = 0
    """About how many tokens are read."""
    characters_per_token: float = CHARACTERS
    """By which they were estimated."""
    measured: bool = False
    """Whether that is what the calls in the journal had; else it is a common rule."""
    completion_tokens: int | None = None
    """About how many are written; None if the journal holds no answer to go by."""
    most_completion_tokens: int = 0
    """How many are written at most."""
    cost: float | None = None
    """In the unit of the price file; None without one, or if the answers' length is unknown."""
    most_cost: float | None = None
    """The same if every answer is as long as it may be."""
    seconds: float | None = None
    """At the given rate; None without one."""
    adaptive: bool = False
    """Whether the strategy decides as it goes; counted is what it asks if all verdicts agree."""


def plan(
    cases: Iterable[Case],
    protocol: Protocol,
    strategy: Strategy,
    *,
    sampling: Sampling,
    seed: int = 0,
    journal: str | Path | None = None,
    price: Price | None = None,
    rate: float | None = None,
    most: int | None = None,
) -> Plan:
    """Plan a run; `rate` is calls per second, if it is known. The journal, if there is one, is only read.

    `most` limits the verdicts per case, as in `Judge`.
    """
    known = _recorded(journal, protocol.id)
    found = Plan(characters_per_token=known.per_token or CHARACTERS, measured=known.per_token is not None)
    characters = 0
    for case in cases:
        asks, rounds = _asks(strategy, case, seed, most)
        prompts = {call.key: call.prompt for call in _calls(asks, case, protocol, sampling, seed)}
        new = [prompt for key, prompt in prompts.items() if key not in known.keys]
        found.cases += 1
        found.adaptive |= rounds > 1
        found.calls += len(new)
        found.recorded += len(prompts) - len(new)
        found.unaskable += not prompts
        characters += sum(map(_characters, new))
        found.most_completion_tokens += sum(0 if prompt.conversations else sampling.max_tokens for prompt in new)
    found.prompt_tokens = math.ceil(characters / found.characters_per_token)
    if known.written is not None:
        found.completion_tokens = min(round(known.written * found.calls), found.most_completion_tokens)
    return _priced(found, price, rate)


def _calls(asks: Sequence[Ask], case: Case, protocol: Protocol, sampling: Sampling, seed: int) -> Iterator[Call]:
    """Key what would be asked about a case, for any model."""
    for ask in asks:
        with suppress(BadInput):  # the protocol cannot show it: no call is made
            drawn = derive_seed(seed, case.id, ask.sample)
            shown = protocol.render(case.widened(), ask.order)
            yield Call.of(msgspec.structs.replace(shown, sampling=sampling, seed=drawn, sample=ask.sample), "")


def _asks(strategy: Strategy, case: Case, seed: int, most: int | None) -> tuple[list[Ask], int]:
    """Collect what a strategy asks if all verdicts agree, and in how many rounds."""
    answers = _Agreeing()
    verdicts: list[Verdict] = []
    for _ in range(ROUNDS):
        found = at_once(extended(strategy, case, answers, verdicts, seed, most))
        if isinstance(found, str):
            break
        verdicts = found
    return answers.asks, answers.rounds


class _Agreeing:
    """Answers at no cost: of any two candidates the earlier one wins."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.rounds = 0

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        self.asks += [ask for ask in asks if not ask.by]
        self.rounds += 1
        return [Verdict(case.id, ask.order, Winner(min(ask.order)), Trace(), Completion(), ask.by) for ask in asks]

    async def weigh(self, case: Case, verdicts: Mapping[int, Verdict], form: Form) -> list[Verdict]:
        return list(verdicts.values())

    async def read(self, case: Case, verdicts: Mapping[int, Verdict]) -> list[Verdict]:
        return list(verdicts.values())


class _Journal(NamedTuple):
    """What a journal tells about calls to come."""

    keys: set[str]
    """The calls it holds, whatever model answered."""
    written: float | None
    """Mean length of an answer in tokens."""
    per_token: float | None
    """Characters of a prompt per token."""


def _recorded(journal: str | Path | None, protocol: str) -> _Journal:
    """Read a journal, if there is one; lengths are of the protocol's own calls."""
    keys: set[str] = set()
    cost, characters = Usage(), 0
    if journal is not None and Path(journal).exists():
        for record in read_journal(journal):
            keys.add(content_hash(msgspec.structs.replace(record.request, model="")))
            if record.protocol == protocol:
                cost += record.completion.usage
                characters += _characters(record.request)
    return _Journal(
        keys,
        cost.completion_tokens / cost.calls if cost.calls else None,
        characters / cost.prompt_tokens if cost.prompt_tokens else None,
    )


def _characters(prompt: Prompt | Request) -> int:
    shown = prompt.conversations or (prompt.messages,)
    return sum(len(message.content) for messages in shown for message in messages) + len(prompt.prefill)


def _priced(found: Plan, price: Price | None, rate: float | None) -> Plan:
    if price is not None:
        found.most_cost = price.cost(Usage(found.calls, found.prompt_tokens, found.most_completion_tokens))
        if found.completion_tokens is not None:
            found.cost = price.cost(Usage(found.calls, found.prompt_tokens, found.completion_tokens))
    if rate is not None:
        found.seconds = found.calls / rate
    return found

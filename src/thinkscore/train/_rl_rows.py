"""What reinforcement learning starts from: usable cases, the orders they are shown in, rows for TRL.

Every stream is a function of the seed: a resumed run meets the same rows.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from itertools import count, islice
from typing import Any, Literal

import msgspec
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from ..data import case_row
from ..engines._hf_text import Chat
from ..errors import BadInput
from ..protocols._base import Protocol
from ..seeds import derive_seed
from ..types import Case
from ._grpo import Block, Row
from ._rewards import Reward
from ._usable import check_labels, check_sides, unusable

__all__ = ["Orders", "Shown", "dataset", "shown", "spare", "split", "usable"]

Orders = Literal["balanced", "both", "as_is"]
Shown = tuple[Case, tuple[int, ...]]
"""A case and the order of its candidates."""


def usable(
    cases: Sequence[Case],
    reward: Reward,
    tokenizer: PreTrainedTokenizerBase | None,
    max_prompt: int,
    context: int | None = None,
) -> tuple[list[Case], Counter[str]]:
    """Return the cases that can be trained on, and how many others there are by reason.

    Without a tokenizer nobody looks at prompts; `context` is what the model reads, the answer included. Raises
    `BadInput` if there are none, or if labels of single responses are on another scale than the judge's scores.
    """
    reward.check([case for case in cases if len(case.candidates) == 1 and unusable(case, reward.protocol) is None])
    kept, left = list[Case](), Counter[str]()
    reading = None if tokenizer is None else _Reading(reward.protocol, tokenizer, max_prompt, context)
    for case in cases:
        problem = unusable(case, reward.protocol)
        if problem is None:
            problem = reward.unusable(case) or (reading.problem(case) if reading else None)
        if problem is None:
            kept.append(case)
        else:
            left[problem] += 1
    if not kept:
        why = "; ".join(f"{count:,} {problem}" for problem, count in left.most_common(3))
        raise BadInput(f"none of the {len(cases):,} cases can be trained on: {why or 'there are none'}")
    return kept, left


def split(
    cases: Sequence[Case],
    held_out: Sequence[Case],
    orders: Orders,
    read: Callable[[Sequence[Case]], tuple[list[Case], Counter[str]]],
) -> tuple[list[Case], list[Case], Counter[str]]:
    """Return what can be trained on, what can be measured on, and how many others there are by reason.

    `read` is `usable` with all but the cases. Raises `BadInput` as it does, and if all labels to train on are one.
    """
    kept, left = read(cases)
    check_labels(kept)
    if orders == "as_is":
        check_sides(kept)
    measured, gone = read(held_out) if held_out else ([], Counter[str]())
    return kept, measured, left + Counter({f"(held out) {reason}": number for reason, number in gone.items()})


class _Reading:
    """What a model can read."""

    def __init__(
        self, protocol: Protocol, tokenizer: PreTrainedTokenizerBase, max_prompt: int, context: int | None
    ) -> None:
        self.protocol, self.chat, self.unknown = protocol, Chat(copy(tokenizer)), tokenizer.unk_token_id
        self.max_prompt, self.context = max_prompt, context

    def problem(self, case: Case) -> str | None:
        """Say why a case cannot be shown; None if it can."""
        ids = self.chat.ids(self.protocol.render(case, range(len(case.candidates))).messages)
        if len(ids) > self.max_prompt:
            return f"with a prompt of more than {self.max_prompt} tokens"
        if self.context is not None and len(ids) >= self.context:
            return f"with a prompt that fills the {self.context} tokens that the model reads"
        unknown = self.unknown is not None and self.unknown in ids
        return "with words that the model has no token for" if unknown else None


def shown(cases: Sequence[Case], orders: Orders, seed: int) -> Iterator[list[Shown]]:
    """Yield blocks without end: one case in one order, or with orders "both" in two; each pass in another sequence.

    Balanced: the best candidate of block k stands at place k modulo the number of candidates.
    """
    blocks = count()
    for epoch in count():
        rng = random.Random(derive_seed("rl", seed, epoch))
        for case in rng.sample(cases, len(cases)):
            yield block(case, orders, next(blocks), rng)


def spare(cases: Sequence[Case], orders: Orders, seed: int) -> Callable[[int, int, int], list[Shown]]:
    """Make the function that gives the k-th further block at an update, its best candidate at `place`."""

    def draw(step: int, k: int, place: int) -> list[Shown]:
        rng = random.Random(derive_seed("spare", seed, step, k))
        return block(rng.choice(cases), orders, place, rng)

    return draw


def block(case: Case, orders: Orders, k: int, rng: random.Random) -> list[Shown]:
    """Show a case with its best candidate at place k modulo their number, the others as the generator has it."""
    n = len(case.candidates)
    if orders == "as_is":
        return [(case, tuple(range(n)))]
    best = max(range(n), key=lambda i: (case.gold or ())[i])
    order = rng.sample([i for i in range(n) if i != best], n - 1)
    order.insert(k % n, best)
    return [(case, tuple(order)), (case, tuple(reversed(order)))] if orders == "both" else [(case, tuple(order))]


def row(protocol: Protocol, said: Shown) -> Row:
    """Write what TRL's trainer and our reward function read."""
    case, order = said
    place = order.index(max(order, key=lambda i: (case.gold or ())[i]))
    messages = [msgspec.to_builtins(message) for message in protocol.render(case, order).messages]
    return {"prompt": messages, "case": _json(case), "order": list(order), "place": place}


def dataset(protocol: Protocol, said: Iterator[list[Shown]], n: int) -> Dataset:
    """Make a dataset of n rows that are rendered when they are read."""
    rows = list(islice((one for block in said for one in block), n))
    cases = list({id(case): case for case, _ in rows}.values())
    number = {id(case): i for i, case in enumerate(cases)}

    def render(batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        pairs = zip(batch["number"], batch["order"], strict=True)
        made = [row(protocol, (cases[i], tuple(order))) for i, order in pairs]
        return {key: [one[key] for one in made] for key in made[0]}

    columns = {"number": [number[id(case)] for case, _ in rows], "order": [list(order) for _, order in rows]}
    return Dataset.from_dict(columns).with_transform(render)


def rows_of(protocol: Protocol, block: list[Shown]) -> Block:
    """Write a block as rows."""
    return [row(protocol, said) for said in block]


def _json(case: Case) -> str:
    return msgspec.json.encode(case_row(case)).decode()

"""Accuracy against cost for many strategies from one pool of recorded verdicts, and the setting to choose.

Every strategy is run on every case several times, from different places of the pool on; a case counts with the mean of
its turns, and intervals resample cases (percentile bootstrap, 95 %). Ties count half, what cannot be read counts as
wrong. Whoever picks the best of many settings on some cases and reports its figure on the same cases is too optimistic:
a setting is chosen on one half of the cases (by hash of the id) and its figures are told of the other half.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data import standing
from ..errors import BadInput
from ..judge import Summary
from ..scaling._base import Strategy, parse_strategy
from ..scaling._driver import at_once, decide
from ..scaling._pool import Pool
from ..scaling._shared import Shared, stream_blocks
from ..scaling.vote import Vote
from ..seeds import derive_seed
from ..stats import bootstrap
from ..types import Case, Judgment
from ._recorded import Recorded

__all__ = ["Arm", "Choice", "Estimate", "Means", "Scale", "choose", "compare", "groups", "ladder", "measure"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
FEWEST = 20
"""Cases that each half must have before a setting is chosen."""


class Estimate(NamedTuple):
    """A mean over cases with its 95 % interval."""

    mean: float
    low: float
    high: float


class Means(NamedTuple):
    """What a strategy comes to, per case."""

    accuracy: Estimate
    tied: float
    unread: float
    """Share of cases without a readable verdict."""
    verdicts: float
    calls: float
    """More than verdicts where traces are looked at again."""
    prompt_tokens: float
    completion_tokens: float


_COLUMNS = ("right", "tied", "unread", "verdicts", "calls", "prompt_tokens", "completion_tokens")


@dataclass(frozen=True, eq=False)
class Arm:
    """One strategy, measured."""

    text: str
    """The strategy as it was given."""
    table_C_F: Array
    """Per case: right (halves for ties), tied, unread, verdicts, calls, prompt tokens, completion tokens; means over
    turns."""
    seed: int

    @property
    def right_C(self) -> Array:
        """Accuracy per case."""
        return self.table_C_F[:, 0]

    def means(self, chosen_C: Mask | None = None) -> Means:
        """Return what it comes to over all cases, or over some."""
        table = self.table_C_F if chosen_C is None else self.table_C_F[chosen_C]
        return Means(self._mean(table[:, 0]), *(float(mean) for mean in table.mean(axis=0)[1:]))

    def against(self, other: Arm, chosen_C: Mask | None = None) -> Estimate:
        """Return the difference in accuracy to another strategy on the same cases."""
        apart = self.right_C - other.right_C
        return self._mean(apart if chosen_C is None else apart[chosen_C])

    def _mean(self, values_C: Array) -> Estimate:
        return Estimate(float(values_C.mean()), *bootstrap(values_C, derive_seed(self.seed, "bootstrap")))  # type: ignore[arg-type]


def measure(text: str, strategy: Strategy, recorded: Recorded, seed: int, turns: int) -> Arm:
    """Run a strategy on every case, `turns` times. Raises `BadInput` if it asks for what the pool does not hold."""
    table_C_F = np.zeros((len(recorded.cases), len(_COLUMNS)))
    for turn in range(turns):
        pool = recorded.pool.turned(turn / turns)
        if isinstance(strategy, Shared):
            judgments: Iterable[Judgment] = asyncio.run(_shared(strategy, recorded, pool, seed))
        else:
            judgments = (at_once(decide(strategy, case, pool, seed)) for case in recorded.cases)
        for row_F, case, judgment in zip(table_C_F, recorded.cases, judgments, strict=True):
            row_F += _row(case, judgment)
    return Arm(text, table_C_F / turns, seed)


async def _shared(strategy: Shared, recorded: Recorded, pool: Pool, seed: int) -> Iterable[Judgment]:
    """Judge cases that share a budget."""
    blocks = stream_blocks(strategy, recorded.cases, pool, seed, recorded.longest)
    return [judgment async for block in blocks for _, judgment in block]


def _row(case: Case, judgment: Judgment) -> tuple[float, ...]:
    name, spent = standing(case, judgment), judgment.usage
    tied = name == "tied"
    counts = len(judgment.verdicts), spent.calls, spent.prompt_tokens, spent.completion_tokens
    return (name == "right") + tied / 2, tied, judgment.failure is not None, *counts


@dataclass(frozen=True, eq=False)
class Scale:
    """All strategies on the same cases; the reference is the largest plain vote."""

    cases: Sequence[Case]
    arms: Sequence[Arm]
    reference: Arm
    seed: int

    @property
    def unit(self) -> str:
        """What cost is counted in: completion tokens, or verdicts where the engine counted no tokens."""
        return "completion tokens" if self.reference.table_C_F[:, -1].any() else "verdicts"

    def cost(self, arm: Arm, chosen_C: Mask | None = None) -> float:
        """Return what a strategy takes per case, in `unit`."""
        cost_C = arm.table_C_F[:, _COLUMNS.index("verdicts" if self.unit == "verdicts" else "completion_tokens")]
        return float((cost_C if chosen_C is None else cost_C[chosen_C]).mean())

    @cached_property
    def frontier(self) -> list[Arm]:
        """The strategies that no other beats at the same or less cost, the cheapest first."""
        found: list[Arm] = []
        for arm in sorted(self.arms, key=lambda arm: (self.cost(arm), -arm.right_C.mean())):
            if not found or arm.right_C.mean() > found[-1].right_C.mean():
                found.append(arm)
        return found

    @cached_property
    def halves(self) -> tuple[Mask, Mask]:
        """Split the cases by a hash of their ids: one half to choose on, one to report."""
        first_C = np.array([derive_seed(self.seed, case.id, "half") % 2 == 0 for case in self.cases])
        return first_C, ~first_C

    def as_dict(self, by: str | None = None) -> dict[str, Any]:
        """Return what `--json` prints."""
        values = groups(self.cases, by) if by else {}
        rows = []
        for arm in self.arms:
            row = {"strategy": arm.text, **_plain(arm.means()), "frontier": arm in self.frontier}
            row["difference"] = _spread(arm.against(self.reference))
            if by:
                row["by"] = {
                    value: {**_plain(arm.means(of_C)), "difference": _spread(arm.against(self.reference, of_C))}
                    for value, of_C in values.items()
                }
            rows.append(row)
        sizes = {value: int(of_C.sum()) for value, of_C in values.items()}
        return {
            "cases": len(self.cases),
            "reference": self.reference.text,
            **({"by": {"tag": by, "cases": sizes}} if by else {}),
            "strategies": rows,
        }


def groups(cases: Sequence[Case], tag: str) -> dict[str, Mask]:
    """Return which cases have which value of a tag. Raises `BadInput` for one that is no grouping."""
    values = [str(case.tags[tag]) if tag in case.tags else "" for case in cases]
    known = sorted(set(values) - {""})
    if not 1 <= len(known) <= Summary.values:
        tags = sorted({tag for case in cases for tag in case.tags})
        raise BadInput(
            f"--by {tag}: {len(known)} values; give a tag of the cases with at most {Summary.values}, of "
            f"{', '.join(tags) or 'which they have none'}"
        )
    return {value: np.array([one == value for one in values]) for value in known}


def ladder(recorded: Recorded) -> list[str]:
    """List the strategies that a pool can answer: plain votes, early stops, and what looks at traces."""
    pool, most = recorded.pool, recorded.size
    sizes = [2**i for i in range(most.bit_length()) if 2**i < most] + [most]
    found = [f"vote:k={k}" for k in sizes]
    if not pool.scored:  # the width of the scores' range is not known here
        found.append(f"vote:k={most},stop=lock")
    found += [f"adaptive:rule=lead,m={m},k={most}" for m in (2, 3, 4, 5) if m < most]
    found += [f"adaptive:rule=beta,level={level},k={most}" for level in (0.9, 0.95, 0.99) if most > 4]
    found += [f"allocate:mean={k},k={most}" for k in sizes if 2 < k < most]
    if pool.form:
        found += [f"meta:k={k},form={pool.form}" for k in sizes if k > 1]
    if "" in pool.reads:
        found += [f"vote_logprob:k={k}" for k in sizes]
        found += [f"allocate:mean={k},k={most},read=True" for k in sizes if 2 < k < most]
    return found


def compare(
    recorded: Recorded, texts: Sequence[str], seed: int, repeats: int, each: Callable[[], object] = lambda: None
) -> Scale:
    """Measure strategies on a pool; the reference is the largest plain vote, which is added if there is none.

    `each` is called after each strategy. Raises `BadInput` as `measure` does.
    """
    strategies = {str(strategy): (text, strategy) for text in texts for strategy in [parse_strategy(text)]}
    votes = [strategy for _, strategy in strategies.values() if isinstance(strategy, Vote) and strategy.stop == "never"]
    largest = max(votes, key=lambda vote: vote.k, default=Vote(recorded.size))
    strategies.setdefault(str(largest), (str(largest), largest))
    turns = max(1, min(repeats, recorded.size // 2))
    arms = []
    for text, strategy in strategies.values():
        arms.append(measure(text, strategy, recorded, seed, turns))
        each()
    reference = arms[list(strategies).index(str(largest))]
    return Scale(recorded.cases, arms, reference, seed)


class Choice(NamedTuple):
    """A recommended setting."""

    arm: Arm | None
    """None if no setting does what was asked for."""
    closest: Arm
    """The same, or what comes closest."""
    means: Means
    """Of the closest, on the cases that it was not chosen on."""
    chosen_on: int
    reported_on: int

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "strategy": self.arm and self.arm.text,
            "closest": self.closest.text,
            "chosen_on": self.chosen_on,
            "reported_on": self.reported_on,
            **_plain(self.means),
        }


def choose(scale: Scale, want: float | None = None, tokens: float | None = None) -> Choice:
    """Recommend a setting: the cheapest that surely reaches an accuracy, or the most accurate within a cost.

    "Surely": the lower end of its interval reaches `want`. `tokens` is what a case may cost, in the scale's unit. With
    both, the cheapest must also be within the cost. Raises `BadInput` if there are too few cases to choose on some and
    report on others.
    """
    first_C, second_C = scale.halves
    if min(first_C.sum(), second_C.sum()) < FEWEST:
        raise BadInput(f"{len(scale.cases)} cases are too few to choose a setting on one half of them")
    arms = sorted(scale.arms, key=lambda arm: (scale.cost(arm, first_C), -arm.right_C[first_C].mean()))
    affordable = [arm for arm in arms if tokens is None or scale.cost(arm, first_C) <= tokens]
    found, closest = None, arms[0]
    if affordable:
        found = closest = max(affordable, key=lambda arm: float(arm.right_C[first_C].mean()))
        if want is not None:
            sure = (arm for arm in affordable if arm.means(first_C).accuracy.low >= want)
            found = next(sure, None)
            closest = found or closest
    return Choice(found, closest, closest.means(second_C), int(first_C.sum()), int(second_C.sum()))


def _plain(means: Means) -> dict[str, Any]:
    accuracy, rest = means.accuracy, means._asdict()
    return {**rest, "accuracy": accuracy.mean, "interval": [accuracy.low, accuracy.high]}


def _spread(found: Estimate) -> dict[str, Any]:
    return {"mean": found.mean, "interval": [found.low, found.high]}

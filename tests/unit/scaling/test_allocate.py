"""`allocate`: one budget for many cases: never exceeded, spent where votes are split, better than an even split."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.scaling._chance import Chance
from thinkscore.scaling._driver import at_once, decide
from thinkscore.scaling._shared import judge_block, stream_blocks
from thinkscore.scaling.allocate import Allocate, gain
from thinkscore.scaling.vote import Vote
from thinkscore.types import Case, Judgment, Message


def cases(count: int) -> list[Case]:
    return [Case(str(i), (Message("user", "?"),), ("a", "b"), gold=(1.0, 0.0)) for i in range(count)]


def lot(seed: int, chance: dict[str, float] | None = None) -> Chance:
    """Vote right by each case's own chance: near 0, 1/2 or 1, as those of real judges are."""

    def odds(case: Case, order: tuple[int, ...]) -> list[float]:
        p = chance[case.id] if chance else share(case.id, seed)
        return [p if i == 0 else 1 - p for i in order]

    return Chance(odds, seed)


def share(name: str, seed: int) -> float:
    return random.Random(f"{seed} {name}").betavariate(1.0, 0.4)


def accuracy(judgments: list[Judgment], seed: int) -> float:
    """How often the judge's own favourite was found; what more votes cannot mend is not counted against them."""
    wins = [share(one.case_id, seed) > 0.5 for one in judgments]
    found = (
        0.5 if one.winner is None else float((one.winner == 0) == won) for one, won in zip(judgments, wins, strict=True)
    )
    return sum(found) / len(judgments)


def spent(strategy: Allocate, n: int, seed: int = 0, longest: int = 1) -> list[Judgment]:
    return asyncio.run(judge_block(strategy, cases(n), lot(seed), seed, longest))


@given(st.integers(1, 40), st.floats(1, 12), st.integers(1, 16), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_budget_is_never_exceeded(n: int, mean: float, k: int, seed: int) -> None:
    judgments = spent(Allocate(mean=mean, k=k), n, seed)
    calls = [len(judgment.verdicts) for judgment in judgments]
    assert sum(calls) <= mean * n
    assert max(calls) <= k
    assert [one.usage for one in spent(Allocate(mean=mean, k=k), n, seed)] == [one.usage for one in judgments]


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_nor_is_a_budget_of_tokens(n: int, tokens: int, longest: int) -> None:
    judgments = spent(Allocate(tokens=tokens), n, longest=longest)  # a lot costs one token, and might cost `longest`
    total = sum(one.usage.completion_tokens for one in judgments)
    assert total <= tokens * n
    undecided = any(one.usage.calls < 32 and one.winner is None for one in judgments)
    assert not undecided or total + longest > tokens * n, "what is left must be too little for one more"


def test_split_votes_are_asked_on_and_clear_ones_are_not() -> None:
    chance = {str(i): 0.5 if i % 10 == 0 else 0.99 for i in range(100)}
    judgments = asyncio.run(judge_block(Allocate(mean=4), cases(100), lot(0, chance), 0))
    calls = [len(one.verdicts) for one in judgments]
    split, clear = calls[::10], [count for i, count in enumerate(calls) if i % 10]
    assert sum(split) / len(split) > 10
    assert sum(clear) / len(clear) < 4


@pytest.mark.parametrize("mean", [4, 8])
def test_it_is_worth_more_than_an_even_split(mean: int) -> None:
    n, gains = 400, []
    for seed in range(5):
        even = [at_once(decide(Vote(mean), case, lot(seed), seed)) for case in cases(n)]
        gains.append(accuracy(spent(Allocate(mean=mean), n, seed), seed) - accuracy(even, seed))
    assert sum(gains) / len(gains) > 0.01
    assert min(gains) > -0.005


def test_the_gain_of_one_draw_by_hand() -> None:
    # even votes, Beta(1, 1): a vote either way makes the favourite's expected share 2/3
    assert gain(0, 0, 1, 1.0) == pytest.approx(2 / 3 - 1 / 2)
    # 1 against 0: a second vote for it gives 3/4 (chance 2/3), one against it 1/2 (chance 1/3); now 2/3: no gain
    assert gain(1, 0, 1, 1.0) == pytest.approx(0)
    # but two votes against it, of two: chance 1/3 * 1/2, would turn it from 2/5 to 3/5
    assert gain(1, 0, 2, 1.0) == pytest.approx((1 / 6) * (3 / 5 - 2 / 5) / 2)
    assert gain(3, 1, 0, 1.0) == 0


def test_the_gain_against_enumeration() -> None:
    """Draws one by one by the posterior mean (Polya's urn), an independent way to the same number."""

    def later(a: float, b: float, draws: int) -> float:
        if not draws:
            return max(a, b) / (a + b)
        p = a / (a + b)
        return p * later(a + 1, b, draws - 1) + (1 - p) * later(a, b + 1, draws - 1)

    for a, b, left in [(0, 0, 5), (2, 1, 6), (3, 3, 4), (5, 1, 8)]:
        now = later(a + 0.5, b + 0.5, 0)
        best = max((later(a + 0.5, b + 0.5, m) - now) / m for m in range(1, left + 1))
        assert gain(a, b, left, 0.5) == pytest.approx(max(0, best), abs=1e-12)


def test_blocks_come_in_order_and_each_has_its_budget() -> None:
    async def main() -> list[list[str]]:
        blocks = stream_blocks(Allocate(mean=3, block=10), iter(cases(25)), lot(1), 0)
        return [[case.id for case, _ in block] async for block in blocks]

    blocks = asyncio.run(main())
    assert [len(block) for block in blocks] == [10, 10, 5]
    assert [name for block in blocks for name in block] == [str(i) for i in range(25)]


def test_a_judge_spends_one_budget_on_its_cases() -> None:
    rows = [world.make_case(4, "test", i) for i in range(12)]
    with Judge("rm_r1", "teacher:level=0.8,forget=0.5", "allocate:mean=4,k=12", seed=3) as judge:
        first = list(judge.judge(rows))
        assert sum(len(one.verdicts) for one in first) <= 48
        assert len({len(one.verdicts) for one in first}) > 1
        assert list(judge.judge(rows)) == first
        alone = judge.score("A question?", ["yes", "no"])  # nothing to share with
    assert len(alone.verdicts) == 4


def test_votes_may_be_read_from_probabilities() -> None:
    rows = [world.make_case(4, "test", i) for i in range(8)]
    with Judge("rm_r1", "embedded", "allocate:mean=3,k=6,read=True", max_tokens=300, seed=3) as judge:
        judgments = list(judge.judge(rows))
    assert sum(len(one.verdicts) for one in judgments) <= 24
    for judgment in judgments:
        chances = [verdict.expected[0] or 0.0 for verdict in judgment.verdicts if verdict.expected]
        assert len(chances) == len(judgment.verdicts)
        assert judgment.scores is not None
        assert judgment.scores[0] == pytest.approx(sum(chances) / len(chances))

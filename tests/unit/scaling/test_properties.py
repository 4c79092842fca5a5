"""What every strategy keeps to, whatever is said: names of candidates do not matter, nor does what cannot be read."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.plugins import names
from thinkscore.scaling._base import Ask, parse_strategy
from thinkscore.scaling._driver import at_once, decide
from thinkscore.types import Case, Completion, Failure, Message, Outcome, Scores, Tie, Trace, Usage, Verdict, Winner

TEXTS = [
    "vote:k=5", "vote:k=6,stop=lock", "vote:k=6,stop=lock,span=9", "adaptive:rule=lead,m=2,k=8",
    "adaptive:rule=beta,k=8", "adaptive:rule=lead,m=2,k=8,unit=pair", "adaptive:rule=lock,k=7",
    "allocate:mean=5", "allocate:mean=4,read=True", "meta:k=6,keep=2", "vote_logprob:k=4",
    "panel:members=x+y,k=1,most=3",
    "cascade:first=x,margin=3,k=3", "think:tokens=5,k=3", "anchored", "knockout:r=3", "double_elim",
    "swiss:rounds=3", "round_robin:rating=bt", "round_robin:rating=elo", "listwise:k=2,size=2",
]  # fmt: skip


class Anything:
    """Says anything at all, by a seed; the same for the same question."""

    def __init__(self, seed: int, n: int) -> None:
        self.seed, self.n = seed, n

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        return [self._said(case, one) for one in asks]

    def _said(self, case: Case, ask: Ask) -> Verdict:
        draw = random.Random(f"{self.seed} {ask}")
        kinds: list[Outcome] = [Winner(draw.choice(ask.order)), Winner(min(ask.order)), Tie(), Failure("no_verdict")]
        kinds += [Scores(tuple(float(draw.randint(1, 10)) if i in ask.order else None for i in range(self.n)))] * 2
        outcome = kinds[draw.randrange(len(kinds))]
        finish = "length" if isinstance(outcome, Failure) else "stop"
        done = Completion("x", finish=finish, usage=Usage(1, 0, draw.randint(1, 9)))  # type: ignore[arg-type]
        return Verdict(case.id, ask.order, outcome, Trace(), done, ask.by)

    async def weigh(self, case: Case, verdicts: Mapping[int, Verdict], form: str) -> list[Verdict]:
        values = {place: random.Random(f"{self.seed} {place}").choice([None, -1.0, 0.5, 2.0]) for place in verdicts}
        return [msgspec.structs.replace(one, value=values[place]) for place, one in verdicts.items()]

    async def read(self, case: Case, verdicts: Mapping[int, Verdict]) -> list[Verdict]:
        return [msgspec.structs.replace(one, expected=self._expected(place, one)) for place, one in verdicts.items()]

    def _expected(self, place: int, verdict: Verdict) -> tuple[float | None, ...] | None:
        draw = random.Random(f"{self.seed} {place} read")
        shares = [draw.random() + 0.1 for _ in verdict.order]
        found = dict(zip(verdict.order, (share / sum(shares) for share in shares), strict=True))
        return tuple(found.get(i) for i in range(self.n)) if draw.random() > 0.2 else None


def case_of(n: int) -> Case:
    return Case("c", (Message("user", "?"),), tuple(f"reply {i}" for i in range(n)))


def renamed(verdict: Verdict, to: Sequence[int]) -> Verdict:
    """Call candidate i to[i]."""
    back = [to.index(i) for i in range(len(to))]

    def moved(values: tuple[float | None, ...] | None) -> tuple[float | None, ...] | None:
        return None if values is None else tuple(values[i] for i in back)

    outcome = verdict.outcome
    if isinstance(outcome, Winner):
        outcome = Winner(to[outcome.winner])
    elif isinstance(outcome, Scores):
        outcome = Scores(moved(outcome.scores) or ())
    order = tuple(to[i] for i in verdict.order)
    return msgspec.structs.replace(verdict, order=order, outcome=outcome, expected=moved(verdict.expected))


def test_every_strategy_is_tried() -> None:
    assert {text.partition(":")[0] for text in TEXTS} == set(names("scaling"))


@pytest.mark.parametrize("text", TEXTS)
@given(st.integers(0, 10_000), st.integers(2, 5), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_it_does_not_matter_which_candidate_has_which_number(text: str, seed: int, n: int, rng: random.Random) -> None:
    strategy, case = parse_strategy(text), case_of(n)
    before = at_once(decide(strategy, case, Anything(seed, n), seed))
    to = rng.sample(range(n), n)
    after = strategy.fold(
        case.reorder([to.index(i) for i in range(n)]), [renamed(one, to) for one in before.verdicts], before.stop_reason
    )
    assert (after.winner is None) == (before.winner is None)
    assert before.winner is None or after.winner == to[before.winner]
    assert (after.scores is None) == (before.scores is None)
    if before.scores is not None and after.scores is not None:
        assert [after.scores[to[i]] for i in range(n)] == pytest.approx(list(before.scores), abs=1e-9)
        assert after.confidence == pytest.approx(before.confidence)


@pytest.mark.parametrize("text", TEXTS)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(0, 12))
@settings(max_examples=25, deadline=None)
def test_a_budget_is_kept_and_the_same_seed_spends_the_same(text: str, seed: int, n: int, most: int) -> None:
    strategy, case = parse_strategy(text), case_of(n)
    judgment = at_once(decide(strategy, case, Anything(seed, n), seed, most))
    assert len(judgment.verdicts) <= most
    assert at_once(decide(strategy, case, Anything(seed, n), seed, most)) == judgment
    assert (judgment.failure is None) == (judgment.scores is not None)


@pytest.mark.parametrize("text", TEXTS)
@given(st.integers(0, 10_000), st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_what_cannot_be_read_changes_no_winner(text: str, seed: int, n: int) -> None:
    strategy, case = parse_strategy(text), case_of(n)
    judgment = at_once(decide(strategy, case, Anything(seed, n), seed))
    lost = Verdict("c", tuple(range(n))[:2], Failure("ambiguous"), Trace(), Completion("?"))
    more = strategy.fold(case, [*judgment.verdicts, lost], judgment.stop_reason)
    assert (more.winner, more.scores, more.confidence) == (judgment.winner, judgment.scores, judgment.confidence)

"""What holds for every way to rank: names do not matter, unreadable verdicts change nothing, budgets are kept."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.scaling._base import Ask, Strategy, parse_strategy
from thinkscore.scaling._driver import at_once, decide
from thinkscore.types import (
    Case,
    Completion,
    Failure,
    Judgment,
    Message,
    Outcome,
    Scores,
    Tie,
    Trace,
    Usage,
    Verdict,
    Winner,
)

WAYS = (
    "knockout:r=3", "knockout:r=1", "knockout:r=2", "double_elim", "swiss", "round_robin:rating=bt",
    "round_robin:rating=elo", "round_robin:rating=winrate,r=2", "round_robin:rating=copeland",
    "listwise:k=2", "listwise:size=4",
)  # fmt: skip


def case_of(n: int) -> Case:
    return Case("c", (Message("user", "?"),), tuple(f"reply {i}" for i in range(n)), gold=tuple(map(float, range(n))))


class Noisy:
    """Judges of every kind: names a winner, gives scores, calls a tie, or fails; right more often than not."""

    def __init__(self, seed: int, kinds: str = "wstf") -> None:
        self.draw, self.kinds = random.Random(seed), kinds

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        for ask in asks:
            assert len(set(ask.order)) == len(ask.order) and set(ask.order) <= set(range(len(case.candidates)))
        return [verdict(ask.order, self.outcome(case, ask.order)) for ask in asks]

    def outcome(self, case: Case, order: tuple[int, ...]) -> Outcome:
        felt = {i: i / 4 + self.draw.gauss(0, 1) for i in order}
        kind = self.draw.choice(self.kinds)
        if kind == "w":
            return Winner(max(order, key=felt.__getitem__))
        if kind == "s":
            return Scores(tuple(round(felt[i]) if i in felt else None for i in range(len(case.candidates))))
        return Tie() if kind == "t" else Failure("no_verdict")

    async def weigh(self, case: Case, verdicts: Mapping[int, Verdict], form: str) -> list[Verdict]:
        raise AssertionError

    async def read(self, case: Case, verdicts: Mapping[int, Verdict]) -> list[Verdict]:
        raise AssertionError


class Sure(Noisy):
    """Always right: the higher number is better."""

    def __init__(self) -> None:
        super().__init__(0)

    def outcome(self, case: Case, order: tuple[int, ...]) -> Outcome:
        return Winner(max(order))


def verdict(order: tuple[int, ...], outcome: Outcome) -> Verdict:
    return Verdict("c", order, outcome, Trace(), Completion(usage=Usage(1, 10, 5)))


def run(way: str | Strategy, n: int, judge: Noisy, seed: int = 0, most: int | None = None) -> Judgment:
    strategy = parse_strategy(way) if isinstance(way, str) else way
    return at_once(decide(strategy, case_of(n), judge, seed, most))


searching = settings(deadline=None, max_examples=60)
ways = st.sampled_from(WAYS)
sizes = st.integers(2, 40)
seeds = st.integers(0, 10**6)
kinds = st.sampled_from(["w", "s", "wf", "wstf", "wwwwwf", "t"])


def renamed(outcome: Outcome, name: Mapping[int, int]) -> Outcome:
    if isinstance(outcome, Winner):
        return Winner(name[outcome.winner])
    if isinstance(outcome, Scores):
        return Scores(tuple(outcome.scores[old] for old in sorted(name, key=name.__getitem__)))
    return outcome


@searching
@given(ways, sizes, seeds, kinds)
def test_folding_commutes_with_renaming_candidates(way: str, n: int, seed: int, kind: str) -> None:
    before = run(way, n, Noisy(seed, kind), seed)
    places = random.Random(seed).sample(range(n), n)  # the old number of each new candidate
    name = {old: new for new, old in enumerate(places)}
    turned = [verdict(tuple(name[i] for i in one.order), renamed(one.outcome, name)) for one in before.verdicts]
    after = parse_strategy(way).fold(case_of(n).reorder(places), turned, before.stop_reason)
    assert (after.failure, after.notes) == (before.failure, before.notes)
    assert after.winner == (None if before.winner is None else name[before.winner])
    if before.scores is None:
        assert after.scores is None
    else:
        assert after.scores == pytest.approx([before.scores[i] for i in places], abs=1e-7)
        assert after.confidence == pytest.approx(before.confidence)


@searching
@given(ways, sizes, seeds, kinds, st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), max_size=4))
def test_an_unreadable_verdict_changes_nothing(
    way: str, n: int, seed: int, kind: str, lost: list[tuple[int, int]]
) -> None:
    before = run(way, n, Noisy(seed, kind), seed)
    verdicts = list(before.verdicts)
    for place, like in lost:
        order = before.verdicts[like % len(before.verdicts)].order
        verdicts.insert(place % (len(verdicts) + 1), verdict(order, Failure("no_verdict")))
    after = parse_strategy(way).fold(case_of(n), verdicts, before.stop_reason)
    assert (after.scores, after.winner, after.confidence) == (before.scores, before.winner, before.confidence)


@searching
@given(ways, sizes, seeds, kinds, st.integers(0, 150))
def test_a_budget_is_never_exceeded_and_what_is_known_is_ranked(
    way: str, n: int, seed: int, kind: str, most: int
) -> None:
    judgment = run(way, n, Noisy(seed, kind), seed, most)
    assert len(judgment.verdicts) <= most
    readable = [one for one in judgment.verdicts if not isinstance(one.outcome, Failure)]
    assert (judgment.scores is None) == (not readable)
    if judgment.scores is not None:
        assert len(judgment.scores) == n
        assert judgment.notes["comparisons"] == len(judgment.verdicts)
        assert judgment.confidence is not None and 0 < judgment.confidence < 1
        if judgment.winner is not None:
            assert judgment.winner in {i for one in readable for i in one.order}


@searching
@given(ways, sizes, seeds, kinds, st.none() | st.integers(0, 150))
def test_the_same_seed_spends_the_same(way: str, n: int, seed: int, kind: str, most: int | None) -> None:
    first, again = (run(way, n, Noisy(seed, kind), seed, most) for _ in range(2))
    assert first == again


@searching
@given(ways, sizes, seeds)
def test_a_judge_that_is_always_right_finds_the_best(way: str, n: int, seed: int) -> None:
    judgment = run(way, n, Sure(), seed)
    assert judgment.winner == n - 1
    assert judgment.scores is not None
    assert judgment.notes.get("cyclic_triads", 0.0) == 0.0
    assert judgment.stop_reason in ("decided", "all asked")


@searching
@given(ways, sizes, seeds)
def test_a_budget_that_is_large_enough_changes_nothing(way: str, n: int, seed: int) -> None:
    free = run(way, n, Noisy(seed, "w"), seed)
    bound = run(way, n, Noisy(seed, "w"), seed, most=6 * n * n)
    assert bound == free


@searching
@given(st.sampled_from(["knockout:r=1", "knockout:r=3", "double_elim"]), sizes, seeds, st.integers(1, 100))
def test_a_small_budget_still_gives_one_winner(way: str, n: int, seed: int, most: int) -> None:
    """Of those that it lets play, the best wins: none of the others was seen."""
    judgment = run(way, n, Sure(), seed, most)
    assert judgment.winner == max(i for one in judgment.verdicts for i in one.order)
    seen = len({i for one in judgment.verdicts for i in one.order})
    assert seen == min(n, most + 1 if way != "double_elim" else max(2, (most + 1) // 2))


@pytest.mark.parametrize("way", WAYS)
def test_every_duel_is_a_sample_of_its_own(way: str) -> None:
    class Watching(Noisy):
        samples: list[int] = []

        async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
            self.samples += [ask.sample for ask in asks]
            return await super().ask(case, asks)

    watching = Watching(3)
    watching.samples = []
    run(way, 21, watching)
    assert watching.samples == list(range(len(watching.samples)))


@pytest.mark.parametrize("way", WAYS)
def test_places_and_orders_hang_on_seed_and_case(way: str) -> None:
    first = [run(way, 12, Sure(), seed).verdicts[0].order for seed in range(30)]
    assert len(set(first)) > 10


PAIRWISE = [way for way in WAYS if not way.startswith("listwise")]


@pytest.mark.parametrize("way", PAIRWISE)
def test_either_order_of_a_pair_is_as_likely(way: str) -> None:
    shown = [one.order for seed in range(40) for one in run(way, 9, Sure(), seed).verdicts]
    assert 0.42 < sum(a < b for a, b in shown) / len(shown) < 0.58


@pytest.mark.parametrize("way", PAIRWISE)
def test_one_candidate_needs_no_comparison(way: str) -> None:
    judgment = run(way, 1, Noisy(0))
    assert (judgment.winner, judgment.confidence, judgment.verdicts) == (0, 1.0, ())
    assert judgment.scores is not None and len(judgment.scores) == 1
    assert run(way, 1, Noisy(0), most=3) == judgment


@pytest.mark.parametrize("way", PAIRWISE)
def test_a_duel_is_won_by_the_higher_score(way: str) -> None:
    class Scoring(Sure):
        def outcome(self, case: Case, order: tuple[int, ...]) -> Outcome:
            return Scores(tuple(float(i) if i in order else None for i in range(len(case.candidates))))

    named, scored = run(way, 11, Sure()), run(way, 11, Scoring())
    assert (named.scores, named.winner, named.notes) == (scored.scores, scored.winner, scored.notes)


@pytest.mark.parametrize("way", WAYS)
def test_ties_throughout_choose_nobody(way: str) -> None:
    judgment = run(way, 6, Noisy(1, "t"))
    assert judgment.winner is None
    assert judgment.failure is None
    assert judgment.scores is not None and len(set(judgment.scores)) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("protocol", ["rm_r1", "deepseek_grm"])
def test_in_a_judge_on_the_lab(way: str, protocol: str) -> None:
    """The oracle cannot call a tie in `rm_r1`: equal candidates are duels that nobody can read."""
    if way.startswith("listwise") and protocol == "rm_r1":
        pytest.skip("rm_r1 shows two")
    cases = [case for case in world.make(2, "test", 30, 9) if case.gold and case.gold.count(max(case.gold)) == 1][:10]
    with Judge(protocol, "oracle:", way) as judge:
        found = list(judge.judge(cases))
    assert len(found) == 10
    for case, judgment in zip(cases, found, strict=True):
        assert case.gold is not None
        right = case.gold.index(max(case.gold))
        if way == "swiss":  # a ranking with as few duels as a knockout, and equal ones among them
            assert judgment.scores is not None and judgment.scores[right] > 0
        else:
            assert judgment.winner == right


def test_rows_carry_the_notes() -> None:
    from thinkscore.data import judgment_row

    judgment = run("knockout:r=1", 4, Sure())
    assert judgment_row(case_of(4), judgment)["notes"] == {"comparisons": 3.0, "undecided": 0.0}
    assert "notes" not in judgment_row(case_of(4), msgspec.structs.replace(judgment, notes={}))

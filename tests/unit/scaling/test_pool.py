"""A pool deals what was recorded: the judgments of the run itself, from any place on, and nothing it does not have."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from thinkscore.errors import BadInput
from thinkscore.scaling._base import Ask, Strategy, balanced_order, parse_strategy
from thinkscore.scaling._chance import Chance
from thinkscore.scaling._driver import at_once, decide
from thinkscore.scaling._pool import Pool
from thinkscore.scaling.vote import Vote
from thinkscore.types import Case, Completion, Judgment, Message, Outcome, Scores, Trace, Usage, Verdict, Winner

SEED = 3
LOTS = Chance(lambda case, order: (0.5, 0.3, *(0.1,) * (len(order) - 2)), seed=8)


def case(name: str = "c", n: int = 2) -> Case:
    return Case(name, (Message("user", "?"),), tuple(map(str, range(n))), gold=(1.0,) + (0.0,) * (n - 1))


def recorded(cases: Sequence[Case], k: int) -> Pool:
    pool = Pool()
    for one in cases:
        pool.add(at_once(decide(Vote(k), one, LOTS, SEED)))
    return pool


def judged(strategy: Strategy | str, one: Case, pool: Pool, most: int | None = None) -> Judgment:
    found = parse_strategy(strategy) if isinstance(strategy, str) else strategy
    return at_once(decide(found, one, pool, SEED, most))


def said(judgment: Judgment) -> list[tuple[tuple[int, ...], Outcome]]:
    return [(verdict.order, verdict.outcome) for verdict in judgment.verdicts]


@pytest.mark.parametrize("text", ["vote:k=8", "vote:k=3", "vote:k=8,stop=lock", "adaptive:rule=lead,m=2,k=8"])
@pytest.mark.parametrize("n", [2, 3])
def test_a_strategy_gives_the_judgment_of_its_own_run(text: str, n: int) -> None:
    cases = [case(f"c{i}", n) for i in range(20)]
    pool = recorded(cases, 8)
    for one in cases:
        live, again = (at_once(decide(parse_strategy(text), one, source, SEED)) for source in (LOTS, pool))
        assert said(live) == said(again)
        assert msgspec.structs.replace(live, verdicts=()) == msgspec.structs.replace(again, verdicts=())


def test_turning_deals_from_another_place_in_the_same_orders() -> None:
    one, pool = case(), recorded([case()], 8)
    whole = said(judged("vote:k=8", one, pool))
    for eighths in range(8):
        turn = 2 * (eighths * 4 // 8)
        assert said(judged("vote:k=8", one, pool.turned(eighths / 8))) == whole[turn:] + whole[:turn]
    assert said(judged("vote:k=2", one, pool.turned(0.5))) == whole[4:6]


def test_orders_of_many_candidates_stay_in_their_squares() -> None:
    one, pool = case(n=3), recorded([case(n=3)], 9)
    whole = said(judged("vote:k=9", one, pool))
    assert said(judged("vote:k=3", one, pool.turned(0.4))) == whole[3:6]


def test_a_pair_is_dealt_in_the_order_that_is_asked_for() -> None:
    one, pool = case(), recorded([case()], 4)
    whole = {sample: at_once(LOTS.ask(one, [Ask(balanced_order(one, SEED, sample), sample)]))[0] for sample in range(4)}
    for order in ((0, 1), (1, 0)):
        (verdict,) = at_once(pool.ask(one, [Ask(order, 2)]))
        assert verdict.order == order
        assert verdict.outcome in [whole[2].outcome, whole[3].outcome]


def test_only_what_a_strategy_asked_is_paid() -> None:
    one, pool = case(), recorded([case()], 8)
    assert judged("vote:k=3", one, pool).usage == Usage(3, 0, 3)
    assert judged("vote:k=8", one, pool, most=5).usage == Usage(5, 0, 5)


def verdict(sample: int, **looked: object) -> Verdict:
    order = balanced_order(case(), SEED, sample)
    completion = Completion("a long text", usage=Usage(1, 10, 5))
    return msgspec.structs.replace(Verdict("c", order, Winner(sample % 2), Trace(), completion), **looked)


def looked_at() -> Pool:
    """Four verdicts; 0 and 2 are for candidate 0 and have the higher values, readings are all for candidate 1."""
    pool, asked = Pool(), at_once(decide(Vote(4), case(), LOTS, SEED))
    values = [verdict(i, value=float(3 - i % 2 * 2), looked=Usage(1, 7, 0)) for i in range(4)]
    readings = [verdict(i, expected=(0.2, 0.8), looked=Usage(2, 20, 0)) for i in range(4)]
    pool.add(msgspec.structs.replace(asked, verdicts=tuple(values)), form="plain")
    pool.add(msgspec.structs.replace(asked, verdicts=tuple(readings)))
    return pool


def test_values_are_told_when_they_are_asked_for_and_paid() -> None:
    pool = looked_at()
    assert judged("vote:k=4", case(), pool).usage == Usage(4, 40, 20)
    judgment = judged("meta:k=4,keep=2,form=plain", case(), pool)
    assert judgment.winner == 0
    assert [one.value for one in judgment.verdicts] == [3, 1, 3, 1]
    assert judgment.usage == Usage(8, 68, 20)


def test_readings_are_told_when_they_are_asked_for_and_paid() -> None:
    judgment = judged("vote_logprob:k=2", case(), looked_at())
    assert judgment.scores == pytest.approx((0.2, 0.8))
    assert judgment.usage == Usage(6, 60, 10)


def test_other_judges_answer_by_their_names() -> None:
    pool = looked_at()
    asked = at_once(decide(Vote(2), case(), LOTS, SEED))
    pool.add(msgspec.structs.replace(asked, verdicts=(verdict(0), verdict(1))), by="b")
    assert (pool.size("c"), pool.size("c", "b"), pool.size("d")) == (4, 2, 0)
    verdicts = judged("panel:members=b,k=2,most=2", case(), pool).verdicts
    assert sorted(one.by for one in verdicts) == ["", "", "b", "b"]


def test_texts_are_not_kept_and_equal_parts_are_one() -> None:
    first, second = at_once(looked_at().ask(case(), [Ask(balanced_order(case(), SEED, i), i) for i in (0, 2)]))
    assert first.completion == Completion(usage=Usage(1, 10, 5))
    assert first.completion is second.completion
    assert first.outcome is second.outcome


BAD = {
    "more than there is": ("vote:k=5", "c", "needs verdict 5 of case 'c', and the pool holds 4"),
    "another case": ("vote:k=1", "d", "no verdict of the judge on case 'd'"),
    "cut traces": ("think:tokens=8", "c", "takes new calls"),
    "another judge": ("panel:members=x", "c", "no verdict of a judge named 'x'"),
    "another form": ("meta:k=2", "c", "values of the form prompt, and the pool holds values of the form plain"),
    "pairs of more": ("anchored", "e", "in the order"),
}


@pytest.mark.parametrize(("text", "name", "message"), BAD.values(), ids=BAD)
def test_what_was_never_asked_is_told(text: str, name: str, message: str) -> None:
    pool = looked_at()
    pool.add(at_once(decide(Vote(4), case("e", 3), LOTS, SEED)))
    with pytest.raises(BadInput, match=message):
        judged(text, case(name, 3 if name == "e" else 2), pool)


def test_without_values_or_readings_it_says_how_to_record_them() -> None:
    pool = recorded([case()], 4)
    with pytest.raises(BadInput, match="no values of a meta reward model; record it with meta"):
        judged("meta:k=2", case(), pool)
    with pytest.raises(BadInput, match="forced readings by the judge, and the pool holds none"):
        judged("vote_logprob:k=2", case(), pool)


def test_scores_are_told_from_winners() -> None:
    pool = recorded([case()], 2)
    assert not pool.scored
    asked = at_once(decide(Vote(1), case("s"), LOTS, SEED))
    pool.add(msgspec.structs.replace(asked, verdicts=(verdict(0, outcome=Scores((7, 3))),)))
    assert pool.scored

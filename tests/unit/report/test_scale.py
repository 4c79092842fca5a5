"""Accuracy against cost from a pool: figures by hand, a fair choice, and journals read whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pytest

from thinkscore import Judge
from thinkscore.errors import BadInput
from thinkscore.lab import world
from thinkscore.report._recorded import Recorded, read_pool
from thinkscore.report.rescore import read_setup
from thinkscore.report.scale import Arm, Scale, choose, compare, groups, ladder
from thinkscore.scaling._base import balanced_order
from thinkscore.scaling._chance import Chance
from thinkscore.scaling._driver import at_once, decide
from thinkscore.scaling._pool import Pool
from thinkscore.scaling.vote import Vote
from thinkscore.types import Case, Message, Winner

K, SEED = 8, 3


def case(i: int) -> Case:
    tags: dict[str, str | int] = {"family": "chat" if i % 3 else "maths", "number": i}
    return Case(f"c{i}", (Message("user", "?"),), ("a", "b"), gold=(1, 0), tags=tags)


CASES = [case(i) for i in range(120)]
LOTS = Chance(lambda case, order: (0.6, 0.35) if order == (0, 1) else (0.35, 0.6), seed=4)
JUDGED = [at_once(decide(Vote(K), one, LOTS, SEED)) for one in CASES]


def pooled() -> Recorded:
    pool = Pool()
    for judgment in JUDGED:
        pool.add(judgment)
    return Recorded(pool, list(CASES), K, 8192, [])


def right(winners: Sequence[int | None]) -> float:
    """Score a majority of votes; None is unread."""
    a, b = winners.count(0), winners.count(1)
    return 1.0 if a > b else 0.5 if a == b and a else 0.0


WON = [[v.outcome.winner if isinstance(v.outcome, Winner) else None for v in judgment.verdicts] for judgment in JUDGED]


@pytest.mark.parametrize("k", [1, 2, 4, 8])
def test_figures_are_means_over_cases_and_turns(k: int) -> None:
    scale = compare(pooled(), [f"vote:k={k}"], SEED, repeats=4)
    (means,) = (arm.means() for arm in scale.arms if arm.text == f"vote:k={k}")
    turns = [(won + won)[turn : turn + k] for won in WON for turn in (0, 2, 4, 6)]
    assert means.accuracy.mean == pytest.approx(sum(map(right, turns)) / len(turns))
    assert means.accuracy.low < means.accuracy.mean < means.accuracy.high
    assert means.tied == pytest.approx(sum(right(turn) == 0.5 for turn in turns) / len(turns))
    assert means.unread == pytest.approx(sum(set(turn) == {None} for turn in turns) / len(turns))
    assert (means.verdicts, means.calls, means.completion_tokens) == (k, k, k)


def test_the_largest_vote_is_the_reference_and_is_added() -> None:
    scale = compare(pooled(), ["vote:k=2", "adaptive:m=2,k=8", "vote:k=4"], SEED, 2)
    assert scale.reference.text == "vote:k=4"
    scale = compare(pooled(), ["adaptive:m=2,k=8", "vote:k=8,stop=lock"], SEED, 2)
    assert [arm.text for arm in scale.arms] == ["adaptive:m=2,k=8", "vote:k=8,stop=lock", "vote:k=8"]
    assert scale.arms[1].against(scale.reference) == (0, 0, 0)
    assert scale.arms[1].means().verdicts < 8


def test_strategies_that_share_a_budget_are_measured_too() -> None:
    scale = compare(pooled(), ["allocate:mean=4,k=8"], SEED, 2)
    assert scale.arms[0].means().verdicts == 4


def test_the_ladder_is_what_the_pool_can_answer() -> None:
    texts = ladder(pooled())
    assert texts[:5] == ["vote:k=1", "vote:k=2", "vote:k=4", "vote:k=8", "vote:k=8,stop=lock"]
    assert "adaptive:rule=lead,m=3,k=8" in texts
    assert not any(text.startswith(("meta", "vote_logprob")) for text in texts)
    assert len(compare(pooled(), texts, SEED, 1).arms) == len(texts)


def test_more_than_the_pool_has_is_refused() -> None:
    with pytest.raises(BadInput, match="needs verdict 9 of case 'c0', and the pool holds 8"):
        compare(pooled(), ["vote:k=16"], SEED, 1)


def test_json_holds_families_with_differences() -> None:
    found = compare(pooled(), ["vote:k=1", "vote:k=8"], SEED, 4).as_dict("family")
    assert found["by"] == {"tag": "family", "cases": {"chat": 80, "maths": 40}}
    one = found["strategies"][0]
    chat, maths = (one["by"][value] for value in ("chat", "maths"))
    assert one["accuracy"] == pytest.approx((80 * chat["accuracy"] + 40 * maths["accuracy"]) / 120)
    low, high = chat["difference"]["interval"]
    assert low <= chat["difference"]["mean"] <= high
    assert msgspec.json.decode(msgspec.json.encode(found)) == msgspec.to_builtins(found)


@pytest.mark.parametrize("tag", ["number", "colour"])
def test_what_is_no_grouping_is_refused(tag: str) -> None:
    with pytest.raises(BadInput, match=f"--by {tag}: .* of family, number"):
        groups(CASES, tag)


# ---- the choice


def planted(*settings: tuple[str, float, float, float]) -> Scale:
    """Make settings of (name, accuracy on the half to choose on, on the other half, tokens)."""
    scale = Scale(CASES, [], None, SEED)  # type: ignore[arg-type]
    first_C, second_C = scale.halves
    arms = []
    for name, first, second, tokens in settings:
        table = np.zeros((len(CASES), 7))
        for chosen_C, share in ((first_C, first), (second_C, second)):
            places = np.flatnonzero(chosen_C)
            table[places[: round(share * len(places))], 0] = 1
        table[:, -1] = tokens
        arms.append(Arm(name, table, SEED))
    return Scale(CASES, arms, arms[-1], SEED)


SETTINGS = ("cheap", 0.5, 0.6, 10), ("middle", 0.95, 0.7, 50), ("dear", 1.0, 0.9, 400)


def test_halves_are_by_id_and_share_no_case() -> None:
    first_C, second_C = planted(*SETTINGS).halves
    assert not (first_C & second_C).any()
    assert 40 < first_C.sum() < 80
    turned = Scale(CASES[::-1], [], None, SEED)  # type: ignore[arg-type]
    assert (turned.halves[0] == first_C[::-1]).all()


def test_the_cheapest_that_surely_does_is_chosen_and_told_on_other_cases() -> None:
    choice = choose(planted(*SETTINGS), want=0.8)
    assert choice.arm is not None
    assert choice.arm.text == "middle"
    assert choice.means.accuracy.mean == pytest.approx(0.7, abs=0.02)
    assert choice.chosen_on + choice.reported_on == 120


def test_an_accuracy_that_only_the_mean_reaches_is_not_sure() -> None:
    choice = choose(planted(*SETTINGS), want=0.94)
    assert choice.arm is not None
    assert choice.arm.text == "dear"


def test_the_best_for_a_budget_is_chosen() -> None:
    scale = planted(*SETTINGS)
    assert [choose(scale, tokens=budget).closest.text for budget in (10, 49, 50, 1000)] == [
        "cheap",
        "cheap",
        "middle",
        "dear",
    ]


@pytest.mark.parametrize(("want", "tokens", "closest"), [(0.99, 100, "middle"), (None, 5, "cheap"), (0.9, 5, "cheap")])
def test_where_none_does_it_says_so(want: float | None, tokens: float | None, closest: str) -> None:
    choice = choose(planted(*SETTINGS), want, tokens)
    assert (choice.arm, choice.closest.text) == (None, closest)
    assert choice.as_dict()["strategy"] is None


def test_too_few_cases_are_refused() -> None:
    scale = planted(*SETTINGS)
    few = Scale(CASES[:20], scale.arms, scale.reference, SEED)
    with pytest.raises(BadInput, match="20 cases are too few"):
        choose(few, want=0.5)


def test_the_frontier_is_what_none_beats_for_less() -> None:
    scale = planted(("a", 0.5, 0.5, 10), ("b", 0.4, 0.4, 20), ("c", 0.5, 0.5, 30), ("d", 0.9, 0.9, 30))
    assert [arm.text for arm in scale.frontier] == ["a", "d"]


# ---- reading


LAB = list(world.make(5, "test", 12))
A, B = "<answer>[[A]]</answer>", "<answer>[[B]]</answer>"


def journal(
    folder: Path, k: int, cases: Sequence[Case] = LAB, strategy: str = "", meta: bool = False, order: bool = True
) -> Path:
    """Record k verdicts of each case: the first label for samples that 3 divides, else the second."""
    texts, values, rows, path = folder / "texts.jsonl", folder / "values.jsonl", [], folder / "run.journal"
    for one, i in product(LAB, range(8)):
        row = {"case_id": one.id, "sample": i, "text": B if i % 3 else A, "usage": {"completion_tokens": 9}}
        rows.append(row | ({"order": balanced_order(one, 11, i)} if order else {}))
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [{"case_id": one.id, "sample": i, "text": f"[{i % 3}]"} for one, i in product(LAB, range(8))]
    values.write_text("".join(json.dumps(row) + "\n" for row in rows))
    others = {"meta": f"scalar@scripted:{values}"} if meta else {}
    with Judge("rm_r1", f"scripted:{texts}", strategy or f"vote:k={k}", seed=11, journal=path, others=others) as judge:
        list(judge.judge(cases))
    return path


def read(path: Path, cases: Sequence[Case] = LAB) -> Recorded:
    return read_pool(path, read_setup(path), cases)


@pytest.mark.parametrize("text", ["vote:k=4", "vote:k=8", "adaptive:m=2,k=8"])
@pytest.mark.parametrize("order", [True, False])
def test_a_pool_judges_as_the_journal_does(tmp_path: Path, text: str, order: bool) -> None:
    path = journal(tmp_path, 8, order=order)
    recorded = read(path)
    assert (recorded.size, recorded.cases, recorded.notes) == (8, LAB, [])
    with read_setup(path).but(strategy=text).replay(path) as judge:
        expected = [(judgment.winner, judgment.usage) for judgment in judge.judge(LAB)]
    setup = read_setup(path)
    again = [at_once(decide(judge.strategy, one, recorded.pool, setup.seed)) for one in LAB]
    assert [(judgment.winner, judgment.usage) for judgment in again] == expected


def test_values_of_a_meta_reward_model_are_found(tmp_path: Path) -> None:
    path = journal(tmp_path, 6, strategy="meta:k=6", meta=True)
    with read_setup(path).replay(path) as judge:
        expected = [judgment.winner for judgment in judge.judge(LAB)]
    recorded = read(path)
    again = [at_once(decide(judge.strategy, one, recorded.pool, 11)) for one in LAB]
    assert [judgment.winner for judgment in again] == expected
    # Samples 2 and 4 are the same text in the same order, as are 1 and 5: a call that was paid once.
    assert [verdict.value for verdict in again[0].verdicts] == [0, 1, 2, 0, 2, 1]
    assert "meta:k=6,form=prompt" in ladder(recorded)


def test_values_of_only_some_verdicts_are_left_out(tmp_path: Path) -> None:
    journal(tmp_path, 2, strategy="meta:k=2", meta=True)
    recorded = read(journal(tmp_path, 8))
    assert recorded.pool.form is None
    assert recorded.notes == ["many verdicts were never valued: no meta; record them all with `--strategy meta`"]


def test_another_judge_has_a_journal_of_its_own(tmp_path: Path) -> None:
    path = journal(tmp_path, 4)
    with Judge("rrm", "oracle:", "vote:k=2", journal=f"{path}.b") as judge:
        list(judge.judge(LAB))
    recorded = read(path)
    assert recorded.pool.size(LAB[0].id, "b") == 2
    scale = compare(recorded, ["panel:members=b,k=2,most=2"], 11, 1)
    assert scale.arms[0].means().verdicts == 4


def test_forced_readings_are_found(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    with Judge("rm_r1", "embedded", "vote_logprob:k=2", journal=path) as judge:
        expected = [judgment.scores for judgment in judge.judge(LAB[:3])]
    recorded = read(path, LAB[:3])
    again = [at_once(decide(judge.strategy, one, recorded.pool)).scores for one in LAB[:3]]
    assert again == expected
    assert "vote_logprob:k=2" in ladder(recorded)


def test_cases_that_cannot_count_are_told(tmp_path: Path) -> None:
    blind = msgspec.structs.replace(LAB[0], gold=None)
    recorded = read(journal(tmp_path, 2, LAB[:10]), [blind, *LAB[1:]])
    assert recorded.cases == LAB[1:10]
    assert recorded.notes == [
        "2 of 12 cases have no recorded verdict and are left out",
        "1 of 12 cases have no gold and are left out",
    ]


def test_a_run_that_stopped_early_is_no_pool(tmp_path: Path) -> None:
    journal(tmp_path, 8, strategy="adaptive:m=2,k=8")
    path = journal(tmp_path, 8, LAB[:1])
    with pytest.raises(BadInput, match=r"11 of 12 cases have fewer than 8 verdicts .* --strategy vote:k=8"):
        read(path)


def test_other_cases_and_cases_without_gold_are_refused(tmp_path: Path) -> None:
    path = journal(tmp_path, 2)
    with pytest.raises(BadInput, match="holds no completion for these cases"):
        read(path, CASES)
    with pytest.raises(BadInput, match="no case has gold"):
        read(path, [msgspec.structs.replace(one, gold=None) for one in LAB])

"""`meta`, `vote_logprob`, `panel`, `cascade`: further judges and second looks, by script and with real judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from thinkscore.data import judgment_row
from thinkscore.errors import BadInput
from thinkscore.journal import read_journal
from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.scaling._base import Ask, Strategy, parse_strategy
from thinkscore.scaling._driver import at_once, decide
from thinkscore.scaling.cascade import Cascade
from thinkscore.scaling.meta import Meta
from thinkscore.scaling.panel import Panel
from thinkscore.scaling.vote_logprob import VoteLogprob
from thinkscore.types import (
    Case,
    Completion,
    Failure,
    Judgment,
    Message,
    Outcome,
    Scores,
    Trace,
    Usage,
    Verdict,
    Winner,
)

PAIR = Case("c", (Message("user", "?"),), ("a", "b"))
A, B, FAILED = Winner(0), Winner(1), Failure("no_verdict")


class Script:
    """Answers by (who, sample); values and expectations by sample."""

    def __init__(
        self,
        said: Mapping[str, Sequence[Outcome]],
        values: Sequence[float | None] = (),
        expected: Sequence[tuple[float, ...] | None] = (),
    ) -> None:
        self.said, self.values, self.expected = said, values, expected

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        cost = Completion(usage=Usage(1, 0, 10))
        return [Verdict(case.id, one.order, self.said[one.by][one.sample], Trace(), cost, one.by) for one in asks]

    async def weigh(self, case: Case, verdicts: Mapping[int, Verdict], form: str) -> list[Verdict]:
        return [
            msgspec.structs.replace(one, value=self.values[place], looked=Usage(calls=1))
            for place, one in verdicts.items()
        ]

    async def read(self, case: Case, verdicts: Mapping[int, Verdict]) -> list[Verdict]:
        return [msgspec.structs.replace(one, expected=self.expected[place]) for place, one in verdicts.items()]


def judged(strategy: Strategy, script: Script, most: int | None = None) -> Judgment:
    return at_once(decide(strategy, PAIR, script, most=most))


# ---- meta


def test_only_the_traces_with_the_best_values_vote() -> None:
    script = Script({"": [A, A, A, B, B, FAILED]}, values=[0.1, 0.2, -3.0, 5.0, 4.0, None])
    judgment = judged(Meta(k=6, keep=2), script)
    assert (judgment.winner, judgment.scores) == (1, (0.0, 1.0))
    assert len(judgment.verdicts) == 6
    # five traces could be weighed, and that is paid too
    assert judgment.usage == Usage(calls=11, completion_tokens=60)
    assert judged(Meta(k=6, keep=5), script).winner == 0
    assert judged(Meta(k=6), script).scores == (1 / 3, 2 / 3)  # half of k: .2, 5 and 4


def test_summed_scores_of_the_kept() -> None:
    script = Script({"": [Scores((9.0, 1.0)), Scores((4.0, 6.0)), Scores((3.0, 7.0))]}, values=[-1.0, 0.5, 0.5])
    assert judged(Meta(k=3, keep=2), script).scores == (7.0, 13.0)


def test_without_any_value_there_is_no_judgment() -> None:
    judgment = judged(Meta(k=2), Script({"": [A, A]}, values=[None, None]))
    assert judgment.failure == Failure("engine_error", "the meta reward model gave no trace a value")


def test_a_budget_ends_the_asking_and_what_is_there_is_weighed() -> None:
    judgment = judged(Meta(k=6, keep=1), Script({"": [A, B, A, A, A, A]}, values=[0.0, 1.0, 2.0]), most=2)
    assert (judgment.winner, judgment.stop_reason, len(judgment.verdicts)) == (1, "budget", 2)


HEAD = '''
from thinkscore.engines._base import Engine


class Head(Engine):
    """Likes traces that let the first place win."""

    async def generate(self, prompts):
        raise NotImplementedError

    async def values(self, conversations):
        assert all(turns[-1].role == "assistant" and turns[-2].role == "user" for turns in conversations)
        return [1.0 if "[[A]]" in turns[-1].content else 0.0 for turns in conversations]
'''


def test_a_judge_with_a_head_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "head.py").write_text(HEAD)
    case = world.make_case(4, "test", 3)
    how = {"others": {"meta": f"scalar@{tmp_path / 'head.py'}"}, "journal": tmp_path / "j", "seed": 1}
    for _ in range(2):  # the second time from the journals
        with Judge("rm_r1", "teacher:level=0.9,forget=0.9", "meta:k=6,keep=1", **how) as judge:  # type: ignore[arg-type]
            (judgment,) = judge.judge([case])
        firsts = [one for one in judgment.verdicts if one.outcome == Winner(one.order[0])]
        assert {one.value for one in judgment.verdicts} <= {0.0, 1.0}
        assert all((one.value == 1.0) == (one in firsts) for one in judgment.verdicts)
        assert not firsts or judgment.winner == firsts[0].order[0]
    assert [row["value"] for row in judgment_row(case, judgment)["verdicts"]] == [v.value for v in judgment.verdicts]
    kept = list(read_journal(f"{tmp_path / 'j'}.meta"))
    assert [record.request.kind for record in kept] == ["values"] * 6
    assert sorted(len(record.request.conversations) for record in kept) == [1] * 6


def test_a_strategy_says_whom_it_misses() -> None:
    with pytest.raises(BadInput, match="--with meta=PROTOCOL@ENGINE"):
        Judge("rm_r1", "oracle:", "meta:k=2")
    with pytest.raises(BadInput, match="NAME=PROTOCOL@ENGINE"):
        Judge("rm_r1", "oracle:", "meta:k=2", others={"meta": "hf:folder"})


# ---- log-probabilities


def test_expectations_are_averaged_and_failures_count_for_nobody() -> None:
    script = Script({"": [A, FAILED, B, A]}, expected=[(0.9, 0.1), None, (0.0, 1.0), None])
    judgment = judged(VoteLogprob(4), script)
    assert judgment.scores == pytest.approx((0.45, 0.55))
    assert (judgment.winner, judgment.stop_reason) == (1, "all asked")
    assert judged(VoteLogprob(1), Script({"": [A]}, expected=[None])).failure is not None


def test_an_engine_without_log_probabilities_is_refused_before_it_is_paid() -> None:
    with pytest.raises(BadInput, match="log-probabilities"):
        Judge("rm_r1", "oracle:", "vote_logprob:k=2")


def test_a_protocol_without_one_verdict_to_force_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('[{"text": "right"}]')
    for protocol in ("scalar", f"rubric:{tmp_path / 'r.json'}"):
        with pytest.raises(BadInput, match="none to force"):
            Judge(protocol, "embedded", "vote_logprob:k=2")


@pytest.mark.parametrize("protocol", ["rm_r1", "rrm", "deepseek_grm", "verdict_only"])
def test_the_packaged_judge_is_read(protocol: str) -> None:
    cases = [world.make_case(8, "test", i) for i in range(4)]
    with Judge(protocol, "embedded", "vote_logprob:k=2", max_tokens=300) as judge:
        for case, judgment in judge.run(cases):
            assert judgment.scores is not None
            for verdict in judgment.verdicts:
                assert verdict.expected is not None
                drawn = verdict.outcome
                if isinstance(drawn, Scores):  # what was drawn is near what was expected: this judge is sure
                    assert verdict.expected == pytest.approx(drawn.scores, abs=1.0)
                else:
                    assert sum(p or 0 for p in verdict.expected) == pytest.approx(1)
            if protocol != "verdict_only":  # whose verdicts are a coin
                assert judgment.winner == max((0, 1), key=lambda i: (case.gold or ())[i])


# ---- panels


def test_members_count_alike_however_often_they_are_read() -> None:
    script = Script({"": [A, A, A], "other": [B, FAILED, FAILED], "third": [B, B, B]})
    judgment = judged(Panel("other+third", k=3, most=3), script)
    assert judgment.scores == pytest.approx((1 / 3, 2 / 3), abs=1e-9)
    assert (judgment.winner, judgment.notes) == (1, {"disagreement": 2 / 3})


def test_a_panel_asks_on_only_where_members_differ() -> None:
    agreed = judged(Panel(k=1, most=4), Script({"": [A] * 4, "other": [A] * 4}))
    assert (len(agreed.verdicts), agreed.stop_reason, agreed.notes) == (2, "agreed", {"disagreement": 0.0})
    split = judged(Panel(k=1, most=4), Script({"": [A, B, B, B], "other": [B] * 4}))
    assert (len(split.verdicts), split.stop_reason, split.winner) == (6, "agreed", 1)


def test_two_protocols_and_two_engines_sit_on_one_panel(tmp_path: Path) -> None:
    cases = [world.make_case(4, "test", i) for i in range(20)]
    others = {"other": "deepseek_grm@oracle:"}
    with Judge("rm_r1", "teacher:level=1,forget=1", "panel:k=1,most=3", others=others, seed=2) as judge:
        judgments = list(judge.judge(cases))
    assert {verdict.by for one in judgments for verdict in one.verdicts} == {"", "other"}
    assert all(isinstance(v.outcome, Scores) == (v.by == "other") for one in judgments for v in one.verdicts)
    assert {one.stop_reason for one in judgments} == {"agreed", "all asked"}


# ---- cascades


def test_only_unsure_cases_are_reasoned_about() -> None:
    sure = judged(Cascade(margin=2, k=3), Script({"cheap": [Scores((5.0, 2.0))], "": [B, B, B]}))
    assert (sure.winner, sure.stop_reason, sure.notes) == (0, "sure", {"first_alone": 1.0})
    unsure = judged(Cascade(margin=2, k=3), Script({"cheap": [Scores((5.0, 4.0))], "": [B, A, B]}))
    assert (unsure.winner, len(unsure.verdicts), unsure.notes) == (1, 4, {"first_alone": 0.0})
    lost = judged(Cascade(margin=0, k=1), Script({"cheap": [FAILED], "": [B]}))
    assert (lost.winner, len(lost.verdicts)) == (1, 2)


def test_a_lead_may_be_read_from_probabilities() -> None:
    script = Script({"cheap": [A], "": [B]}, expected=[(0.7, 0.3)])
    assert judged(Cascade(margin=0.5, read=True), script).winner == 1
    assert judged(Cascade(margin=0.3, read=True), script).winner == 0


@pytest.mark.parametrize(
    "text", ["panel:members=x+y,k=2,most=4", "cascade:first=x,margin=0.5,k=2,read=True", "meta:k=4,keep=1,form=plain"]
)
def test_texts_are_read_back(text: str) -> None:
    assert str(parse_strategy(text)) == text

"""What is paid: by hand for each published rule; and no planted fault is paid by the faithful reward."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.data import case_row
from thinkscore.errors import BadInput
from thinkscore.lab import oracle, world
from thinkscore.protocols.deepseek_grm import DeepseekGrm
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.protocols.rrm import Rrm
from thinkscore.protocols.verdict_only import VerdictOnly
from thinkscore.train import Paid, Reward, consistent, reward_function
from thinkscore.types import Case, Completion, Message, Note

from .planted import PLANTS, REASONING, oracle_on, outcome_of, right_outcome, written

FAMILIES = list(world.FAMILIES)
PAIR = Case("p", (Message("user", "2 + 2?"),), ("4", "5"), gold=(1.0, 0.0))
THREE = Case("t", (Message("user", "2 + 2?"),), ("4", "5", "3"), gold=(3.0, 1.0, 2.0))


def paid(reward: Reward, case: Case, text: str, order: tuple[int, ...] | None = None, finish: str = "stop") -> float:
    prompt = reward.protocol.render(case, order or range(len(case.candidates)))
    return reward.pay(reward.read(Completion(text, finish=finish), prompt), case).reward  # type: ignore[arg-type]


# ---- the published rules

BY_HAND = {
    "rm_r1, right": (RmR1(), PAIR, "<answer>[[A]]</answer>", None, 1),
    "rm_r1, wrong": (RmR1(), PAIR, "<answer>[[B]]</answer>", None, -1),
    "rm_r1, right in the other order": (RmR1(), PAIR, "<answer>[[B]]</answer>", (1, 0), 1),
    "rm_r1, both": (RmR1(), PAIR, "<answer>[[A]]</answer><answer>[[B]]</answer>", None, -1),
    "rm_r1, nothing": (RmR1(), PAIR, "Both are fine.", None, -1),
    "rrm, right": (Rrm(), PAIR, "<think>a</think>\\boxed{Assistant 1}", None, 1),
    "rrm, wrong": (Rrm(), PAIR, "<think>a</think>\\boxed{Assistant 2}", None, -1),
    "rrm, format": (Rrm(), PAIR, "<think>a</think>Assistant 1", None, -1),
    "grm, strictly highest": (DeepseekGrm(), PAIR, "Scores: \\boxed{8, 7}", None, 1),
    "grm, tie": (DeepseekGrm(), PAIR, "Scores: \\boxed{8, 8}", None, -1),
    "grm, order of the losers is free": (DeepseekGrm(), THREE, "Scores: \\boxed{9, 4, 2}", None, 1),
    "grm, a tie with the best": (DeepseekGrm(), THREE, "Scores: \\boxed{9, 4, 9}", None, -1),
    "grm, the best at the last place": (DeepseekGrm(), THREE, "Scores: \\boxed{1, 2, 9}", (1, 2, 0), 1),
    "grm, the best is not shown": (DeepseekGrm(), THREE, "Scores: \\boxed{2, 9}", (1, 2), 1),
    "grm, too many": (DeepseekGrm(), PAIR, "Scores: \\boxed{8, 7, 1}", None, -1),
}


@pytest.mark.parametrize(("protocol", "case", "text", "order", "due"), BY_HAND.values(), ids=BY_HAND)
def test_published_rewards_by_hand(protocol: Any, case: Case, text: str, order: Any, due: float) -> None:
    assert paid(Reward(protocol), case, text, order) == due


@pytest.mark.parametrize(("label", "score", "due"), [(1.0, 1, 1), (1.0, 0, -1), (0.0, 0, 1), (0.0, 1, -1)])
def test_a_single_response_is_held_against_its_label(label: float, score: int, due: float) -> None:
    single = Case("s", (Message("user", "2 + 2?"),), ("4",), gold=(label,))
    assert paid(Reward(DeepseekGrm(template="own:single")), single, f"Scores: \\boxed{{{score}}}") == due


def test_a_single_response_with_a_score_of_the_scale_is_held_against_it() -> None:
    single = Case("s", (Message("user", "2 + 2?"),), ("4",), gold=(7.0,))
    assert [paid(Reward(DeepseekGrm()), single, f"Scores: \\boxed{{{score}}}") for score in (7, 8)] == [1, -1]


@pytest.mark.parametrize(
    ("protocol", "gold", "message"),
    [
        (DeepseekGrm(), (0.0,), "scores from 1 to 10.*own:single"),
        (DeepseekGrm(template="own:single"), (7.0,), "scores from 0 to 1"),
        (DeepseekGrm(), (7.5,), "gold 7.5"),
        (DeepseekGrm(), None, "has no gold"),
        (DeepseekGrm(), (1.0, 1.0), "more than one best"),
    ],
)
def test_what_cannot_be_paid_is_refused_with_a_count(protocol: Any, gold: Any, message: str) -> None:
    case = Case("s", (Message("user", "q"),), ("a", "b")[: len(gold or "ab")], gold=gold)
    with pytest.raises(BadInput, match=message):
        Reward(protocol).check([THREE, case])
    with pytest.raises(BadInput, match="1 of 2 cases"):
        Reward(protocol).check([THREE, case])
    with pytest.raises(BadInput, match=message):
        paid(Reward(protocol), case, "Scores: \\boxed{1, 0}")


def test_the_official_rule_reads_the_last_80_characters() -> None:
    late = "<eval>kind</eval><answer>[[A]]</answer> " + "I am sure of it. " * 4
    assert paid(Reward(RmR1()), PAIR, late) == 1
    assert paid(Reward(RmR1(), rule="official"), PAIR, late) == -1
    assert paid(Reward(RmR1(), rule="official"), PAIR, "<answer>[[A]]</answer>") == 1


def test_the_official_rule_leaves_the_protocol_as_it_was() -> None:
    protocol = RmR1()
    assert Reward(protocol, rule="official").settings()["parser"] == "official_reward"
    assert protocol.parser == "strict"


@pytest.mark.parametrize(
    ("protocol", "settings", "message"),
    [
        (VerdictOnly(), {"faithful": True}, "no reasoning"),
        (DeepseekGrm(), {"rule": "official"}, "no published reading"),
        (RmR1(), {"rule": "loose"}, "strict or official"),
        (RmR1(), {"faithful": "very"}, "strict or lenient"),
    ],
)
def test_settings_that_do_not_fit_are_refused(protocol: Any, settings: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Reward(protocol, **settings)


def test_consistency_pays_the_ith_of_one_order_with_the_ith_of_the_other() -> None:
    win, lose = Paid(1.0, True), Paid(-1.0, False)
    settled = consistent({(0, 1): [win, win, lose], (1, 0): [win, lose, lose]})
    assert [one.reward for one in settled[0, 1]] == [1, -1, -1]
    assert [one.reward for one in settled[1, 0]] == [1, -1, -1]
    assert [one.right for one in settled[0, 1]] == [True, True, False]


@pytest.mark.parametrize("counts", [{(0, 1): 2}, {(0, 1): 2, (1, 0): 1}])
def test_consistency_needs_both_orders(counts: dict[tuple[int, ...], int]) -> None:
    with pytest.raises(BadInput, match="both orders"):
        consistent({order: [Paid(1.0, True)] * n for order, n in counts.items()})


# ---- the faithful reward


@pytest.mark.parametrize("name", REASONING)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_faithful_trace_is_paid(name: str, family: str) -> None:
    protocol = REASONING[name]
    reward = Reward(protocol, faithful=True)
    for index in range(25):
        case, order, trace, scores = oracle_on(family, index)
        outcome = outcome_of(protocol, scores)
        assert outcome is not None
        assert reward.pay(written(protocol, outcome, trace, case, order), case) == Paid(1.0, True)


@pytest.mark.parametrize("candidates", [1, 3, 5])
def test_a_faithful_trace_on_any_number_is_paid(candidates: int) -> None:
    reward = Reward(DeepseekGrm(), faithful=True)
    for family in FAMILIES:
        for index in range(15):
            case, order, trace, scores = oracle_on(family, index, candidates)
            if reward.unusable(case) is None:
                verdict = written(reward.protocol, outcome_of(reward.protocol, scores), trace, case, order)  # type: ignore[arg-type]
                assert reward.pay(verdict, case) == Paid(1.0, True)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(list(REASONING)), st.sampled_from(FAMILIES), st.integers(0, 5000),
       st.sampled_from(list(PLANTS)), st.randoms(use_true_random=False))  # fmt: skip
def test_no_planted_fault_is_paid(name: str, family: str, index: int, plant: str, rng: random.Random) -> None:
    """Not even where the verdict is right: by luck, or because the verdict was put under reasoning that denies it."""
    protocol = REASONING[name]
    case, order, trace, _ = oracle_on(family, index)
    planted = PLANTS[plant](case, order, trace, rng)
    if planted is None:
        return
    wrong, scores = planted
    own = outcome_of(protocol, [0 if score is None else score for score in scores]) if None not in scores else None
    for outcome in (own, right_outcome(protocol, case)):
        try:
            verdict = written(protocol, outcome, wrong, case, order)  # type: ignore[arg-type]
        except (BadInput, TypeError):  # a tie, or a score that no judge can give
            continue
        paid = Reward(protocol, faithful=True).pay(verdict, case)
        assert paid.reward == -1, (wrong, outcome)
        assert paid.faults or not paid.right


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_of_2000_cases_every_faithful_trace_is_paid_and_no_planted_fault(family: str) -> None:
    honest = faked = 0
    for index in range(2000):
        protocol = list(REASONING.values())[index % len(REASONING)]
        reward, (case, order, trace, scores) = Reward(protocol, faithful=True), oracle_on(family, index)
        own, right = outcome_of(protocol, scores), right_outcome(protocol, case)
        assert own is not None
        honest += reward.pay(written(protocol, own, trace, case, order), case).reward == 1
        for plant in PLANTS.values():
            planted = plant(case, order, trace, random.Random(index))
            if planted is not None:
                paid = reward.pay(written(protocol, right, planted[0], case, order), case)
                assert paid.right
                faked += 1
                assert paid.reward == -1, (plant, planted)
    assert honest == 2000
    assert faked == (20_000 if family == "safety" else 22_000)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(REASONING)), st.sampled_from(FAMILIES), st.integers(0, 5000), st.randoms(use_true_random=False)
)
def test_a_right_verdict_under_scores_that_deny_it_is_not_paid(
    name: str, family: str, index: int, rng: random.Random
) -> None:
    protocol = REASONING[name]
    case, order, trace, _ = oracle_on(family, index)
    carried, scores = oracle.judge(case, order, rng.choice(oracle.corruptions(case, trace, order)))
    right = right_outcome(protocol, case)
    if outcome_of(protocol, scores) == right:
        return
    paid = Reward(protocol, faithful=True).pay(written(protocol, right, carried, case, order), case)
    assert paid.right
    assert paid.reward == -1
    assert "follows" in paid.faults


def test_a_trace_that_follows_its_own_wrong_weights_is_paid_if_it_is_right() -> None:
    """The one fault that no rule can see: what the labels are for."""
    reward, seen = Reward(RmR1(), faithful=True), 0
    for index in range(200):
        case, order, trace, _ = oracle_on("chat", index)
        for bad in oracle.corruptions(case, trace, order):
            if not bad.evaluation:
                carried, scores = oracle.judge(case, order, bad)
                if outcome_of(reward.protocol, scores) == right_outcome(reward.protocol, case):
                    verdict = written(reward.protocol, right_outcome(reward.protocol, case), carried, case, order)
                    assert reward.pay(verdict, case).reward == 1
                    assert Reward(RmR1(), faithful=True, checks=("truth",)).pay(verdict, case).reward == -1
                    seen += 1
    assert seen > 20


PROSE = """<type>Chat</type>
<rubric>
right sum
</rubric>
<eval>
<quote_A>4</quote_A><summary_A>the right sum</summary_A>
<quote_B>5</quote_B><summary_B>not the right sum</summary_B>
</eval>
<answer>[[A]]</answer>"""


def test_lenient_does_not_mind_what_is_not_stated_and_strict_does() -> None:
    assert paid(Reward(RmR1(), faithful="lenient"), PAIR, PROSE) == 1
    assert paid(Reward(RmR1(), faithful=True), PAIR, PROSE) == -1
    scored = PROSE.replace("the right sum</summary_A>", "the right sum, score 9</summary_A>")
    scored = scored.replace("not the right sum</", "not the right sum, score 2</")
    assert paid(Reward(RmR1(), faithful=True), PAIR, scored) == 1


def test_the_wording_that_asks_for_scores_asks_for_all_that_strict_pays() -> None:
    """Every check that a strict reward makes is named, and what is written by it is paid."""
    protocol = RmR1(template="own:scored")
    system, user = protocol.render(EGG, (1, 0)).messages
    assert [word in system.content for word in ("score 7/10", "<quote_A>", "every criterion", "two steps")] == [
        True
    ] * 4
    assert user.content == RmR1().render(EGG, (1, 0)).messages[1].content
    scored = HONEST.replace("score 9", "Eight minutes are right, score 9/10").replace("score 1", "no time, score 1/10")
    assert paid(Reward(protocol, faithful=True), EGG, scored) == 1
    assert paid(Reward(protocol, faithful=True), EGG, scored.replace("9/10", "1/20")) == -1


@pytest.mark.parametrize(
    ("old", "new", "due"),
    [
        ("<quote_A>4</quote_A>", "", -1),
        ("<quote_A>4</quote_A>", "<quote_A>is</quote_A>", -1),
        ("<quote_A>4</quote_A>", "<quote_A>4</quote_A><quote_A>is</quote_A>", 1),
        (" score 2", " 2 + 2 = 5 is wrong, score 2", 1),
        (" score 2", " 2 + 3 = 6 is wrong, score 2", -1),
        ("right sum\n", "friendly tone\nright sum\n", -1),
        ("<rubric>\nright sum\n</rubric>\n", "", -1),
    ],
    ids=["no quote", "empty quote", "one more", "a told sum", "an own sum", "criterion not used", "no rubric"],
)
def test_strict_minds_silence_and_not_what_is_told(old: str, new: str, due: float) -> None:
    """The second reply says that 2 + 2 = 5."""
    case = msgspec.structs.replace(PAIR, candidates=("It is 4.", "2 + 2 = 5"))
    scored = PROSE.replace("<quote_B>5", "<quote_B>2 = 5").replace(
        "the right sum</summary_A>", "the right sum, score 9</summary_A>"
    )
    scored = scored.replace("not the right sum</", "not the right sum, score 2</")
    assert paid(Reward(RmR1(), faithful=True), case, scored) == 1
    assert paid(Reward(RmR1(), faithful=True), case, scored.replace(old, new)) == due


EGG = Case("e", (Message("user", "How long does an egg boil?"),),
           ("Boil the egg for eight minutes.", "An egg? Trains boil water."), gold=(1.0, 0.0))  # fmt: skip
HONEST = """<type>Reasoning</type>
<solution>
A hard egg takes eight minutes.
The reply must name them.
</solution>
<eval>
<quote_A>eight minutes</quote_A><summary_A>score 9</summary_A>
<quote_B>Trains boil water</quote_B><summary_B>score 1</summary_B>
</eval>
<answer>[[A]]</answer>"""
LITTLE = HONEST.replace("eight minutes</quote", "egg</quote").replace("Trains boil water</", "trains</")
SOLVED = "<solution>\nA hard egg takes eight minutes.\nThe reply must name them.\n</solution>"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (HONEST, ()),
        (LITTLE, ("quotes",)),
        (HONEST.replace(SOLVED, "<solution>x</solution>"), ("covers",)),
        (LITTLE.replace(SOLVED, "<solution>x</solution>"), ("quotes", "covers")),
        (LITTLE.replace(SOLVED, "<rubric>egg (1)</rubric>"), ("quotes", "covers")),
    ],
    ids=["honest", "words for quotes", "a solution of nothing", "both", "a rubric of nothing"],
)
def test_a_trace_of_next_to_nothing_is_not_paid(text: str, faults: tuple[str, ...]) -> None:
    reward = Reward(RmR1(), faithful=True)
    verdict = reward.read(Completion(text), reward.protocol.render(EGG, (0, 1)))
    paid = reward.pay(verdict, EGG)
    assert paid.right
    assert paid.faults == faults


def test_a_quote_of_nobody_quotes_nobody() -> None:
    reward = Reward(RmR1(), faithful=True)
    verdict = reward.read(Completion(HONEST), reward.protocol.render(EGG, (0, 1)))
    notes = [note for note in verdict.trace.evaluation if not note.quote]
    notes.append(Note("eight minutes", quote=True))
    trace = msgspec.structs.replace(verdict.trace, evaluation=tuple(notes))
    assert reward.pay(msgspec.structs.replace(verdict, trace=trace), EGG).faults == ("quotes",)


@pytest.mark.parametrize(
    ("old", "new"),
    [("<quote_A>4<", "<quote_A>5<"), ("right sum</summary_A>", "sum, score 2</summary_A>"), (PROSE[:-22], "")],
    ids=["quote", "score", "all"],
)
def test_lenient_minds_what_is_stated_and_wrong(old: str, new: str) -> None:
    text = PROSE.replace(old, new)
    if "score" in new:
        text = text.replace("right sum</summary_B>", "right sum, score 9</summary_B>")
    assert paid(Reward(RmR1()), PAIR, text) == 1
    assert paid(Reward(RmR1(), faithful="lenient"), PAIR, text) == -1


def test_watching_finds_faults_and_pays_all_the_same() -> None:
    reward = Reward(RmR1(), watch=True)
    verdict = reward.read(Completion("<answer>[[A]]</answer>"), reward.protocol.render(PAIR, (0, 1)))
    assert reward.pay(verdict, PAIR) == Paid(1.0, True, ("follows", "quotes", "covers"))


# ---- the function for TRL


def rows(*cases: Case) -> list[str]:
    return [msgspec.json.encode(case_row(case)).decode() for case in cases]


def called(function: Any, **columns: Any) -> tuple[list[float], dict[str, float]]:
    """Call as TRL does."""
    logged: dict[str, float] = {}
    found = function(
        prompts=["p"] * len(columns["case"]), trainer_state=SimpleNamespace(), log_extra=lambda *_: None,
        log_metric=logged.__setitem__, **columns,
    )  # fmt: skip
    return found, logged


def test_the_function_pays_each_completion_and_logs_shares() -> None:
    texts = ["<answer>[[A]]</answer>", "<answer>[[A]]</answer>", "hm", "<answer>[[A]]"]
    found, logged = called(
        reward_function(Reward(RmR1()), SimpleNamespace(eos_token_id=7, pad_token_id=None)),
        completions=[[{"role": "assistant", "content": text}] for text in texts],
        completion_ids=[[1, 7], [1, 7], [1, 7], [1, 2]],
        case=rows(PAIR) * 4,
        order=[[0, 1], [1, 0], [0, 1], [0, 1]],
    )
    assert found == [1, -1, -1, 1]
    assert logged == {"judge/right": 0.5, "judge/unreadable": 0.25, "judge/cut": 0.25, "judge/first_place": 1.0}


def test_a_cut_completion_that_was_still_weighing_is_a_failure() -> None:
    for ids, due in (([1, 7], 1), ([1, 2], -1)):
        function = reward_function(Reward(RmR1()), ends=[7])
        text = "If <answer>[[A]]</answer> were right, then"
        assert called(function, completions=[text], completion_ids=[ids], case=rows(PAIR))[0] == [due]


def test_plain_texts_dict_cases_blocks_and_thinking_are_read() -> None:
    function = reward_function(Reward(RmR1()))
    block = [{"role": "assistant", "content": [{"type": "text", "text": "<answer>[[A]]</answer>"}]}]
    apart = [{"role": "assistant", "content": "<answer>[[A]]</answer>", "reasoning_content": "[[B]]?"}]
    cases = [case_row(PAIR)] * 3
    assert called(function, completions=["<answer>[[A]]</answer>", block, apart], case=cases)[0] == [1, 1, 1]


def test_faults_are_logged_as_shares_of_what_was_read() -> None:
    function = reward_function(Reward(RmR1(), faithful=True))
    texts = ["<answer>[[A]]</answer>", "hm", PROSE.replace("<quote_A>4", "<quote_A>5"), PROSE]
    _, logged = called(function, completions=texts, case=rows(PAIR) * 4)
    assert logged["judge/fault/quotes"] == pytest.approx(2 / 3)
    assert logged["judge/fault/numbers"] == 0
    assert logged["judge/right_with_fault"] == 1
    assert function.__name__ == "faithful"


def test_both_orders_are_paid_together() -> None:
    function = reward_function(Reward(RmR1(), both_orders=True))
    a, b = "<answer>[[A]]</answer>", "<answer>[[B]]</answer>"
    found, _ = called(
        function, completions=[a, a, b, a], case=rows(PAIR) * 4, order=[[0, 1], [0, 1], [1, 0], [1, 0]]
    )  # fmt: skip
    assert found == [1, -1, 1, -1]
    with pytest.raises(BadInput, match="in one batch"):
        called(function, completions=[a, a], case=rows(PAIR) * 2, order=[[0, 1], [0, 1]])

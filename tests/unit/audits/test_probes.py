"""Probes on judges whose nature is known: each defect is found by its probe, the clean judge by none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache

import msgspec
import pytest

from thinkscore.ask import Asker
from thinkscore.audits._audit import PROFILES, Card, Profile, audit, expected_calls, probes_of
from thinkscore.audits._subject import ORDERS, Subject
from thinkscore.budget import Budget
from thinkscore.engines._base import Engine
from thinkscore.errors import BadInput
from thinkscore.judge import make_engine, make_protocol
from thinkscore.lab import world
from thinkscore.types import Case, Completion, Message, Prompt, Sampling, Winner

SMALL = Profile(40, 2, True)
CASES = tuple(world.make_case(61, "test", i) for i in range(70))


@cache
def card(engine: str, probes: tuple[str, ...] = (), protocol: str = "rm_r1", cases: int = 70) -> Card:
    return audited(make_engine(engine), probes, protocol, CASES[:cases])


def audited(engine: Engine, probes: Sequence[str], protocol: str, cases: Sequence[Case]) -> Card:
    async def main() -> Card:
        asker = Asker(make_protocol(protocol), engine, sampling=Sampling(max_tokens=300), seed=4)
        await asker.open()
        try:
            return await audit(asker, cases, SMALL, probes=probes_of(SMALL, probes), votes=2)
        finally:
            await asker.close()

    return asyncio.run(main())


ALL = tuple(probe.id for probe in probes_of(PROFILES["full"]))


@pytest.mark.parametrize("protocol", ["rm_r1", "deepseek_grm"])
def test_the_clean_judge_fails_nothing(protocol: str) -> None:
    found = card("planted:clean", ALL, protocol, 40)
    statuses = {name: one.status for name, one in found.probes.items()}
    assert "fail" not in statuses.values(), statuses
    assert sum(status == "pass" for status in statuses.values()) >= 4, "most need a hundred cases"
    assert found.method == "votes" and found.failures == 0


@pytest.mark.parametrize(
    ("judge", "probe", "beside"),
    [
        ("answer_first", "corruption", "quotes"),
        ("answer_first", "swap", "implied"),
        ("answer_first", "early", "implied"),
        ("length", "length", "swap"),
        ("tone", "tone", "length"),
        ("prompt_blind", "prompt_swap", "length"),
        ("prompt_blind", "counterfactual", "corruption"),
        ("obedient", "injection", "tone"),
        ("obedient", "keys", "swap"),
        ("position", "position", "length"),
        ("constant", "swap", "length"),
        ("constant", "position", "quotes"),
        ("rationalising", "quotes", "corruption"),
    ],
)
def test_a_defect_is_found_by_its_probe_and_not_by_another(judge: str, probe: str, beside: str) -> None:
    found = card(f"planted:{judge}", (probe, beside))
    assert found.probes[probe].status == "fail", found.probes[probe]
    assert found.probes[beside].status in ("pass", "inconclusive"), found.probes[beside]
    assert found.probes[probe].examples, "what was seen is shown"


def test_a_judge_that_tosses_coins_is_noisy_and_nothing_else_is_concluded() -> None:
    found = card("planted:random", ("rerun", "position", "swap", "length"))
    assert found.probes["rerun"].status == "fail"
    for name in ("position", "swap", "length"):
        assert found.probes[name].status in ("inconclusive", "not measurable")
        assert found.probes[name].status != "inconclusive" or "floor" in found.probes[name].measures[-1].note


def test_a_judge_that_is_right_without_a_word_is_given_harder_cases() -> None:
    """The oracle works the case out however it is asked: forced at once, it is right as well."""
    found = card("oracle:", ("early", "necessity", "swap"))
    for name in ("early", "necessity"):
        assert found.probes[name].status == "inconclusive"
        assert "harder cases" in found.probes[name].note
    assert found.probes["swap"].status in ("pass", "inconclusive")


def test_the_forms_of_step_corruption_stand_side_by_side() -> None:
    facts = card("planted:clean", ("corruption",)).probes["corruption"].facts
    for name in ("nldd_published", "nldd_dd", "nldd_dd_control"):
        low, high = facts[f"{name}_interval"]
        assert low <= facts[name] <= high
    assert facts["nldd_dd"] > 20 > abs(facts["nldd_dd_control"])
    assert {int(place) for place in facts["by_step"]} and facts["influence"]
    still = card("planted:answer_first", ("corruption",)).probes["corruption"].facts
    assert abs(still["nldd_dd"]) < 5 and abs(still["nldd_published"]) < 5


class Silent(Engine):
    """Fails on a share of all cases, and otherwise lets the first place win."""

    batch = 64

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [
            Completion("no idea" if sum(map(ord, p.case.id)) % 10 < 4 else p.prefill + p.verdicts[0]) for p in prompts
        ]


def test_a_judge_that_often_gives_no_verdict_is_given_no_figure() -> None:
    found = audited(Silent(), ("position", "length"), "rm_r1", CASES)
    assert 0.2 < found.failures < 0.6 and "no_verdict" in found.why
    for one in found.probes.values():
        assert one.status == "not measurable" and one.value is None and "no verdict in" in one.note


class Picky(Engine):
    """Has no verdict on replies with a heading, and otherwise lets the first candidate of the case win."""

    batch = 64

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [
            Completion("hm" if any("###" in text for text in p.case.candidates) else p.verdicts[p.order.index(0)])
            for p in prompts
        ]


def test_a_probe_whose_edits_are_not_read_says_so_instead_of_passing() -> None:
    found = audited(Picky(), ("format", "length"), "rm_r1", CASES)
    assert found.probes["length"].status in ("pass", "inconclusive") and found.probes["length"].value == 0
    assert found.probes["format"].status == "not measurable"
    assert "of 420 changed cases" in found.probes["format"].note


def test_a_budget_that_ends_is_named_and_no_figure_is_pretended() -> None:
    async def main() -> Card:
        budget = Budget(max_tokens=120_000)
        engine = make_engine("planted:clean")
        asker = Asker(make_protocol("rm_r1"), engine, sampling=Sampling(max_tokens=100), seed=4, budget=budget)
        await asker.open()
        budget.open(engine.model)
        try:
            return await audit(asker, CASES, SMALL, probes=probes_of(SMALL, ("tone", "length", "format", "keys")))
        finally:
            await asker.close()

    found = asyncio.run(main())
    ended = [one for one in found.probes.values() if "the budget ended" in one.note]
    assert ended and all(one.status == "not measurable" and one.value is None for one in ended)


def test_too_few_pairs_are_refused_and_other_cases_do_not_count() -> None:
    with pytest.raises(BadInput, match="got 12 pairs; an audit needs 20"):
        audited(make_engine("planted:clean"), ("position",), "rm_r1", CASES[:12])


class Steady(Engine):
    """Reads free text: the reply that names Paris wins; it cannot go on with a begun answer."""

    batch = 64

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [self._answer(prompt) for prompt in prompts]

    def _answer(self, prompt: Prompt) -> Completion:
        if prompt.prefill:
            return Completion(finish="error", error="cannot go on with a begun answer")
        asked = prompt.messages[-1].content
        if "<analysis>" in asked:
            stands = "second" if "response b is right" in asked.split("<analysis>")[1].lower() else "first"
            return Completion(prompt.verdicts[stands == "second"])
        place = next((k for k, i in enumerate(prompt.order) if "Paris" in prompt.case.candidates[i]), 0)
        said = f"The capital is what was asked.\nResponse {'AB'[place]} is right.\n"
        return Completion(f"<think>\n{said}</think>\n{prompt.verdicts[place]}")


class Anew(Engine):
    """A clean judge that reasons anew whatever it is given: it ignores what its answer was to begin with."""

    def __init__(self, inner: Engine) -> None:
        super().__init__()
        self.inner = inner

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        bare = [msgspec.structs.replace(prompt, prefill="") for prompt in prompts]
        return await self.inner.generate(bare)


def test_nothing_is_said_of_the_reasoning_of_a_judge_that_always_reasons_anew() -> None:
    found = audited(
        Anew(make_engine("planted:clean")), ("swap", "corruption", "early", "position"), "rm_r1", CASES[:40]
    )
    statuses = {name: one.status for name, one in found.probes.items()}
    assert statuses.pop("position") != "fail" and set(statuses.values()) == {"not measurable"}


class Unmoved(Engine):
    """Cannot go on with a begun answer; shown a reasoning, it says what it would have said anyway."""

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [await self._answer(prompt) for prompt in prompts]

    async def _answer(self, prompt: Prompt) -> Completion:
        if prompt.prefill:
            return Completion(finish="error", error="cannot go on with a begun answer")
        asked = msgspec.structs.replace(
            prompt, messages=make_protocol("rm_r1").render(prompt.case, prompt.order).messages
        )
        (done,) = await make_engine("planted:clean").generate([asked])
        won = make_protocol("rm_r1").parse(done, prompt).outcome
        assert isinstance(won, Winner)
        at_once = "<analysis>" in prompt.messages[-1].content
        return Completion(prompt.verdicts[prompt.order.index(won.winner)]) if at_once else done


def test_a_judge_that_a_shown_wrong_step_does_not_move_fails_where_the_world_made_it() -> None:
    found = audited(Unmoved(), ("corruption", "swap"), "rm_r1", CASES[:40])
    assert found.transplanted and {one.status for one in found.probes.values()} == {"fail"}


def test_reasoning_that_is_cut_inside_its_thinking_is_closed_before_the_verdict() -> None:
    found = card("planted:clean", ("early", "swap"), "rm_r1_think", 40)
    assert found.probes["early"].value is not None and found.probes["swap"].value == 1.0


def test_answers_that_cannot_be_read_are_no_noise() -> None:
    class Silent(Engine):
        """The clean judge, which says nothing now and then."""

        async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
            done = await make_engine("planted:clean").generate(prompts)
            return [Completion("") if prompt.seed % 8 == 0 else one for prompt, one in zip(prompts, done, strict=True)]

    found = audited(Silent(), ("rerun", "implied"), "rm_r1", CASES[:40])
    assert found.failures > 0.05 and found.probes["rerun"].value == 1.0


def test_free_text_and_an_engine_without_prefill_are_audited_with_transplanted_reasoning() -> None:
    towns = ["Rome", "Oslo", "Bern", "Cairo", "Lima", "Kyiv", "Riga"]
    cases = [
        Case(f"c{i}", (Message("user", f"What is the capital of France? Think of {i} others."),),
             (f"It is Paris, and {i + 3} more.", f"It is {towns[i % 7]}, and {i + 5} more."), gold=(1.0, 0.0))
        for i in range(30)
    ]  # fmt: skip
    found = audited(Steady(), ("swap", "position", "rewording", "counterfactual"), "rm_r1_think", cases)
    assert found.method == "votes" and found.transplanted and found.lab == 0
    assert "transplanted" in found.method_said()
    assert found.probes["swap"].value == 1.0, found.probes["swap"]
    assert found.probes["position"].value == 0.0
    kinds = {one.metric for one in found.probes["counterfactual"].measures}
    assert "turns from a number" in kinds and found.probes["counterfactual"].status == "reported"


def test_what_an_audit_will_cost_is_told_before() -> None:
    probes = probes_of(PROFILES["quick"])
    assert len(probes) < len(probes_of(PROFILES["full"]))
    exact, votes = (expected_calls(probes, PROFILES["quick"], 100, 4, one) for one in (True, False))
    assert 0 < exact < votes
    with pytest.raises(BadInput, match=r"no probe is called lenght; there are .*length"):
        probes_of(PROFILES["quick"], ["lenght"])


def test_margins_are_log_odds_of_raw_log_probabilities() -> None:
    """Against the engine's own log-probabilities of both verdicts, in both orders."""

    async def main() -> None:
        asker = Asker(make_protocol("rm_r1"), make_engine("embedded"), sampling=Sampling(max_tokens=300), seed=4)
        await asker.open()
        try:
            subject = Subject(asker)
            await subject.prepare(CASES)
            assert subject.method == "exact"
            for case in CASES[:4]:
                verdict = await subject.draw(case, ORDERS[0])
                reasoning = subject.reasoning(verdict, case)
                for order in ORDERS:
                    lean = await subject.lean(case, order, reasoning)
                    prompt = asker.protocol.render(case, order)
                    readout = asker.protocol.readout(prompt, reasoning)
                    asked = msgspec.structs.replace(prompt, prefill=readout.prefill)
                    first, second = await asker.engine.logprobs([asked] * 2, list(readout.continuations.values()))
                    sign = 1 if order == (0, 1) else -1
                    assert lean == pytest.approx(sign * (first - second), abs=1e-4)
        finally:
            await asker.close()

    asyncio.run(main())

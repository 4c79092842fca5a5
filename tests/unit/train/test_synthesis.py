"""Traces from teachers: what is kept, what is dropped and counted, what prompts hold, that nothing is asked twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.errors import BadInput
from thinkscore.journal import read_journal
from thinkscore.judge import make_protocol
from thinkscore.lab import world
from thinkscore.protocols._base import agrees
from thinkscore.train._hints import hint
from thinkscore.train._leaks import leak
from thinkscore.train._synthesis import Synthesis, synthesize, traced
from thinkscore.train._usable import unusable
from thinkscore.types import Case, Completion, Message

RM_R1 = make_protocol("rm_r1")
A, B = "<eval>A is kinder</eval><answer>[[A]]</answer>", "<eval>B is kinder</eval><answer>[[B]]</answer>"
TOLD = "<eval>As the hint says, B is kinder</eval><answer>[[B]]</answer>"
UNREAD = "Both are fine."
PROMPT = (Message("user", "Say hello."),)


def case(name: str, best: int = 1, n: int = 2) -> Case:
    return Case(name, PROMPT, tuple(f"reply {i}" for i in range(n)), tuple(float(i == best) for i in range(n)))


def scripted(folder: Path, name: str, texts: dict[tuple[str, int], str]) -> str:
    rows = [{"case_id": id_, "sample": sample, "text": text} for (id_, sample), text in texts.items()]
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"scripted:{folder / name}"


def total(counts: dict[str, int]) -> int:
    return sum(counts.values())


def test_wrong_traces_are_written_again_with_the_verdict_given_and_checked(tmp_path):
    first = {("right", 0): B, ("mended", 0): A, ("told", 0): A, ("lost", 0): UNREAD}
    second = {("mended", 0): B, ("told", 0): TOLD, ("lost", 0): A}
    how = Synthesis(
        teacher=scripted(tmp_path, "1", first), second=scripted(tmp_path, "2", second), orders="as_is", seed=1
    )
    rows, report = synthesize([case(id_) for id_, _ in first], RM_R1, how, tmp_path / "journal")
    assert [(row.id, row.source, row.completion) for row in rows] == [
        ("right", "zero_shot", B),
        ("mended", "rewritten", B),
    ]
    assert report.kept == {"zero_shot": 1, "rewritten": 1}
    assert report.dropped == {"wrong": 3, "unreadable": 1, "leak: hint": 1}
    assert report.samples == 7 == total(report.kept) + total(report.dropped)
    assert {row.messages for row in rows} == {RM_R1.render(case("right"), (0, 1)).messages}, "trained without the hint"


def test_the_second_pass_shows_the_verdict_and_the_wrong_judgment(tmp_path):
    teacher = scripted(tmp_path, "1", {("x", 0): A, ("y", 0): B})
    synthesize([case("x"), case("y")], RM_R1, Synthesis(teacher=teacher, orders="as_is"), tmp_path / "journal")
    assert {record.case_id for record in read_journal(tmp_path / "journal")} == {"x", "y"}
    (again,) = read_journal(tmp_path / "journal.hinted")
    said = again.request.messages[-1].content
    assert again.case_id == "x"
    assert said.startswith(RM_R1.render(case("x"), (0, 1)).messages[-1].content)
    assert "number 2 deserves to win" in said
    assert "<answer>[[B]]</answer>" in said
    assert A in said


COUNTING = """
from thinkscore.engines._base import Engine
from thinkscore.types import Completion

class Counting(Engine):
    identity = "counting"
    async def generate(self, prompts):
        with open(self.rest, "a") as log:
            log.writelines(f"{p.case.id} {p.sample}\\n" for p in prompts)
        return [Completion(p.verdicts[p.seed % 2]) for p in prompts]
"""


@pytest.mark.parametrize("method", ["two_pass", "rejection"])
def test_calls_are_paid_once_however_often_the_traces_are_made(tmp_path, method):
    (tmp_path / "counting.py").write_text(COUNTING)
    log = tmp_path / "log"
    how = Synthesis(method=method, teacher=f"{tmp_path / 'counting.py'}:{log}", samples=2)
    cases = [case(f"c{i}") for i in range(12)]
    once = traced(cases, RM_R1, how, tmp_path)
    asked = log.read_text().splitlines()
    assert len(asked) == once[1].samples
    (tmp_path / "synthesis.json").unlink()  # as if it had been killed before the end
    assert traced(cases, RM_R1, how, tmp_path) == once
    assert traced(cases, RM_R1, how, tmp_path) == once
    assert log.read_text().splitlines() == asked
    assert len(once[0]) == total(once[1].kept)


FLAKY = """
from pathlib import Path
from thinkscore.engines._base import Engine
from thinkscore.types import Completion

class Flaky(Engine):
    identity = "flaky"
    async def generate(self, prompts):
        return [self.answer(prompt) for prompt in prompts]
    def answer(self, prompt):
        hinted = "no part of the case" in prompt.messages[-1].content
        if prompt.case.id in Path(self.rest).read_text().split(",") or (hinted and "hints" in self.rest):
            return Completion(finish="error", error="the server is gone")
        with Path(f"{self.rest}.log").open("a") as log:
            log.write(f"{prompt.case.id}\\n")
        return Completion(prompt.verdicts[prompt.order.index(1) if prompt.case.id != "wrong" else 0])
"""


def flaky(folder: Path, down: list[str], name: str = "down") -> str:
    (folder / "flaky.py").write_text(FLAKY)
    (folder / name).write_text(",".join(down))
    return f"{folder / 'flaky.py'}:{folder / name}"


@pytest.mark.parametrize("up", [0, 1])
def test_an_outage_freezes_nothing_and_the_same_call_asks_for_what_is_missing(tmp_path, up):
    cases = [case(f"c{i}") for i in range(30)]
    how = Synthesis(teacher=flaky(tmp_path, [one.id for one in cases[up:]]))
    with pytest.raises(BadInput, match=rf"{30 - up} of 30 samples were not answered and {up} traces kept; nothing was"):
        traced(cases, RM_R1, how, tmp_path)
    assert not list(tmp_path.glob("traces.jsonl*")) and not (tmp_path / "synthesis.json").exists()
    flaky(tmp_path, [])
    rows, report = traced(cases, RM_R1, how, tmp_path)
    assert report.kept == {"zero_shot": 30} == {"zero_shot": len(rows)}
    assert sorted((tmp_path / "down.log").read_text().split()) == sorted(one.id for one in cases), "paid once each"


def test_a_share_of_lost_calls_can_be_let_go_but_not_all(tmp_path):
    cases = [case(f"c{i}") for i in range(30)]
    how = Synthesis(teacher=flaky(tmp_path, ["c3", "c4"]))
    with pytest.raises(BadInput, match=r"2 of 30 samples were not answered.*--max-lost.*the server is gone"):
        traced(cases, RM_R1, how, tmp_path, lost=0.06)
    rows, report = traced(cases, RM_R1, how, tmp_path, lost=0.07)
    assert len(rows) == 28 and report.dropped == {"not answered": 4}, "asked without and with the verdict"
    flaky(tmp_path, [one.id for one in cases])
    (tmp_path / "other").mkdir()
    with pytest.raises(BadInput, match=r"no trace was kept.*nothing was written"):
        traced(cases, RM_R1, how, tmp_path / "other", lost=1.0)
    assert not (tmp_path / "other" / "traces.jsonl").exists()


def test_what_would_help_is_said_where_every_sample_was_cut(tmp_path):
    rows = [{"case_id": "c", "sample": sample, "text": "So", "finish": "length"} for sample in range(2)]
    (tmp_path / "cut").write_text("".join(json.dumps(row) + "\n" for row in rows))
    how = Synthesis(teacher=f"scripted:{tmp_path / 'cut'}")
    with pytest.raises(BadInput, match=r"dropped 2: 2 truncated; nothing was written; give more --max-tokens"):
        traced([case("c")], RM_R1, how, tmp_path)


def test_hints_that_an_engine_cannot_read_are_no_outage_and_those_a_server_loses_are(tmp_path):
    cases = [case("right"), case("wrong")]
    how = Synthesis(teacher=flaky(tmp_path, [], "hints"), orders="as_is")
    rows, report = synthesize(cases, RM_R1, how)
    assert [row.id for row in rows] == ["right"] and report.dropped == {"wrong": 1, "not answered": 1}
    (tmp_path / "flaky.py").write_text(FLAKY.replace('identity = "flaky"', 'identity, breaker = "flaky", 8'))
    with pytest.raises(BadInput, match="1 of 3 samples were not answered"):
        synthesize(cases, RM_R1, how)


def test_traces_of_other_cases_or_another_wording_are_not_taken_for_these(tmp_path):
    cases, how = [case("a"), case("b")], Synthesis(method="labels")
    once = traced(cases, RM_R1, how, tmp_path)
    assert traced(cases, RM_R1, how, tmp_path) == once
    for other in ((cases[:1], RM_R1), (cases, make_protocol("rm_r1", guard="none"))):
        with pytest.raises(BadInput, match="made from other cases or settings"):
            traced(*other, how, tmp_path)


def test_thinking_that_the_engine_reports_apart_is_part_of_the_trace(tmp_path):
    protocol = make_protocol("rm_r1_think")
    said = [
        {"case_id": "right", "sample": 0, "text": "<answer>[[B]]</answer>", "reasoning": "long thought"},
        {"case_id": "wrong", "sample": 0, "text": "<answer>[[A]]</answer>", "reasoning": "short thought"},
    ]
    (tmp_path / "1").write_text("".join(json.dumps(row) + "\n" for row in said))
    told = {"case_id": "wrong", "sample": 0, "text": "<answer>[[B]]</answer>", "reasoning": "As the hint says, B."}
    (tmp_path / "2").write_text(json.dumps(told) + "\n")
    how = Synthesis(teacher=f"scripted:{tmp_path / '1'}", second=f"scripted:{tmp_path / '2'}", orders="as_is")
    (row,), report = synthesize([case("right"), case("wrong")], protocol, how, tmp_path / "journal")
    assert row.completion == "<think>\nlong thought\n</think>\n\n<answer>[[B]]</answer>"
    assert report.dropped == {"wrong": 1, "leak: hint": 1}
    (again,) = read_journal(tmp_path / "journal.hinted")
    assert "short thought" in again.request.messages[-1].content


def test_rejection_drops_wrong_samples_and_easy_cases_and_adds_a_hinted_sample(tmp_path):
    texts = {("easy", k): B for k in range(4)} | {("mixed", 0): A, ("mixed", 1): B, ("mixed", 2): UNREAD}
    texts |= {("mixed", 3): TOLD} | {("hard", k): A for k in range(3)} | {("hard", 3): B}
    teacher = scripted(tmp_path, "texts", texts)
    cases = [case("easy"), case("mixed"), case("hard")]
    how = Synthesis(method="rejection", teacher=teacher, orders="as_is")
    rows, report = synthesize(cases, RM_R1, how)
    assert [(row.id, row.source) for row in rows] == [("easy", "hinted"), ("mixed", "sampled"), ("hard", "hinted")]
    assert report.dropped == {"too easy": 3, "wrong": 4, "unreadable": 1, "leak: hint": 1}
    assert report.samples == 12 == total(report.kept) + total(report.dropped)
    rows, report = synthesize(cases, RM_R1, msgspec.structs.replace(how, drop_easy=False, hinted=False))
    assert Counter(row.id for row in rows) == {"easy": 3, "mixed": 1}
    assert report.samples == 9 == total(report.kept) + total(report.dropped)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.data())
def test_every_sample_is_kept_or_dropped_for_a_reason(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("texts")
    texts = st.sampled_from([A, B, TOLD, UNREAD, "I lean to [[B]] but"])
    names = [f"c{i}" for i in range(data.draw(st.integers(1, 4)))]
    teacher = scripted(folder, "texts", {(name, k): data.draw(texts) for name in names for k in range(4)})
    method = data.draw(st.sampled_from(["two_pass", "rejection"]))
    how = Synthesis(method=method, teacher=teacher, orders=data.draw(st.sampled_from(["as_is", "balanced"])))
    rows, report = synthesize([case(name, data.draw(st.integers(0, 1))) for name in names], RM_R1, how)
    assert report.samples == total(report.kept) + total(report.dropped)
    assert len(rows) == total(report.kept)


def test_labels_are_the_verdict_alone_in_balanced_orders(tmp_path):
    cases = [case(f"c{i}", best=0) for i in range(200)]
    protocol = make_protocol("verdict_only")
    rows, report = synthesize(cases, protocol, Synthesis(method="labels", seed=3))
    assert report.kept == {"labels": 200} and report.samples == 200
    for item, row in zip(cases, rows, strict=True):
        prompt = protocol.render(item, row.order)
        assert row.completion in prompt.verdicts
        assert agrees(protocol.parse(Completion(row.completion), prompt).outcome, item.gold)
        assert row.messages == prompt.messages
    assert 75 <= sum(row.order == (0, 1) for row in rows) <= 125
    assert synthesize(cases, protocol, Synthesis(method="labels", seed=3))[0] == rows


def test_an_oracle_teaches_any_protocol_and_number_of_candidates():
    for name, n in (("rm_r1", 2), ("rrm", 2), ("deepseek_grm", 3)):
        cases = [item for item in world.make(5, "train", 20, n) if item.gold.count(max(item.gold)) == 1]
        rows, report = synthesize(cases, make_protocol(name), Synthesis(teacher="oracle:"))
        assert report.kept == {"zero_shot": len(cases)} == {"zero_shot": len(rows)}
        assert all(len(row.completion) > 40 for row in rows)


def test_a_single_response_must_get_its_label(tmp_path):
    protocol = make_protocol("deepseek_grm", template="own:single")
    cases = [Case(f"r{i}", PROMPT, ("reply",), (float(i % 2),)) for i in range(4)]
    said = {0: "0", 1: "1", 2: "1", 3: "0"}
    teacher = scripted(tmp_path, "texts", {(f"r{i}", 0): f"Scores: \\boxed{{{x}}}" for i, x in said.items()})
    rows, report = synthesize(cases, protocol, Synthesis(teacher=teacher))
    assert [row.id for row in rows] == ["r0", "r1"]
    assert report.dropped == {"wrong": 4}
    assert "deserves the score 1" in hint(cases[1], (0,), protocol)
    with pytest.raises(BadInput, match="no verdict text"):
        synthesize(cases, protocol, Synthesis(method="labels"))


def test_labels_on_one_side_are_refused_with_their_number_unless_orders_are_balanced():
    cases = [case(f"c{i}", best=0) for i in range(30)]
    with pytest.raises(BadInput, match=r"all 30 cases the best candidate is number 1.*--orders balanced"):
        synthesize(cases, RM_R1, Synthesis(method="labels", orders="as_is"))
    synthesize([*cases, case("other", best=1)], RM_R1, Synthesis(method="labels", orders="as_is"))
    synthesize(cases, RM_R1, Synthesis(method="labels"))


def test_cases_that_teach_nothing_are_counted_and_none_at_all_is_an_error():
    bad = [
        Case("n", PROMPT, ("a", "b")),
        Case("t", PROMPT, ("a", "b"), (1.0, 1.0)),
        case("three", n=3),
        Case("e", PROMPT, ("a", " "), (1.0, 0.0)),
    ]
    _, report = synthesize([*bad, case("good")], RM_R1, Synthesis(method="labels"))
    assert report.skipped == {
        "without gold": 1,
        "without a single best candidate": 1,
        "with 3 candidates": 1,
        "with empty candidates": 1,
    }
    assert (report.cases, report.samples) == (5, 1)
    with pytest.raises(BadInput, match="none of 4 cases can be used: 1 without gold"):
        synthesize(bad, RM_R1, Synthesis(method="labels"))
    with pytest.raises(BadInput, match="no teacher"):
        synthesize([case("good")], RM_R1, Synthesis())
    assert unusable(Case("p", (Message("user", " "),), ("a", "b"), (1.0, 0.0)), RM_R1) == "with an empty prompt"


LEAKS = {
    "hint": ["As the hint says, B wins.", "Following this hint, A.", "the provided hint"],
    "told": ["I was told that B is better.", "We were informed of it", "I'm told B wins"],
    "given verdict": ["The correct verdict is [[A]].", "so the expected judgment is A", "the verdict was given"],
    "as given": ["B is better, as given.", "as stated above, A", "as noted in the instructions", "(as told)"],
    "known to be best": ["B is known to be better", "A, given as the best", "we know that response 2 is the better"],
    "earlier judgment": ["The previous judgement missed this.", "unlike the wrong verdict", "the earlier evaluation"],
    "label": ["the gold label", "agrees with the reference verdict", "The label says B"],
    "note": ["According to the note, A", "the note says so"],
    "bound": ["I must conclude with the verdict [[B]]", "it is supposed to reach this verdict"],
}
INNOCENT = [
    "Response A gives a hint to the user and hints at the answer.",
    "The correct answer is 42, so response B is correct.",
    "The numbers as given in the question add up to 7.",
    "My verdict follows from the evaluation.",
    "The previous answer in the conversation said 3; the earlier message asked for a poem.",
    "B is shown to be better by the quotes.",
    "The user was told to wait; A says he was informed.",
    "The label on the bottle reads 5 ml.",
    "A takes note of the request.",
    "The story must end with a kiss.",
    "We know that 7 is prime.",
    "The right decision for a pilot is to land.",
    "The correct evaluation of the integral is 4; the initial assessment of the patient is missing.",
    "Response 1 evaluates the first derivative correctly.",
]


@pytest.mark.parametrize(("reason", "text"), [(name, text) for name, texts in LEAKS.items() for text in texts])
def test_a_trace_that_mentions_the_hint_is_found(reason, text):
    assert leak(f"<eval>{text}</eval>", "", "") == reason


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_words_are_let_through(text):
    assert leak(f"<eval>{text}</eval>", "", hint(case("x"), (0, 1), RM_R1)) is None


def test_words_of_the_prompt_are_no_leak_and_words_of_the_hint_are():
    assert leak("Judged by the note above.", "Read the note above.", "") is None
    told = hint(case("x"), (0, 1), RM_R1)
    assert leak("B is better, with reasons that the texts give.", "", told) is None
    assert leak("A complete judgment of your own in the form asked for", "", told) == "words of the hint"
    assert all(leak(example.text, "", told) is None for example in RM_R1.examples)

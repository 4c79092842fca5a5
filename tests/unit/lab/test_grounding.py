"""Every line of a lab trace is checked against what the trace stated before it, and none against gold."""

from __future__ import annotations

import random
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.errors import BadInput
from thinkscore.lab import oracle, world
from thinkscore.lab.grounding import findings
from thinkscore.types import Case, Completion, Criterion, Line, Message, Note, Scores, Trace, Verdict

FAMILIES = list(world.FAMILIES)


def judged(family: str, index: int, candidates: int = 2, split: str = "test") -> tuple[Case, tuple[int, ...], Verdict]:
    """Return a case, an order and what the oracle says, in varied wording."""
    case = world.make_case(3, split, index, candidates, family)
    rng = random.Random(index)
    order = tuple(rng.sample(range(candidates), candidates))
    trace, scores = oracle.judge(case, order, rng=rng)
    return case, order, Verdict(case.id, order, Scores(scores), trace, Completion())


def failed(verdict: Verdict, case: Case) -> set[str]:
    return {finding.kind for finding in findings(verdict, case) if finding.ok is not True}


def but(verdict: Verdict, **changes: object) -> Verdict:
    return msgspec.structs.replace(verdict, trace=msgspec.structs.replace(verdict.trace, **changes))


def edited(verdict: Verdict, old: str, new: str) -> Verdict:
    """Return the verdict with the last remark that holds `old` rewritten."""
    notes = list(verdict.trace.evaluation)
    k = max(k for k, note in enumerate(notes) if old in note.text)
    notes[k] = msgspec.structs.replace(notes[k], text=notes[k].text.replace(old, new))
    return but(verdict, evaluation=tuple(notes))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("candidates", "split"), [(2, "test"), (2, "ood"), (1, "train"), (4, "dev")])
def test_nothing_is_wrong_with_a_faithful_trace(family: str, candidates: int, split: str) -> None:
    for index in range(40):
        case, _, verdict = judged(family, index, candidates, split)
        assert failed(verdict, case) == set()


QUESTION = "Plan a party for Mia: the drink must be tea, and the city should be Rome."
CASE = Case(
    "c", (Message("user", QUESTION),), ("The drink is tea, and the city is Oslo.", "The city is Rome."), gold=(9.0, 7.0)
)


def planned(**changes: object) -> Verdict:
    rubric = (Criterion("drink is tea", weight=3.0), Criterion("city is Rome", weight=1.0))
    said = [("drink is tea", "tea tea ok 10"), ("city is Oslo", "Oslo Rome no 9")]
    other = [("drink is missing", "missing tea no 7"), ("city is Rome", "Rome Rome yes 7")]
    notes = tuple(
        Note(text, candidate=i, quote=quote)
        for i, pairs in enumerate((said, other))
        for pair in pairs
        for text, quote in zip(pair, (True, False), strict=True)
    )
    trace = Trace(rubric=rubric, justification=(Line("must is 3, should is 1"),), evaluation=notes)
    return but(Verdict("c", (0, 1), Scores((9.0, 7.0)), trace, Completion()), **changes)


def test_a_plan_by_hand() -> None:
    assert failed(planned(), CASE) == set()


WEIGHED = tuple(planned().trace.rubric)
NOTES = planned().trace.evaluation


def checked(candidate: int, mark: str) -> tuple[Note, Note]:
    """Check the day, which no reply names."""
    return (Note("day is missing", candidate=candidate, quote=True),
            Note(f"missing Monday {mark}", candidate=candidate))  # fmt: skip


TURNED = tuple(msgspec.structs.replace(note, candidate=1 - (note.candidate or 0)) for note in NOTES)
WRONG_PLANS = {
    "wish left out": (planned(rubric=WEIGHED[:1], evaluation=(*NOTES[:2], *NOTES[4:6])), {"covers"}),
    "wish named twice": (planned(rubric=(*WEIGHED, WEIGHED[1])), {"covers"}),
    "something nobody asked for": (planned(rubric=(*WEIGHED, Criterion("day is Monday", weight=1.0))), {"covers"}),
    "something nobody asked for, well checked": (
        planned(
            rubric=(*WEIGHED, Criterion("day is Monday", weight=1.0)),
            evaluation=(*NOTES[:4], *checked(0, "no 8"), *NOTES[4:], *checked(1, "no 6")),
        ),
        {"covers"},
    ),
    "another value": (planned(rubric=(WEIGHED[0], Criterion("city is Lima", weight=1.0))), {"covers", "follows"}),
    "no weight": (planned(rubric=(Criterion("drink is tea"), WEIGHED[1])), {"covers", "numbers"}),
    "weight zero": (planned(rubric=(WEIGHED[0], Criterion("city is Rome", weight=0.0))), {"covers", "numbers"}),
    "mark": (edited(planned(), "Oslo Rome no 9", "Oslo Rome ok 10"), {"follows"}),
    "running score": (edited(planned(), "no 9", "no 7"), {"numbers"}),
    "invented quote": (edited(edited(planned(), "city is Oslo", "city is Rome"), "Oslo Rome no 9", "Rome Rome ok 10"),
                       {"quotes"}),
    "called missing": (edited(edited(planned(), "city is Oslo", "city is missing"), "Oslo Rome", "missing Rome"),
                       {"quotes"}),
    "missing called there": (edited(edited(edited(planned(), "drink is missing", "drink is tea"), "missing tea no 7",
                                           "tea tea ok 10"), "yes 7", "yes 10"), {"quotes"}),
    "quotes of the other": (planned(evaluation=TURNED), {"quotes"}),
    "criteria in another order": (planned(evaluation=(*NOTES[2:4], *NOTES[:2], *NOTES[4:])),
                                  {"covers", "follows", "numbers"}),
    "no evaluation": (planned(evaluation=()), {"covers", "unstated"}),
    "one reply evaluated": (planned(evaluation=NOTES[:4]), {"covers", "unstated"}),
    "no quotes": (planned(evaluation=NOTES[1::2]), {"covers", "follows", "quotes", "numbers"}),
    "prose": (edited(planned(), "Rome Rome yes 7", "fine, so 7"), {"follows"}),
}  # fmt: skip


def settled(verdict: Verdict) -> Verdict:
    """Let the outcome be what the evaluation states, so that only what was planted is wrong."""
    last = {note.candidate: note.text for note in verdict.trace.evaluation if not note.quote}
    scores = tuple(float(re.findall(r"\d+", last.get(i, "0"))[-1]) for i in (0, 1))
    return msgspec.structs.replace(verdict, outcome=Scores(scores))


def kinds_of(verdict: Verdict, case: Case) -> set[str]:
    found = [finding for finding in findings(verdict, case) if finding.kind != "truth"]
    return {finding.kind for finding in found if finding.ok is False} | {"unstated" for f in found if f.ok is None}


@pytest.mark.parametrize(("verdict", "kinds"), WRONG_PLANS.values(), ids=WRONG_PLANS)
def test_wrong_plans_are_found(verdict: Verdict, kinds: set[str]) -> None:
    assert kinds_of(settled(verdict), CASE) == kinds


PROBLEM = "Mia has 6 pears. She buys 3 more. Half of them get lost. How many pears does Mia have now?"
SUM = Case("s", (Message("user", PROBLEM),), ("The answer is 4.", "It is 6 pears."))


def solved(*steps: str, a: str = "4", on_a: str = "4? 0 off, score 10", on_b: str = "4? 2 off, score 8") -> Verdict:
    notes = [(0, a, True), (0, on_a, False), (1, "6", True), (1, on_b, False)]
    trace = Trace(
        solution=tuple(map(Line, steps)),
        evaluation=tuple(Note(text, candidate=i, quote=quote) for i, text, quote in notes if text),
    )
    return settled(Verdict("s", (0, 1), Scores((10.0, 8.0)), trace, Completion()))


STEPS = ("6 + 3 = 9", "9 over 2 is 4")
SOLUTIONS = {
    "right": (solved(*STEPS), set()),
    "a step left out": (solved("6 - 2 = 4"), {"covers"}),
    "the last step left out": (solved(STEPS[0], on_a="9? 5 off, score 5", on_b="9? 3 off, score 7"), {"covers"}),
    "a step too many": (solved(*STEPS, "4 + 0 = 4"), {"covers"}),
    "no solution": (solved(), {"covers", "follows"}),
    "a slip": (solved("6 + 3 = 8", "8 / 2 = 4"), {"numbers"}),
    "not exact": (solved("6 + 3 = 9", "9 / 2 = 5", on_a="5? 1 off, score 9", on_b="5? 1 off, score 9"), {"numbers"}),
    "another start": (solved("7 + 3 = 10", "10 / 2 = 5", on_a="5? 1 off, score 9", on_b="5? 1 off, score 9"),
                      {"follows"}),
    "numbers of its own": (solved("6 + 2 = 8", "8 / 2 = 4"), {"covers"}),
    "no chain": (solved("6 + 3 = 9", "8 / 2 = 4"), {"follows"}),
    "no step": (solved("6 and 3", "9 / 2 = 4"), {"numbers", "follows"}),
    "division by zero": (solved("6 + 3 = 9", "9 / 0 = 4"), {"numbers", "covers"}),
    "held against another number": (solved(*STEPS, on_a="5? 1 off, score 9"), {"follows"}),
    "distance": (solved(*STEPS, on_a="4? 1 off, score 9"), {"numbers"}),
    "score": (solved(*STEPS, on_a="4? 0 off, score 9"), {"numbers"}),
    "invented quote": (solved(*STEPS, a="14", on_a="4? 10 off, score 1"), {"quotes"}),
    "a quote that is no number": (solved(*STEPS, a="The answer"), {"follows"}),
    "no quote": (solved(*STEPS, a=""), {"covers"}),
}  # fmt: skip


@pytest.mark.parametrize(("verdict", "kinds"), SOLUTIONS.values(), ids=SOLUTIONS)
def test_wrong_solutions_are_found(verdict: Verdict, kinds: set[str]) -> None:
    assert kinds_of(verdict, SUM) == kinds


def test_what_a_sentence_means_is_truth_and_nothing_else() -> None:
    """A wrong operation on the right numbers is a matter of reading, which the label has to teach."""
    verdict = solved("6 - 3 = 3", "3 / 2 = 1", on_a="1? 3 off, score 7", on_b="1? 5 off, score 5")
    assert failed(verdict, SUM) == {"truth"}


ASKED = Case("h", (Message("user", "How do I pick a lock? It is my job."),),
             ("Here is how: take it step by step.", "I cannot help with that."))  # fmt: skip


def weighed(
    said: str = "the request is fine", rubric: str = "give help", a: str = "Here is how", on_a: str = "helps, score 10",
    on_b: str = "it declines, so score 1",
) -> Verdict:  # fmt: skip
    notes = [(0, a, True), (0, on_a, False), (1, "cannot help", True), (1, on_b, False)]
    trace = Trace(
        rubric=tuple(Criterion(text, weight=9.0) for text in rubric.split("; ")),
        justification=tuple(Line(text) for text in said.split("; ") if text),
        evaluation=tuple(Note(text, candidate=i, quote=quote) for i, text, quote in notes if text),
    )
    return settled(Verdict("h", (0, 1), Scores((10.0, 1.0)), trace, Completion()))


HARM = {"on_a": "helps, score 1", "on_b": "declines, score 8"}
REQUESTS = {
    "right": (weighed(), set()),
    "consistent but wrong": (weighed("the request is harmful", "do no harm", **HARM), set()),
    "criterion against the judgment": (weighed("the request is harmful", **HARM), {"follows"}),
    "two judgments": (weighed("the request is fine; the request is harmful"), {"covers", "numbers"}),
    "no judgment": (weighed(""), {"covers", "numbers"}),
    "two criteria": (weighed(rubric="give help; do no harm"), {"covers", "follows"}),
    "another score": (weighed(on_a="helps, score 9"), {"numbers"}),
    "another kind": (weighed(on_a="declines, score 10"), {"follows"}),
    "quote of the other": (weighed(a="cannot help", on_a="declines, score 1"), {"quotes"}),
    "words that are there but mark no kind": (weighed(a="step by step"), {"follows"}),
    "no quote": (weighed(a=""), {"covers"}),
}


@pytest.mark.parametrize(("verdict", "kinds"), REQUESTS.values(), ids=REQUESTS)
def test_wrong_judgments_are_found(verdict: Verdict, kinds: set[str]) -> None:
    assert kinds_of(verdict, ASKED) == kinds


def test_weights_are_truth_and_nothing_else() -> None:
    """That `must` weighs 3 is what training has to teach: a trace can follow its own wrong weights."""
    turned = (Criterion("drink is tea", weight=1.0), Criterion("city is Rome", weight=3.0))
    verdict = planned(rubric=turned)
    for old, new in (("no 9", "no 7"), ("no 7", "no 9"), ("yes 7", "yes 9")):
        verdict = edited(verdict, old, new)
    notes = [note.text for note in verdict.trace.evaluation]
    assert notes[3] == "Oslo Rome no 7"
    assert notes[5] == "missing tea no 9"
    verdict = msgspec.structs.replace(verdict, outcome=Scores((7.0, 9.0)))
    assert failed(verdict, CASE) == {"truth"}


@pytest.mark.parametrize("outcome", [Scores((9.0, 8.0)), Scores((7.0, 9.0))])
def test_a_verdict_against_its_own_scores_does_not_follow(outcome: Scores) -> None:
    assert failed(msgspec.structs.replace(planned(), outcome=outcome), CASE) == {"follows"}


def test_spans_lead_to_the_line() -> None:
    case, _, verdict = judged("reasoning", 5)
    line = msgspec.structs.replace(verdict.trace.solution[1], text="1 + 1 = 3", span=(7, 16))
    solution = (verdict.trace.solution[0], line, *verdict.trace.solution[2:])
    assert (7, 16) in {finding.span for finding in findings(but(verdict, solution=solution), case) if not finding.ok}


def test_other_cases_are_refused() -> None:
    with pytest.raises(BadInput, match="not a lab case"):
        findings(planned(), Case("x", (Message("user", "What is 2 + 2?"),), ("4", "5")))


USUAL = {
    r"^it (\w+), so score": r"\1, score", r" yes (\d+)$": r" ok \1", r" miss (\d+)$": r" no \1", " is ": " = ",
    "plus": "+", "minus": "-", "times": "*", "over": "/",
}  # fmt: skip


def canonical(text: str) -> str:
    """Undo the rewordings of a remark or a step."""
    for pattern, usual in USUAL.items():
        text = re.sub(pattern, usual, text)
    return text


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FAMILIES), st.integers(0, 400), st.randoms(use_true_random=False))
def test_a_changed_remark_is_found_if_and_only_if_it_no_longer_follows(
    family: str, index: int, rng: random.Random
) -> None:
    """Held against the oracle, which carries the trace on from just before the changed line."""
    case, order, verdict = judged(family, index)
    notes = list(verdict.trace.evaluation)
    k = rng.choice([k for k, note in enumerate(notes) if not note.quote])
    words = notes[k].text.split(" ")
    place = rng.randrange(len(words))
    pool = [word for note in notes for word in note.text.split(" ")] + ["ok", "no", "0", "1", "9", "10", "harmful"]
    words[place] = rng.choice(pool)
    notes[k] = msgspec.structs.replace(notes[k], text=" ".join(words), span=(1, 2))
    changed = but(verdict, evaluation=tuple(notes))
    same = [n for n, note in enumerate(notes) if note.candidate == notes[k].candidate]
    before = msgspec.structs.replace(verdict.trace, evaluation=tuple(notes[n] for n in same if n < k))
    due, _ = oracle.judge(case, order, before)
    expected = [note for note in due.evaluation if note.candidate == notes[k].candidate][same.index(k)]
    wrong = any(finding.ok is False for finding in findings(changed, case) if finding.span == (1, 2))
    assert wrong == (canonical(" ".join(words)) != canonical(expected.text)), (words, expected.text)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 400), st.randoms(use_true_random=False))
def test_a_changed_step_is_found_if_and_only_if_it_is_not_the_next(index: int, rng: random.Random) -> None:
    case, order, verdict = judged("reasoning", index)
    lines = list(verdict.trace.solution)
    k = rng.randrange(len(lines))
    words = lines[k].text.split(" ")
    words[rng.randrange(len(words))] = rng.choice([*lines[k].text.split(" "), "+", "times", "7", "2", "x"])
    lines[k] = Line(" ".join(words), (1, 2))
    started = Trace(solution=verdict.trace.solution[:k])
    expected = oracle.judge(case, order, started)[0].solution[k].text
    found = [f for f in findings(but(verdict, solution=tuple(lines)), case) if f.span == (1, 2)]
    wrong = any(not finding.ok for finding in found)
    assert wrong == (canonical(" ".join(words)) != canonical(expected)), (words, expected)

"""General checks on a trace: what follows, what was quoted, what comes out, what is covered."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.grounding import Finding, coverage, equations, findings, follows, implied, numbers, quotes, stands, tied
from thinkscore.plugins import load, names
from thinkscore.protocols._base import Protocol
from thinkscore.types import (
    Anchor,
    Case,
    Completion,
    Criterion,
    Failure,
    Line,
    Message,
    Note,
    Outcome,
    Scores,
    Tie,
    Trace,
    Verdict,
    Winner,
)

CASE = Case(
    "c", (Message("user", "How many pears are left?"),), ("Ana has 14 pears. It’s done.", "She has 4.5 pears, not 4."),
)  # fmt: skip


FIRST = Winner(0)


def verdict(outcome: Outcome = FIRST, order: tuple[int, ...] = (0, 1), **sections: object) -> Verdict:
    return Verdict("c", order, outcome, Trace(**sections), Completion())  # type: ignore[arg-type]


def said(*texts: str) -> tuple[Note, ...]:
    """One remark on each candidate."""
    return tuple(Note(text, candidate=i) for i, text in enumerate(texts))


# ---- follows

STATED = {
    "score": ("clear, score 9", 9.0),
    "score of": ("a score of 7 for this", 7.0),
    "score is": ("Its score is 3.5.", 3.5),
    "scores": ("scores: 6", 6.0),
    "markdown": ("**Score:** 8", 8.0),
    "rating": ("Rating = 4", 4.0),
    "of ten": ("fine, 8/10", 8.0),
    "of five": ("fine, 4/5", 8.0),
    "of a hundred": ("87/100 overall", 8.7),
    "in words": ("7 out of 10", 7.0),
    "score of five": ("score 4/5", 8.0),
    "points": ("loses here, 6 points", 6.0),
    "a running score": ("Oslo Rome no 7", 7.0),
    "the last of several": ("score 3 on tone, but score 8", 8.0),
    "a number alone": ("the answer is 42", None),
    "a fraction": ("eats 3/4 of it", None),
    "a date": ("on 5/10/2020", None),
    "a word in a word": ("it underscores 9", None),
    "nothing": ("fine", None),
}


@pytest.mark.parametrize(("text", "score"), STATED.values(), ids=STATED)
def test_scores_are_read_as_stated(text: str, score: float | None) -> None:
    due = implied(verdict(evaluation=said(text, "score 1")))
    assert due == (None if score is None else Scores((score, 1.0)))


def test_a_quote_states_no_score() -> None:
    assert implied(
        verdict(evaluation=(*said("score 9", "score 8"), Note("score 1", candidate=0, quote=True)))
    ) == Scores((9.0, 8.0))


def test_levels_are_summed_up_with_their_weights() -> None:
    rubric = (
        Criterion("right", weight=3.0, met=(1.0, 0.5)),
        Criterion("kind", weight=1.0, met=(0.0, None)),
        Criterion("harm", weight=-2.0, met=(0.5, 0.0)),
    )
    due = implied(verdict(rubric=rubric))
    assert due is not None
    assert due.scores == pytest.approx(((3 - 1) / 4, 1.5 / 3))


FOLLOWS = {
    "winner": (Winner(0), ("score 9", "score 4"), True),
    "the other": (Winner(1), ("score 9", "score 4"), False),
    "a tie as a win": (Winner(0), ("score 9", "score 9"), False),
    "a tie": (Tie(), ("score 9", "9/10"), True),
    "no tie": (Tie(), ("score 9", "8/10"), False),
    "scores": (Scores((9.0, 4.0)), ("score 9", "score 4"), True),
    "rounded": (Scores((9.0, 4.0)), ("score 8.5", "score 4"), True),
    "another score": (Scores((9.0, 2.0)), ("score 9", "score 4"), False),
    "unstated": (Winner(0), ("score 9", "worse"), None),
}


@pytest.mark.parametrize(("outcome", "texts", "ok"), FOLLOWS.values(), ids=FOLLOWS)
def test_a_verdict_is_held_against_the_stated_scores(outcome: Outcome, texts: tuple[str, str], ok: bool | None) -> None:
    assert [finding.ok for finding in follows(verdict(outcome, evaluation=said(*texts)))] == [ok]


@pytest.mark.parametrize(
    ("texts", "expected"), [(("8/10", "8/10"), True), (("8/10", "7/10"), False), (("8", "?"), False)]
)
def test_a_winner_among_equals_is_a_tie_that_was_broken(texts: tuple[str, str], expected: bool) -> None:
    assert tied(verdict(Winner(1), evaluation=said(*texts))) is expected
    assert tied(verdict(Tie(), evaluation=said(*texts))) is False


def test_summed_levels_are_held_against_exactly() -> None:
    rubric = (Criterion("right", weight=1.0, met=(1.0, 0.7)),)
    for score, ok in ((0.7, True), (0.75, False)):
        assert [f.ok for f in follows(verdict(Scores((1.0, score)), rubric=rubric))] == [ok]


def test_only_what_was_shown_is_compared() -> None:
    shown = verdict(Winner(2), (2, 0), evaluation=(Note("score 3", candidate=0), Note("score 5", candidate=2)))
    assert [finding.ok for finding in follows(shown)] == [True]


def test_a_failure_follows_from_nothing() -> None:
    assert follows(verdict(Failure("no_verdict"))) == []


# ---- quotes

STANDS = {
    "as it is": ("Ana has 14", True),
    "case and spaces": ("ANA  has\n14", True),
    "typographic signs": ("It's done", True),
    "entity": ("It&#8217;s done", True),
    "markdown": ("**Ana** has 14", True),
    "ellipsis": ("Ana ... done", True),
    "ellipsis in brackets": ("Ana […] pears", True),
    "ellipsis out of order": ("done ... Ana", False),
    "one part twice": ("Ana ... Ana", False),
    "ellipsis within a word": ("An... pears", False),
    "a digit inside a number": ("4", False),
    "a sign that is not there": ("-14", False),
    "part of a word": ("pear", False),
    "a word put in": ("Ana has just 14", False),
    "never said": ("Ana has 15", False),
    "marks alone": ("?!", False),
}


@pytest.mark.parametrize(("quote", "found"), STANDS.values(), ids=STANDS)
def test_quotes_are_looked_for_as_whole_words(quote: str, found: bool) -> None:
    assert stands(quote, CASE.candidates[0]) is found


@pytest.mark.parametrize(
    ("quote", "text", "found"),
    [
        ("4", "has 4.5", False),
        ("4.5", "has 4.5, or so", True),
        ("a == b", "if a != b:", False),
        ("a != b", "if a != b:", True),
        ("x = 1", "x=1", True),
        ("5", "it is -5", False),
        ("1,000", "1,000 of them", True),
        ("?!", "what?!", True),
        ("...", "wait...", False),
    ],
)
def test_numbers_and_code_are_not_cut(quote: str, text: str, found: bool) -> None:
    assert stands(quote, text) is found


def quoted(text: str, candidate: int | None = 0) -> Finding:
    (finding,) = quotes(verdict(evaluation=(Note(text, (3, 9), candidate, True),)), CASE)
    assert finding.span == (3, 9)
    assert finding.candidate == candidate
    return finding


def test_a_quote_of_the_other_is_told_as_such() -> None:
    assert quoted("14 pears") == Finding("quotes", True, 0, (3, 9))
    assert quoted("14 pears", 1) == Finding("quotes", False, 1, (3, 9), "stands in candidate 0")
    assert quoted("15 pears").detail == "stands in no candidate"
    assert quoted("14 pears", None).ok is True


@pytest.mark.parametrize(
    ("quote", "ok"),
    [("has", None), ("14", None), ("has 14", None), ("14 pears", True), ("Ana", None), ("Ana has 14", True)],
)
def test_one_word_or_words_that_stand_everywhere_say_too_little(quote: str, ok: bool | None) -> None:
    assert quoted(quote).ok is ok


@pytest.mark.parametrize(
    ("reply", "quote", "ok"),
    [("It is 4.", "4", True), ("It is 4.", "is", None), ("4 = 4", "= 4", True), ("!?", "!?", True),
     ("sum 4", "4", None), ("梨剩下四个。很多", "梨剩下四个", True)],
)  # fmt: skip
def test_all_that_a_short_reply_says_is_enough(reply: str, quote: str, ok: bool | None) -> None:
    case = Case("c", CASE.messages, (reply, "no"))
    (finding,) = quotes(verdict(evaluation=(Note(quote, candidate=0, quote=True),)), case)
    assert finding.ok is ok


def test_anchors_can_be_quoted() -> None:
    case = Case("c", CASE.messages, CASE.candidates, anchors=(Anchor("Nine pears."),))
    found = quotes(verdict(order=(0, 2), evaluation=(Note("nine pears", candidate=2, quote=True),)), case)
    assert [finding.ok for finding in found] == [True]


# ---- numbers

SUMS = {
    "plus": ("7 + 5 = 12", [True]),
    "wrong": ("7 + 5 = 13", [False]),
    "words": ("so 9 minus 2 is 7.", [True]),
    "over": ("9 over 2 is 4", [False]),
    "exact half": ("9 / 2 = 4.5", [True]),
    "precedence": ("2 + 3 * 4 = 14", [True]),
    "brackets": ("(2 + 3) * 4 = 20", [True]),
    "chain": ("3 + 4 = 7 = 14 / 2", [True, True]),
    "running chain": ("3 + 4 = 7 + 2 = 9", [True, True]),
    "broken chain": ("3 + 4 = 8 + 2 = 10", [False, True]),
    "rounded": ("10 / 3 = 3.33", [True]),
    "badly rounded": ("10 / 3 = 3.34", [False]),
    "rounded to a whole": ("10 / 3 = 3", [False]),
    "thousands": ("$1,200 + $300 = $1,500", [True]),
    "percent": ("50% * 30 = 15", [True]),
    "negative": ("3 - 5 = -2", [True]),
    "signs": ("6 × 7 = 42 and 8 ÷ 2 = 5", [True, False]),
    "latex": (r"6 \times 7 = 42", [True]),
    "by zero": ("5 / 0 = 0", [False]),
    "leading zeros": ("007 + 1 = 8", [True]),
    "dash after": ("2 + 2 = 5 - so it is wrong", [False]),
    "sentence end": ("It is 2 + 2 = 4. Then 4 * 2 = 9.", [True, False]),
    "equality of numbers alone": ("5 = 5", []),
    "a letter": ("2x + 3 = 7, x + 2 + 3 = 9", []),
    "more behind": ("2 + 3 = 5 + x", []),
    "a factor behind": ("2 + 3 = 5x", []),
    "power": ("3^2 + 1 = 10", []),
    "function": ("f(2) + 3 = 7", []),
    "a time": ("10:30 + 2 = 12:30", []),
    "a range": ("pages 3-4 are good", []),
    "not equal": ("2 + 2 != 5", []),
    "what somebody said": ('it says "2 + 2 = 5" there', []),
}


@pytest.mark.parametrize(("text", "oks"), SUMS.values(), ids=SUMS)
def test_equations_are_worked_out(text: str, oks: list[bool]) -> None:
    assert [equation.ok for equation in equations(text)] == oks


@given(st.integers(-999, 999), st.sampled_from("+-*"), st.integers(0, 999), st.integers(-3, 3))
def test_whole_numbers_come_out_as_in_python(a: int, sign: str, b: int, slip: int) -> None:
    due = {"+": a + b, "-": a - b, "*": a * b}[sign]
    (equation,) = equations(f"so {a} {sign} {b} = {due + slip}")
    assert equation.due == due
    assert equation.ok == (slip == 0)


@given(st.decimals(0, 99, places=2), st.decimals(1, 99, places=2), st.integers(1, 4))
def test_quotients_may_be_rounded_and_nothing_else(a: object, b: object, places: int) -> None:
    quotient = float(str(a)) / float(str(b))
    (equation,) = equations(f"{a} / {b} = {quotient:.{places}f}")
    assert equation.ok
    (equation,) = equations(f"{a} / {b} = {quotient + 1.02 * 10**-places:.{places}f}")
    assert not equation.ok


def test_numbers_are_found_in_every_section_but_quotes() -> None:
    trace = verdict(
        solution=(Line("7 + 5 = 13", (10, 20)),),
        evaluation=(Note("so 1 + 1 = 3", (30, 42), 1), Note("2 + 2 = 5", candidate=1, quote=True)),
    )
    assert numbers(trace, CASE) == [
        Finding("numbers", False, None, (10, 20), "'7 + 5 = 13': the left side is 12"),
        Finding("numbers", False, 1, (33, 42), "'1 + 1 = 3': the left side is 2"),
    ]


def test_a_wrong_sum_of_the_case_may_be_told() -> None:
    case = Case("c", (Message("user", "Is 2 + 2 = 5?"),), ("yes", "no"))
    found = numbers(verdict(evaluation=said("it says 2 + 2 = 5", "but 2 + 3 = 6")), case)
    assert [finding.ok for finding in found] == [None, False]


# ---- covers

RUBRIC = (Criterion("names every ingredient", (1, 5), 3.0), Criterion("friendly tone", (6, 9), 1.0))


STEPS = (Line("14 - 4 = 10"), Line("10 / 2 = 5"))


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"solution": STEPS}, True),
        ({"solution": (Line("Ana starts with 14. Then 4 are eaten."),)}, True),
        ({"solution": STEPS[:1]}, False),
        ({"solution": STEPS[:1] * 2}, False),
        ({"solution": (Line("x"), Line("y"))}, False),
        ({"rubric": (Criterion("accuracy"), Criterion("clarity"))}, True),
        ({"rubric": (Criterion("right sum"),)}, True),
        ({"rubric": (Criterion("sum", weight=1.0),)}, False),
        ({"rubric": (Criterion("sum", weight=1.0, met=(1.0, 0.0)),)}, True),
        ({}, False),
    ],
)
def test_what_candidates_are_held_against_must_be_said(sections: dict[str, object], told: bool) -> None:
    found = coverage(verdict(evaluation=said("right sum, accuracy, clarity", "no"), **sections))
    assert any(f.detail.startswith("neither criteria") for f in found) is not told


def covered(*texts: str, **sections: object) -> list[bool | None]:
    return [f.ok for f in coverage(verdict(evaluation=said(*texts), **sections))]


def test_each_criterion_is_looked_for_in_each_evaluation() -> None:
    assert covered("all ingredients, friendly", "no ingredient, but friendly", rubric=RUBRIC) == [True] * 4
    assert covered("all ingredients", "friendly", rubric=RUBRIC) == [True, False, False, True]


def test_as_many_notes_as_criteria_may_cover_them_in_other_words() -> None:
    notes = (Note("lists all", candidate=0), Note("warm", candidate=0), *said("", "curt")[1:])
    assert [f.ok for f in coverage(verdict(rubric=RUBRIC, evaluation=notes))] == [None, None, False, False]


def test_a_note_that_names_its_criterion_covers_it() -> None:
    notes = tuple(Note("yes", candidate=i, criterion=k) for i in (0, 1) for k in (0, 1))
    assert {f.ok for f in coverage(verdict(rubric=RUBRIC, evaluation=notes))} == {True}


def test_a_remark_on_none_in_particular_counts_for_both() -> None:
    notes = (*said("fine", "poor"), Note("both name the ingredients in a friendly way"))
    assert {f.ok for f in coverage(verdict(rubric=RUBRIC, evaluation=notes))} == {True}


def test_a_candidate_without_evaluation_is_found() -> None:
    (finding,) = (f for f in coverage(verdict(solution=STEPS, evaluation=said("fine"))) if not f.ok)
    assert finding == Finding("covers", False, 1, detail="is not evaluated")


def test_no_evaluation_at_all_is_unstated_and_no_reasoning_is_wrong() -> None:
    assert [f.ok for f in coverage(verdict(thinking=(Line("hm"),)))] == [None, None, None]
    assert [f.ok for f in coverage(verdict())] == [False]


# ---- all together

PROTOCOLS = [load("protocols", name, Protocol)() for name in names("protocols") if name != "scalar"]  # type: ignore[type-abstract]
pieces = st.lists(
    st.sampled_from(
        [*"0123456789+-*/=()%$.,:;\"“”’…[]{}<>\\ \n", "14", " is ", " plus ", "score ", "8/10", " points", "...",
         "Ana has",
         "<eval>", "</eval>", "<quote_A>", "</quote_A>", "<summary_B>", "</summary_B>", "<rubric>", "</rubric>", "(3)",
         "Response 1: ", "Assistant 2: ", "Analysis:\n", "Specific Criteria:\n", "<answer>[[A]]</answer>",
         "\\boxed{Assistant 1}", "Scores: \\boxed{8, 5}", "task, Response 1: [[2]]"]
    ),
    max_size=60,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PROTOCOLS), st.booleans(), pieces)
def test_nothing_raises_and_spans_lie_in_the_text(protocol: Protocol, turned: bool, parts: list[str]) -> None:
    text = "".join(parts)
    read = protocol.parse(Completion(text), protocol.render(CASE, (1, 0) if turned else (0, 1)))
    for finding in findings(read, CASE):
        assert 0 <= finding.span[0] <= finding.span[1] <= len(text)
        assert (finding.detail == "") == (finding.ok is True)


def test_long_texts_take_no_time() -> None:
    """Repetition is what a policy that has run away writes."""
    for text in ("1 + " * 20_000, "1 = " * 20_000, "((((" * 20_000, "1 is " * 20_000 + "x", "score " * 20_000):
        list(equations(text))
        implied(verdict(evaluation=said(text, text)))
        stands(text, text[:-1])

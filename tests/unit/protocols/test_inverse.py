"""`write` and `parse` are inverses, in any order of candidates, and spans point at what they name."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.errors import BadInput
from thinkscore.lab import oracle, world
from thinkscore.plugins import load, names
from thinkscore.protocols._base import Protocol
from thinkscore.types import Case, Completion, Criterion, Failure, Line, Message, Note, Scores, Tie, Trace, Winner

PAIRWISE = ("rm_r1", "rm_r1_think", "rrm", "verdict_only", "deepseek_pairwise")
# What a person may write: letters, digits, light punctuation; no tags, quotes, boxes or separators of the formats.
texts = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ,.'+*=/&$-]{0,30}[A-Za-z0-9]", fullmatch=True).filter(
    lambda text: not text.startswith(("Assistant ", "Response ")) and text == text.strip()
)
lines = st.lists(texts.map(Line), max_size=4).map(tuple)
weights = st.none() | st.integers(1, 100).map(float)
criteria = st.lists(st.builds(Criterion, texts, weight=weights), max_size=4).map(tuple)


def notes(n):
    """Notes on each of n candidates, in their order."""
    one = st.tuples(texts, st.booleans())
    return st.tuples(*[st.lists(one, max_size=3)] * n).map(numbered)


def numbered(groups):
    return tuple(Note(text, candidate=i, quote=quote) for i, group in enumerate(groups) for text, quote in group)


def case_of(n):
    return Case("c", (Message("user", "which?"),), tuple(f"reply {i}" for i in range(n)))


def check(name, outcome, trace, order):
    protocol = load("protocols", name, Protocol)()
    prompt = protocol.render(case_of(len(order)), order)
    text = protocol.write(outcome, trace, order)
    verdict = protocol.parse(Completion(text), prompt)
    assert verdict.outcome == outcome
    assert verdict.trace.unplaced() == trace
    for line in verdict.trace.lines():
        assert text[slice(*line.span)].startswith(line.text)
    assert protocol.write(verdict.outcome, verdict.trace, order) == text


pair_orders = st.permutations([0, 1]).map(tuple)
sides = st.sampled_from([Winner(0), Winner(1)])


@given(pair_orders, sides, criteria.filter(bool), lines, notes(2), lines)
def test_rm_r1_chat(order, outcome, rubric, justification, evaluation, thinking):
    check("rm_r1", outcome, Trace(Line("Chat"), thinking, rubric, justification, (), evaluation), order)


@given(pair_orders, sides, lines, notes(2))
def test_rm_r1_reasoning(order, outcome, solution, evaluation):
    check("rm_r1", outcome, Trace(Line("Reasoning"), solution=solution, evaluation=evaluation), order)


@given(pair_orders, sides, lines, notes(2))
def test_rm_r1_think(order, outcome, thinking, evaluation):
    check("rm_r1_think", outcome, Trace(thinking=thinking, evaluation=evaluation), order)


@given(pair_orders, sides, lines, notes(2))
def test_rrm(order, outcome, thinking, evaluation):
    check("rrm", outcome, Trace(thinking=thinking, evaluation=evaluation), order)


@given(st.integers(1, 6).flatmap(lambda n: st.tuples(st.permutations(range(n)), notes(n))), criteria, lines, st.data())
def test_deepseek_grm(shape, rubric, thinking, data):
    order, evaluation = shape
    scores = data.draw(st.lists(st.integers(1, 10).map(float), min_size=len(order), max_size=len(order)))
    trace = Trace(thinking=thinking, rubric=rubric, evaluation=evaluation)
    check("deepseek_grm", Scores(tuple(scores)), trace, tuple(order))


@given(pair_orders, sides)
def test_verdict_only(order, outcome):
    check("verdict_only", outcome, Trace(), order)


def takes_any_whole_score(name):
    """Tell whether a protocol can write what the oracle thinks; a rubric has only the sums of its own levels."""
    outcome = Winner(0) if name in PAIRWISE else Scores((7.0, 3.0))
    try:
        return bool(load("protocols", name, Protocol)().write(outcome, Trace(), (0, 1)))
    except BadInput:
        return False


@pytest.mark.parametrize("name", [name for name in names("protocols") if takes_any_whole_score(name)])
def test_the_oracle_speaks_every_protocol(name):
    protocol = load("protocols", name, Protocol)()
    for case in world.make(2, "ood", 150):
        order = tuple(random.Random(case.id).sample((0, 1), 2))
        trace, scores = oracle.judge(case, order, rng=random.Random(case.id))
        outcome = Winner(scores.index(max(scores))) if name in PAIRWISE else Scores(scores)
        verdict = protocol.parse(Completion(protocol.write(outcome, trace, order)), protocol.render(case, order))
        assert verdict.outcome == outcome
        if name not in ("verdict_only", "scalar"):  # these write no reasons
            assert list(verdict.trace.unplaced().evaluation) == list(trace.evaluation)
            assert oracle.understood(verdict.trace).unplaced().solution == trace.solution


@pytest.mark.parametrize("name", PAIRWISE)
@pytest.mark.parametrize("outcome", [Tie(), Failure("no_verdict"), Scores((1.0, 2.0)), Winner(2)])
def test_a_pairwise_protocol_writes_winners_only(name, outcome):
    with pytest.raises(BadInput):
        load("protocols", name, Protocol)().write(outcome, Trace(), (0, 1))


@pytest.mark.parametrize("scores", [(0.0, 5.0), (11.0, 5.0), (7.5, 5.0), (None, 5.0)])
def test_deepseek_grm_writes_whole_scores_only(scores):
    with pytest.raises(BadInput):
        load("protocols", "deepseek_grm", Protocol)().write(Scores(scores), Trace(), (0, 1))

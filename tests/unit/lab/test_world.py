"""The world's promises: fixed by its seed, split by its questions, styled as stated, readable by its own oracle."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.errors import BadInput
from thinkscore.lab import corpus, oracle, styles, world
from thinkscore.types import Trace

SPLITS = ("train", "dev", "test", "ood")
seeds = st.integers(0, 2**40)


def question_key(case):
    reading = oracle.read(case)
    return reading.family.canonical(reading.facts)


def test_a_case_depends_on_its_seed_and_number_alone():
    few, many = list(world.make(3, "test", 5)), list(world.make(3, "test", 40))
    assert many[:5] == few
    assert list(world.make(4, "test", 5)) != few
    assert len({case.id for case in many}) == 40


def test_no_question_of_one_split_occurs_in_another_split_of_any_seed():
    held = {question_key(case) for split in ("test", "ood") for seed in (1, 2) for case in world.make(seed, split, 999)}
    dev = {question_key(case) for case in world.make(5, "dev", 1000)}
    train = {question_key(case) for seed in (3, 4) for case in world.make(seed, "train", 3000)}
    assert not held & train
    assert not dev & train
    assert not dev & held


def test_training_documents_hold_questions_of_the_training_split_only():
    def show(case, rng):
        assert world.split_of(question_key(case)) == "train"
        text = "\n".join((case.messages[0].content, *case.candidates))
        return corpus.Shown(text, lambda candidate, quote, said: f"{candidate} {quote} {said}")

    for index in range(1500):
        text = "".join(corpus.document(8, index, show))
        first = text.split("\n")[0]
        for family in world.FAMILIES.values():
            facts = family.read(first)
            if facts is not None:
                assert world.split_of(family.canonical(facts)) == "train", text


@given(seeds, st.sampled_from(SPLITS), st.integers(1, 32))
def test_the_oracle_reads_the_gold_and_writes_a_trace_that_implies_it(seed, split, candidates):
    case = world.make_case(seed, split, 0, candidates)
    order = random.Random(seed).sample(range(candidates), candidates)
    trace, scores = oracle.judge(case, order, rng=random.Random(seed))
    assert scores == case.gold
    assert all(1 <= score <= 10 for score in case.gold)
    for note in trace.evaluation:
        if note.quote:
            assert note.text in case.candidates[note.candidate].replace("The ", "the ")


@given(seeds, st.sampled_from(("train", "test")))
def test_pairs_have_one_better_reply_and_hide_nothing_from_the_reader(seed, split):
    case = world.make_case(seed, split, 0, 2)
    assert case.gold[0] != case.gold[1]
    assert set(case.tags) == {"family", "difficulty", "level"}


@given(seeds, st.sampled_from(("train", "ood")))
def test_a_started_trace_is_carried_on_as_it_stands(seed, split):
    case = world.make_case(seed, split, 0, 2)
    trace, scores = oracle.judge(case, (1, 0))
    assert oracle.judge(case, (1, 0), trace) == (trace, scores)
    for started in oracle.corruptions(case, trace, (1, 0)):
        carried, _ = oracle.judge(case, (1, 0), started)
        assert carried.rubric[: len(started.rubric)] == started.rubric or not started.rubric
        assert carried.solution[: len(started.solution)] == started.solution
        assert set(started.evaluation) <= set(carried.evaluation)


def test_an_error_in_a_step_reaches_the_verdict():
    cases = [case for case in world.make(9, "test", 200) if case.tags["family"] == "reasoning"]
    turned = 0
    for case in cases:
        trace, scores = oracle.judge(case, (0, 1))
        for started in oracle.corruptions(case, trace, (0, 1)):
            _, after = oracle.judge(case, (0, 1), started)
            turned += (after[0] > after[1]) != (scores[0] > scores[1])
    assert turned > len(cases)


def test_a_reworded_line_says_the_same():
    said = {
        "13 - 5 = 8": "13 minus 5 is 8",
        "tea tea ok 10": "tea tea yes 10",
        "declines, score 8": "it declines, so score 8",
    }
    for usual, other in said.items():
        assert oracle.reworded(oracle.Line(usual)).text == other
    assert oracle.reworded(oracle.Line("the request is fine")) is None


@pytest.mark.parametrize(("split", "shares"), [("train", styles.TRAIN_SHARES), ("test", (1 / 3, 1 / 3, 1 / 3))])
def test_style_agrees_with_gold_as_often_as_stated(split, shares):
    counts = Counter(case.tags["difficulty"] for case in world.make(6, split, 1500))
    for difficulty, share in zip(styles.DIFFICULTIES, shares, strict=True):
        assert abs(counts[difficulty] / 1500 - share) < 0.04


def test_easy_pairs_dress_the_better_reply_and_hard_pairs_the_worse():
    for case in world.make(7, "test", 300):
        pleasant = [len(reply) for reply in case.candidates]
        bare = world.make_case(7, "test", int(case.id.rsplit("-", 1)[1]))
        assert bare == case
        styled = [any(phrase in reply for phrase in (*styles.OPENINGS, *styles.CLOSINGS)) for reply in case.candidates]
        better = case.gold.index(max(case.gold))
        if case.tags["difficulty"] == "normal":
            assert styled[0] == styled[1], pleasant
        else:
            assert styled[better] == (case.tags["difficulty"] == "easy")
            assert styled[1 - better] == (case.tags["difficulty"] == "hard")


def test_out_of_distribution_cases_use_style_that_training_never_shows():
    phrases = (*styles.OOD_OPENINGS, *styles.OOD_CLOSINGS)
    ood = [reply for case in world.make(1, "ood", 200) for reply in case.candidates]
    train = [reply for case in world.make(1, "train", 500) for reply in case.candidates]
    assert any(phrase in reply for reply in ood for phrase in phrases)
    assert not any(phrase in reply for reply in train for phrase in phrases)


def test_bad_wishes_are_named():
    with pytest.raises(BadInput, match="accepted: train, dev, test, ood"):
        world.make(0, "valid", 1)
    with pytest.raises(BadInput, match="accepted: 1 to 32"):
        world.make(0, "test", 1, 33)
    other = oracle.Case("x", (oracle_message("Hello?"),), ("a", "b"))
    with pytest.raises(BadInput, match="not a lab case"):
        oracle.judge(other, (0, 1), Trace())


def oracle_message(text):
    from thinkscore.types import Message

    return Message("user", text)


def test_style_free_cases_ask_the_same_and_are_dressed_without_regard_to_worth():
    biased, free = list(world.make(6, "train", 3000)), list(world.make(6, "train", 3000, style="free"))
    assert not {case.id for case in biased} & {case.id for case in free}
    assert [case.gold for case in free] == [case.gold for case in biased]
    assert [question_key(case) for case in free] == [question_key(case) for case in biased]
    for cases, wanted in ((biased, (0.56, 0.30, 0.14)), (free, (0.35, 0.30, 0.35))):
        counts = Counter(case.tags["difficulty"] for case in cases)
        assert [counts[name] / 3000 for name in styles.DIFFICULTIES] == pytest.approx(wanted, abs=0.03)


def test_style_free_cases_of_many_replies_dress_each_of_them_alike():
    dressed = Counter()
    for seed in range(2000):
        wanted, difficulty = styles.dressed_freely((7, 1, 4), random.Random(seed))
        dressed.update(i for i, pleasant in enumerate(wanted) if pleasant)
        if sum(wanted) == 2:
            spare = (7, 1, 4)[wanted.index(False)]
            assert difficulty == {7: "hard", 1: "easy", 4: "normal"}[spare]
    assert max(dressed.values()) - min(dressed.values()) < 120


def test_an_unknown_style_is_refused():
    with pytest.raises(BadInput, match="unknown style 'fancy'; accepted: biased, free"):
        world.make(0, "train", 1, style="fancy")

"""Exact edits of lab pairs: gold after them is what the world says, and as little changes as will do."""

from __future__ import annotations

import random

import msgspec
import pytest

from thinkscore.lab import edits, oracle, world
from thinkscore.types import Case, Message

CASES = [world.make_case(51, split, i) for split in ("test", "ood") for i in range(150)]


def scores(case: Case) -> list[int]:
    family, facts, answers = oracle.read(case)
    return [family.score(facts, answer) for answer in answers]


@pytest.mark.parametrize("edit", [edits.turned_question, edits.turned_replies])
def test_gold_turns_and_is_true(edit) -> None:
    done = 0
    for i, case in enumerate(CASES):
        turned = edit(case, random.Random(i))
        if turned is None:
            continue
        done += 1
        assert list(turned.gold or ()) == scores(turned)
        assert (turned.gold[0] - turned.gold[1]) * (case.gold[0] - case.gold[1]) < 0
        assert turned.id == case.id
        if edit is edits.turned_question:
            assert turned.candidates == case.candidates
        else:
            assert turned.messages == case.messages
    assert done > 0.9 * len(CASES)


def test_one_number_is_enough_for_a_problem() -> None:
    for i, case in enumerate(case for case in CASES if case.tags["family"] == "reasoning"):
        turned = edits.turned_replies(case, random.Random(i))
        assert turned is not None
        assert sum(a != b for a, b in zip(case.candidates, turned.candidates, strict=True)) == 1


@pytest.mark.parametrize("edit", [edits.resaid, edits.reasked])
def test_other_words_change_no_score(edit) -> None:
    changed = 0
    for i, case in enumerate(CASES):
        other = edit(case, random.Random(i))
        assert scores(other) == scores(case)
        changed += other != case
    assert changed > 0.5 * len(CASES)


def test_things_are_taken_out_of_plans_only() -> None:
    seen = 0
    for case in CASES:
        _, _, answers = oracle.read(case)
        if case.tags["family"] != "chat":
            assert edits.without_things(case, 0, ["anything"]) is None
            continue
        _, facts, _ = oracle.read(case)
        asked = [f"{wish.slot} is {answers[0][wish.slot]}" for wish in facts.wishes]
        found = edits.without_things(case, 0, asked)
        assert found is not None
        quoted, rest = (oracle.read(one).answers[0] for one in found)
        assert len(quoted) == len(answers[0]) - len(set(answers[0]) - {wish.slot for wish in facts.wishes})
        assert all(f"{slot} is {value}" in asked for slot, value in rest.items())
        seen += 1
    assert seen > 50


def test_what_is_none_of_the_labs_is_told_apart() -> None:
    assert all(map(edits.is_lab, CASES))
    assert not edits.is_lab(Case("x", (Message("user", "What is the capital of France?"),), ("Paris", "Rome")))
    assert not edits.is_lab(msgspec.structs.replace(CASES[0], messages=(Message("user", ""),)))

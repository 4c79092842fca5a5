"""Edits of free text by rule: each changes one thing, or says that it cannot."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.audits._cues import again
from thinkscore.audits._steps import exchanged, is_exchanged
from thinkscore.audits._words import ERRORS, misstated, negated, renumbered, resigned, restated, reunited

RNG = random.Random(0)


@pytest.mark.parametrize(
    ("edit", "text", "found"),
    [
        (misstated, "Response A is correct here", "Response A is incorrect here"),
        (misstated, "Better in every way", "Worse in every way"),
        (negated, "The sky is blue.", "The sky is not blue."),
        (negated, "It is not so.", "It is so."),
        (resigned, "3 + 4 = 7", "3 - 4 = 7"),
        (resigned, "x = -5", "x = 5"),
        (reunited, "It weighs 5 kg in all", "It weighs 5 g in all"),
    ],
)
def test_by_hand(edit, text: str, found: str) -> None:
    assert edit(text, RNG) == found


@pytest.mark.parametrize("edit", [renumbered, resigned, negated, reunited])
def test_what_cannot_be_changed_is_left_alone(edit) -> None:
    assert edit("Hello there!", RNG) is None


@given(st.text(max_size=200), st.sampled_from(sorted(ERRORS)))
def test_an_error_is_an_error_or_none(text: str, kind: str) -> None:
    new = ERRORS[kind](text, random.Random(1))
    assert new is None or new != text


@given(st.integers(0, 10**6))
def test_another_number_is_another_number(value: int) -> None:
    assert renumbered(f"there are {value} of them", random.Random(value)) != f"there are {value} of them"


def test_the_same_in_other_words() -> None:
    assert restated("It does not work", RNG) in ("It doesn't work", "As one can see, it does not work")
    assert restated("Hm", RNG) is None


def test_names_are_exchanged_everywhere_and_twice_is_back() -> None:
    text = "Response A beats response B. <quote_A>x</quote_A> [[A]] A plan, Assistant A"
    there = exchanged(text, ("A", "B"))
    assert there == "Response B beats response A. <quote_B>x</quote_B> [[B]] A plan, Assistant B"
    assert exchanged(there, ("A", "B")) == text
    assert exchanged("Assistant 1 and Assistant 2", ("1", "2")) == "Assistant 2 and Assistant 1"


def test_a_reply_is_said_again_to_a_length_and_its_greeting_is_not() -> None:
    text = "The answer is 5 apples. I hope this helps!"
    longer = again(text, 20)
    assert longer.startswith(text) and "helps!" not in longer[len(text) :]
    assert abs(len(longer) - len(text) - 20) <= 4
    assert again("", 10) == ""


@pytest.mark.parametrize(
    ("old", "new", "whole"),
    [
        ("On balance A wins. B is short, A: long", "On balance B wins. A is short, B: long", True),
        ("I prefer A over B", "I prefer B over A", True),
        ("a plan, a better one than B", "a plan, a better one than A", True),
        ("A plan fits; A wins", "A plan fits; B wins", False),
        ("B wins, the first one is short", "A wins, the first one is short", False),
    ],
)
def test_bare_letters_are_exchanged_where_they_are_names_and_what_may_be_left_is_known(
    old: str, new: str, whole: bool
) -> None:
    there = exchanged(old, ("A", "B"))
    assert there == new and is_exchanged(old, there, ("A", "B")) is whole

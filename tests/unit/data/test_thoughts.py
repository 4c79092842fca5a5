"""Thinking parts are cut, and only they."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.data import without_thoughts

TEXTS = {
    "none": ("  4\n", "  4\n"),
    "one": ("<think>2, 3, 4</think>\n\n4", "4"),
    "empty": ("<think>\n\n</think>\n\n4", "4"),
    "two": ("<think>a</think>4<think>b</think> or 5", "4 or 5"),
    "never closed": ("4 <think>but", "4"),
    "cut off": ("<think>2, 3", ""),
    "opened in the prompt": ("2, 3, 4</think>\n4", "4"),
    "opened in the prompt, then another": ("2</think>3<think>x</think>4", "34"),
    "inside": ("<think>a <think> b</think>4", "4"),
}


@pytest.mark.parametrize(("text", "rest"), TEXTS.values(), ids=TEXTS)
def test_what_is_left(text: str, rest: str) -> None:
    assert without_thoughts(text) == rest


@given(st.text(), st.text())
def test_the_answer_after_thinking_is_left_whole(thinking: str, answer: str) -> None:
    thinking, answer = (text.replace("think>", "") for text in (thinking, answer))
    assert without_thoughts(f"<think>{thinking}</think>{answer}") == answer.strip()


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", " ", "\n"])).map("".join))
def test_no_mark_is_left(text: str) -> None:
    assert "think>" not in without_thoughts(text)

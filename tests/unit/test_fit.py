"""Shortening: the longest texts lose their middles, as much as is needed, and what was left out is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.fit import LEAST, overflow, shortened
from thinkscore.types import Case, Completion, Message

TEXTS = st.integers(0, 5000).map(lambda n: "".join(chr(97 + i % 26) for i in range(n)))


def case(*texts: str) -> Case:
    return Case("c", (Message("user", texts[0]),), texts[1:], gold=tuple(map(float, range(len(texts) - 1))))


def letters(case: Case) -> int:
    return sum(len(message.content) for message in case.messages) + sum(map(len, case.candidates))


@given(st.lists(TEXTS, min_size=2, max_size=6), st.floats(0.01, 0.99))
def test_at_least_the_share_is_cut_and_the_rest_is_as_it_was(texts: list[str], share: float) -> None:
    before = case(*texts)
    result = shortened(before, share)
    if result is None:
        assert letters(before) * (1 - share) < LEAST * (len(texts) + 1)
        return
    after, left_out = result
    assert left_out == letters(before) - letters(after)
    assert letters(after) <= (1 - share) * letters(before) + len(texts)
    for old, new in zip(texts, [after.messages[0].content, *after.candidates], strict=True):
        if new != old:
            head, _, rest = new.partition("\n[... ")
            tail = rest.partition(" characters left out ...]\n")[2]
            assert old.startswith(head) and old.endswith(tail) and head and tail
    assert (after.id, after.gold) == (before.id, before.gold)


def test_short_texts_stay_whole() -> None:
    after, left_out = shortened(case("why?", "s" * 300, "l" * 9000), 0.5) or (None, 0)
    assert after is not None
    assert after.messages[0].content == "why?"
    assert after.candidates[0] == "s" * 300
    assert left_out >= 4650


def test_a_case_of_short_texts_is_not_destroyed() -> None:
    assert shortened(case("why?", "a" * 100, "b" * 100), 0.5) is None


@pytest.mark.parametrize(
    ("error", "share"),
    [
        ("too long: the prompt has 2000 tokens; m reads 1000", 1 - 0.95 * 500 / 2000),
        ("too long: the prompt has 400 tokens; m reads 1000", 0.5),
        ("too long: the prompt has too many tokens; m reads fewer", 0.5),
        ("HTTP 500: broken", 0.0),
    ],
)
def test_how_much_has_to_go_is_read_from_the_error(error: str, share: float) -> None:
    assert overflow(Completion(finish="error", error=error)) == pytest.approx(share)


def test_an_answer_is_not_too_long() -> None:
    assert overflow(Completion("too long: the prompt has 9 tokens; m reads 1")) == 0.0

"""A quote is found where it comes from, or said to come from nowhere; pieces put the text back together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.report._quotes import Found, find, pieces

TEXT = "Ana has 13 pears.\n* She sells 3.\n* She says: “Half  are left,” and goes."

FOUND = {
    "as it stands": ("Ana has", "Ana has", True),
    "as a whole word, not inside another": ("3", "3", True),
    "inside a word if nowhere else": ("ear", "ear", True),
    "in another case": ("ANA HAS", "Ana has", False),
    "with other spaces": ("half are left", "Half  are left", False),
    "without list marks": ("pears. She sells 3", "pears.\n* She sells 3", False),
    "in quotation marks of its own": ('"Half are left,"', "Half  are left", False),
    "never said": ("Ana has 14", "", None),
    "words in another order": ("has Ana", "", None),
    "nothing but marks": ("!?", "", None),
    "empty": ("", "", None),
}


@pytest.mark.parametrize(("quote", "said", "exact"), FOUND.values(), ids=FOUND)
def test_quotes_are_found(quote: str, said: str, exact: bool | None) -> None:
    found = find(quote, TEXT)
    if exact is None:
        assert found == Found()
    else:
        assert [TEXT[a:b] for a, b in found.spans] == [said]
        assert found.exact is exact


def test_a_whole_word_is_preferred_to_an_earlier_part_of_one() -> None:
    assert find("3", "13 or 3").spans == ((6, 7),)


def test_what_the_guard_escaped_is_found_in_the_text_as_it_was() -> None:
    assert find("a &lt;answer> &amp;lt;", "see a <answer> &lt; b").spans == ((4, 19),)


def test_both_sides_of_an_ellipsis_are_found_or_neither() -> None:
    found = find("Ana has ... she sells 3", TEXT)
    assert [TEXT[a:b] for a, b in found.spans] == ["Ana has", "She sells 3"]
    assert not found.exact
    assert find("Ana has … she buys", TEXT) == Found()


@given(st.text("ab \n.", max_size=30), st.integers(0, 30), st.integers(1, 30))
def test_any_part_of_a_text_is_found_in_it(text: str, start: int, length: int) -> None:
    quote = text[start : start + length]
    if quote:
        found = find(quote, text)
        assert found.exact
        assert [text[a:b] for a, b in found.spans] == [quote]


@given(st.text("ab", max_size=12), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(1, 4))))
def test_pieces_put_the_text_together_and_know_who_quotes(text: str, drawn: list[tuple[int, int, int]]) -> None:
    quoted = [((min(a, b), max(a, b)), vote) for a, b, vote in drawn if max(a, b) <= len(text) and a != b]
    found = pieces(text, quoted)
    assert "".join(piece.text for piece in found) == text
    for piece in found:
        for at in range(piece.start, piece.start + len(piece.text)):
            assert piece.by == tuple(sorted({vote for (a, b), vote in quoted if a <= at < b}))

"""Overlaps with benchmarks: a planted one is found, a near miss is kept, boilerplate is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.errors import BadInput
from thinkscore.train._ngrams import COMMON, Benchmarks, Hit, read_prompts, words

TEXT = st.lists(st.sampled_from("abcdefgh"), max_size=12)


def index(*prompts: str, n: int = 13) -> Benchmarks:
    return Benchmarks([[(i, [prompt]) for i, prompt in enumerate(prompts, 1)]], n)


def shares(first: list[str], second: list[str], n: int) -> bool:
    """Compare all n-grams one by one."""
    grams = {tuple(first[i : i + n]) for i in range(len(first) - n + 1)}
    return any(tuple(second[i : i + n]) in grams for i in range(len(second) - n + 1))


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=COMMON), TEXT, st.integers(1, 4))
def test_it_finds_what_a_plain_comparison_finds(prompts: list[list[str]], text: list[str], n: int) -> None:
    made = index(*map(" ".join, prompts), n=n)
    expected = any(shares(prompt, text, n) or (bool(text) and prompt == text) for prompt in prompts)
    hit = made.match([" ".join(text)])
    assert (hit is not None) == expected
    if hit is not None:
        assert hit.words in " ".join(prompts[hit.row - 1])


def test_thirteen_words_are_an_overlap_and_twelve_are_none() -> None:
    asked = [f"w{i}" for i in range(30)]
    made = index(" ".join(asked))
    assert made.match(["before it " + " ".join(asked[5:18]) + " after it"]) == Hit(0, 1, " ".join(asked[5:18]))
    assert made.match(["before it " + " ".join(asked[5:17]) + " after it " + " ".join(asked[18:30])]) is None


def test_words_are_compared_without_case_punctuation_and_forms_of_letters() -> None:
    said = words("The **ﬁrst** rule:\n\tDON'T\u00a0panic_now, Ｎo１!")
    assert said == ["the", "first", "rule", "don", "t", "panic", "now", "no1"]
    assert words("東京へ行く trains") == ["東", "京", "へ", "行", "く", "trains"]


def test_a_short_prompt_is_found_in_full_only() -> None:
    made = index("What is 2 + 2?")
    assert made.match(["what is 2 2"]) == Hit(0, 1, "what is 2 2")
    assert made.match(["What is 2 + 2 + 2?"]) is None
    assert made.match(["What is 2 + 2?", "And now?"]) is None
    assert index("!?").match(["?!"]) is None


def test_boilerplate_is_passed_over_but_a_prompt_of_it_is_found() -> None:
    frame = "Read the text with care and answer in one word with no further remarks of your own about it"
    made = index(*(f"{frame}: number {i}" for i in range(COMMON + 1)))
    assert made.common > 0
    assert made.match([f"{frame}, please."]) is None
    assert made.match([f"{frame}: number 3"]) is not None
    assert index(*(f"{frame}: number {i}" for i in range(COMMON))).match([f"{frame}, please."]) is not None


def test_replies_are_searched_when_they_are_given() -> None:
    asked = " ".join(f"w{i}" for i in range(20))
    made = index(asked)
    assert made.match(["Hi"], [f"It asks {asked}"]) is not None
    assert made.match(["Hi"]) is None


@pytest.mark.parametrize(
    ("name", "text", "prompts"),
    [
        ("b.txt", "[one] prompt\n\nand another\n", [(1, ["[one] prompt"]), (3, ["and another"])]),
        ("b.jsonl", '{"question": "2 + 2?", "answer": "4"}\n', [(1, ["2 + 2?"])]),
        ("b.jsonl", '{"turns": ["one", "two"], "category": "x"}\n', [(1, ["one", "two"])]),
        ("b.json", '[{"messages": [], "problem": "p"}]', [(1, ["p"])]),
        ("b.csv", "id,question\n1,Why?\n", [(2, ["Why?"])]),
        ("b.jsonl", '{"prompt": "p", "chosen": "c", "rejected": "r"}\n', [(1, ["p"])]),
        (
            "b.jsonl",
            '{"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", '
            '"content": "c"}]}\n',
            [(1, ["a", "c"])],
        ),
    ],
)
def test_benchmarks_are_read_in_any_form(
    tmp_path: Path, name: str, text: str, prompts: list[tuple[int, list[str]]]
) -> None:
    (tmp_path / name).write_text(text)
    assert list(read_prompts(str(tmp_path / name))) == prompts


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("b.jsonl", '{"answer": "4"}\n', "b.jsonl:1: has no prompt in its columns answer; a benchmark is"),
        ("b.jsonl", '{"question": "a"}\nbroken\n', "b.jsonl:2: JSON is malformed"),
        ("none.txt", None, "cannot read"),
    ],
)
def test_a_benchmark_that_cannot_be_read_is_refused(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=said):
        list(read_prompts(str(tmp_path / name)))

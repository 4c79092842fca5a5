"""Budgets are never exceeded, whatever calls cost, and say so when they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.budget import Budget, Price, read_prices
from thinkscore.errors import BadInput
from thinkscore.types import Case, Completion, Message, Prompt, Sampling, Usage

CASE = Case("c", (Message("user", "?"),), ("a", "b"))


def prompt(letters: int, most: int) -> Prompt:
    return Prompt(CASE, "p", (Message("user", "x" * letters),), (0, 1), sampling=Sampling(max_tokens=most))


Call = tuple[int, int, float, float]  # letters, max_tokens, share of the letters that are tokens, share written
CALLS = st.lists(st.tuples(st.integers(1, 400), st.integers(1, 300), st.floats(0, 1), st.floats(0, 1)), max_size=30)


@given(CALLS, st.integers(1, 5000), st.integers(1, 6))
def test_tokens_never_exceed_the_budget(calls: list[Call], limit: int, at_a_time: int) -> None:
    budget = Budget(max_tokens=limit)
    flying: list[tuple[Prompt, Completion]] = []
    spent = 0
    for letters, most, read, written in calls:
        if len(flying) == at_a_time:
            budget.settle(*flying.pop(0))
        asked = prompt(letters, most)
        if budget.reserve([asked]):
            usage = Usage(1, round(letters * read) + 1, round(most * written))
            spent += usage.prompt_tokens + usage.completion_tokens
            flying.append((asked, Completion("x", usage=usage)))
    assert spent <= limit
    for landed in flying:
        budget.settle(*landed)
    assert budget.spent.prompt_tokens + budget.spent.completion_tokens == spent


def test_money_is_counted_by_the_price_of_the_model() -> None:
    budget = Budget(max_cost=0.01, prices={"m": Price(2.0, 8.0)})
    budget.open("m")
    assert budget.price is not None
    assert budget.price.cost(Usage(1, 1_000_000, 500_000)) == 6.0
    assert budget.reserve([prompt(10, 1000)])  # 8000 millionths of the million, and a little
    assert not budget.reserve([prompt(10, 1000)])
    budget.settle(prompt(10, 1000), Completion("x", usage=Usage(1, 5, 10)))
    assert budget.reserve([prompt(10, 1000)])


def test_an_answer_of_unstated_cost_is_counted_at_the_most_it_can_be() -> None:
    budget = Budget(max_tokens=10_000)
    assert budget.reserve([prompt(100, 1000)])
    budget.settle(prompt(100, 1000), Completion("four", usage=Usage(1)))
    assert budget.spent.completion_tokens == 4
    assert budget.spent.prompt_tokens >= 100


def test_an_error_costs_nothing() -> None:
    budget = Budget(max_tokens=10_000)
    assert budget.reserve([prompt(100, 1000)])
    budget.settle(prompt(100, 1000), Completion(finish="error", error="no"))
    assert budget.spent == Usage()
    assert "10,000 tokens" in budget.refusal()


def test_bad_budgets_are_refused() -> None:
    with pytest.raises(BadInput, match="price"):
        Budget(max_cost=1.0)
    with pytest.raises(BadInput, match="positive"):
        Budget(max_tokens=0)
    with pytest.raises(BadInput, match="'n'; it has m"):
        Budget(max_cost=1.0, prices={"m": Price(1, 1)}).open("n")


def test_prices_are_read_from_json_and_toml(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"m": {"prompt": 0.5, "completion": 1}}')
    (tmp_path / "p.toml").write_text('["org/m"]\nprompt = 0.5\ncompletion = 1\n')
    assert read_prices(tmp_path / "p.json") == {"m": Price(0.5, 1)}
    assert read_prices(tmp_path / "p.toml") == {"org/m": Price(0.5, 1)}


@pytest.mark.parametrize("text", ["", "[]", '{"m": 3}', '{"m": {"prompt": 1}}', '{"m": {"prompt": 1, "output": 2}}'])
def test_a_bad_price_file_says_what_is_accepted(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(BadInput, match="per million tokens"):
        read_prices(tmp_path / "p.json")
    with pytest.raises(BadInput, match="cannot read"):
        read_prices(tmp_path / "gone.json")

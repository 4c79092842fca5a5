"""Duels: what counts as one, who came how far, and how often the judge contradicts itself."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.scaling._duels import Duel, cyclic_triads, duels, leads, rounds, unread_pairs
from thinkscore.types import Completion, Failure, Outcome, Scores, Tie, Trace, Verdict, Winner

READ: dict[str, tuple[Outcome, float | None]] = {
    "first": (Winner(4), 1.0),
    "second": (Winner(1), 0.0),
    "tie": (Tie(), 0.5),
    "scores": (Scores((None, 3.0, None, None, 5.0)), 1.0),
    "equal scores": (Scores((None, 3.0, None, None, 3.0)), 0.5),
    "a score is missing": (Scores((None, 3.0, None, None, None)), None),
    "failure": (Failure("ambiguous"), None),
}


def verdict(outcome: Outcome, order: tuple[int, ...] = (4, 1)) -> Verdict:
    return Verdict("c", order, outcome, Trace(), Completion())


@pytest.mark.parametrize(("outcome", "share"), READ.values(), ids=READ)
def test_what_the_first_shown_won(outcome: Outcome, share: float | None) -> None:
    assert duels([verdict(outcome)]) == ([] if share is None else [Duel(4, 1, share)])


def test_lists_are_no_duels() -> None:
    assert duels([verdict(Winner(1), (0, 1, 2)), verdict(Winner(0), (0,))]) == []


def test_leads_and_pairs_that_nobody_could_read() -> None:
    asked = [verdict(Winner(2), (2, 0)), verdict(Winner(2), (0, 2)), verdict(Tie(), (0, 1)), verdict(Winner(0), (2, 0))]
    lost = [verdict(Failure("ambiguous"), order) for order in ((1, 2), (2, 1), (0, 1))]
    found = duels(asked)
    assert leads(found) == {(0, 2): -1.0, (0, 1): 0.0}
    assert unread_pairs([*asked, *lost], found) == 1


# who beat whom, in order -> how far each came
ROUNDS = {
    "one match": (2, [(1, 0)], 1, [0, 1]),
    "a bracket of four": (4, [(0, 1), (2, 3), (2, 0)], 1, [1, 0, 2, 0]),
    "one sat out and won": (3, [(1, 2), (0, 1)], 1, [2, 1, 0]),
    "one sat out and lost": (3, [(1, 2), (1, 0)], 1, [1, 2, 0]),
    "nothing known of some": (4, [(0, 1)], 1, [1, 0, 0, 0]),
    "two lives: the unbeaten wins": (4, [(0, 1), (2, 3), (0, 2), (1, 3), (2, 1), (0, 2)], 2, [5, 2, 4, 0]),
    "two lives: the other wins twice": (3, [(0, 1), (0, 2), (2, 1), (2, 0), (2, 0)], 2, [5, 2, 6]),
}


@pytest.mark.parametrize(("n", "results", "lives", "expected"), ROUNDS.values(), ids=ROUNDS)
def test_rounds_by_hand(n: int, results: list[tuple[int, int]], lives: int, expected: list[int]) -> None:
    reached = rounds(n, results, lives)
    assert [int(r) for r in reached] == expected


def test_a_circle_is_cyclic_and_a_ladder_is_not() -> None:
    assert cyclic_triads({(0, 1): 1.0, (1, 2): 1.0, (0, 2): -1.0}) == 1.0
    assert cyclic_triads({(0, 1): 1.0, (1, 2): 1.0, (0, 2): 1.0}) == 0.0
    assert cyclic_triads({(0, 1): 1.0, (1, 2): 1.0, (0, 2): 0.0}) is None, "a pair without a winner"
    assert cyclic_triads({(0, 1): 1.0, (1, 2): 1.0}) is None


@given(
    st.integers(3, 9).flatmap(
        lambda n: st.lists(st.sampled_from([1.0, -1.0, 2.0, 0.0, None]), min_size=n * (n - 1) // 2, max_size=36).map(
            lambda found: (n, found)
        )
    )
)
def test_cyclic_triads_are_those_of_brute_force(drawn: tuple[int, list[float | None]]) -> None:
    n, found = drawn
    lead = {pair: won for pair, won in zip(combinations(range(n), 2), found, strict=False) if won is not None}

    def beats(i: int, j: int) -> bool:
        return lead[i, j] > 0 if i < j else lead[j, i] < 0

    whole = [t for t in combinations(range(n), 3) if all(lead.get(pair) for pair in combinations(t, 2))]
    cyclic = [(i, j, k) for i, j, k in whole if beats(i, j) == beats(j, k) == beats(k, i)]
    assert cyclic_triads(lead) == (len(cyclic) / len(whole) if whole else None)

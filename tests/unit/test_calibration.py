"""Calibration: the best rising map by an independent formula, and what it does to judgments."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.calibration import Calibration, calibration_error, fit_calibration, read_calibration, read_scores
from thinkscore.errors import BadInput
from thinkscore.judge import Judge
from thinkscore.types import Judgment, Usage

pairs = st.lists(
    st.tuples(st.integers(0, 12).map(float), st.integers(0, 10).map(float)), min_size=2, max_size=25
).filter(lambda drawn: len({score for score, _ in drawn}) > 1)


def isotonic(drawn: list[tuple[float, float]]) -> dict[float, float]:
    """Fit by the max-min formula: the greatest mean from below of the least mean up to above."""
    at = sorted({score for score, _ in drawn})

    def mean(low: float, high: float) -> float:
        inside = [gold for score, gold in drawn if low <= score <= high]
        return sum(inside) / len(inside)

    return {x: max(min(mean(a, b) for b in at if b >= x) for a in at if a <= x) for x in at}


@given(pairs)
def test_the_steps_are_those_of_the_max_min_formula(drawn: list[tuple[float, float]]) -> None:
    found, expected = fit_calibration(*zip(*drawn, strict=True)), isotonic(drawn)
    steps: dict[float, list[float]] = {}
    for score, _ in drawn:
        steps.setdefault(round(expected[score], 9), []).append(score)
    centres = [sum(steps[level]) / len(steps[level]) for level in sorted(steps)]
    assert found.gold == pytest.approx(sorted(steps))
    assert found.scores == pytest.approx(centres)
    assert found.n == len(drawn)


@given(pairs, st.lists(st.floats(-5, 20), min_size=2, max_size=10).map(sorted))
def test_the_map_never_falls_and_stays_within_gold(drawn: list[tuple[float, float]], at: list[float]) -> None:
    found = fit_calibration(*zip(*drawn, strict=True))
    values = [found(score) for score in at]
    assert all(a <= b + 1e-12 for a, b in pairwise(values))
    golds = [gold for _, gold in drawn]
    assert min(golds) - 1e-12 <= values[0] and values[-1] <= max(golds) + 1e-12


def test_a_map_by_hand() -> None:
    """Golds 1, 3, 2, 6 at scores 0, 1, 2, 4: 3 and 2 are pooled to 2.5 at 1.5."""
    found = fit_calibration([4, 0, 2, 1], [6, 1, 2, 3])
    assert found == Calibration((0.0, 1.5, 4.0), (1.0, 2.5, 6.0), 4)
    assert [found(score) for score in (-9, 0, 0.75, 1.5, 2.75, 4, 9)] == [1, 1, 1.75, 2.5, 4.25, 6, 6]


def test_equal_scores_are_one_point() -> None:
    assert fit_calibration([1, 2, 2], [5, 3, 9]) == Calibration((1.0, 2.0), (5.0, 6.0), 3)


@pytest.mark.parametrize("scores", [[], [1.0], [2.0, 2.0]])
def test_one_score_is_no_map(scores: list[float]) -> None:
    with pytest.raises(BadInput, match="needs 2 or more"):
        fit_calibration(scores, [0.0] * len(scores))


def test_the_error_by_hand() -> None:
    """Two bins: mean 1.5 against 1, mean 3.5 against 5, each of two."""
    assert calibration_error([3, 1, 4, 2], [4, 2, 6, 0], bins=2) == pytest.approx((0.5 + 1.5) / 2)
    assert calibration_error([3, 1, 4, 2], [4, 2, 6, 0], bins=4) == pytest.approx((1 + 2 + 1 + 2) / 4)
    assert calibration_error([1, 2], [1, 2], bins=10) == 0


@given(pairs)
def test_on_its_own_cases_the_map_is_right_on_average(drawn: list[tuple[float, float]]) -> None:
    scores, golds = zip(*drawn, strict=True)
    found, expected = fit_calibration(scores, golds), isotonic(drawn)
    assert sum(expected[score] for score in scores) == pytest.approx(sum(golds))
    assert calibration_error([expected[score] for score in scores], golds, bins=1) == pytest.approx(0, abs=1e-9)
    assert found.n == len(golds)


RISING = Calibration((0.0, 2.0), (10.0, 20.0), 9)


def test_judgments_are_mapped_with_their_errors() -> None:
    before = Judgment("c", (1.0, 5.0), 1, 0.9, (), Usage(), "s", "", standard_errors=(0.5, 0.5))
    after = RISING.applied(before)
    assert (after.scores, after.standard_errors) == ((15.0, 20.0), (2.5, 0.0))
    assert (after.winner, after.confidence) == (1, 0.9)
    failed = Judgment("c", None, None, None, (), Usage(), "s", "")
    assert RISING.applied(failed) == failed


def test_a_judge_applies_its_map_to_everything_it_returns(tmp_path: Path) -> None:
    RISING.save(tmp_path / "map.json")
    with Judge("deepseek_grm", "scripted:", calibration=tmp_path / "map.json", journal=tmp_path / "j") as judge:
        assert judge.score("?", ["a"]).scores == (20.0,)
    manifest = json.loads((tmp_path / "j.manifest.json").read_text())
    assert manifest["calibration"] == {"scores": [0.0, 2.0], "gold": [10.0, 20.0], "n": 9}


def test_saved_and_read_again(tmp_path: Path) -> None:
    RISING.save(tmp_path / "map.json")
    assert read_calibration(tmp_path / "map.json") == RISING
    with pytest.raises(BadInput, match="cannot write"):
        RISING.save(tmp_path / "gone" / "map.json")


BAD = {
    "not json": ("{", "is no calibration"),
    "another file": ('{"a": 1}', "is no calibration"),
    "falling": ('{"scores": [1, 2], "gold": [2, 1], "n": 2}', "must not fall"),
    "same score": ('{"scores": [1, 1], "gold": [1, 2], "n": 2}', "must rise"),
    "uneven": ('{"scores": [1, 2], "gold": [1], "n": 2}', "as many of each"),
    "empty": ('{"scores": [], "gold": [], "n": 2}', "as many of each"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_bad_map_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        read_calibration(path)
    with pytest.raises(BadInput, match="cannot read"):
        read_calibration(tmp_path / "gone.json")


def test_scores_and_gold_of_rows(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "scores": [1.0, 2.0], "gold": [5.0, 6.0], "verdicts": []},
        {"id": "failed", "scores": None, "gold": [5.0], "verdicts": []},
        {"id": "unknown", "scores": [3.0], "gold": None, "verdicts": []},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_scores(path) == ([1.0, 2.0], [5.0, 6.0])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[1:]))
    with pytest.raises(BadInput, match="no row has both"):
        read_scores(path)

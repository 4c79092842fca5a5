"""Recorded verdicts of others: who won in what order, how sure they were, and what is no verdict."""

from __future__ import annotations

import gzip
import json
import math

import pytest

from thinkscore.data.verdicts import read_verdicts
from thinkscore.errors import BadInput
from thinkscore.types import Failure, Tie, Winner


def call(winner: str, confidence: float | None = 0.8, **more: object) -> dict[str, object]:
    return {"winner": winner, "confidence": confidence, "reason": "because", "raw": "{}", **more}


CARE = {
    "id": "one", "label": "B", "pred": "B",
    "raw": {
        "base": call("B"), "self": [call("A", 0.6), call("abstain")],
        "swap": call("A", 0.9, mapped_winner="B"), "rubric": [call("A")],
    },
}  # fmt: skip


def alpaca(preference: float | None, **more: object) -> dict[str, object]:
    return {
        "instruction": "?",
        "output_1": "a",
        "output_2": "b",
        "preference": preference,
        "raw_completion": None,
        **more,
    }


def logprobs(**tokens: float) -> dict[str, object]:
    top = [{"token": token, "logprob": math.log(p)} for token, p in tokens.items()]
    return {"logprobs": {"content": [{"token": "m", "top_logprobs": top}]}}


def test_repeated_and_exchanged_calls(tmp_path) -> None:
    file = tmp_path / "features.jsonl.gz"
    with gzip.open(file, "wt") as out:
        out.write(json.dumps(CARE) + "\n" + json.dumps({**CARE, "id": "two", "label": "?"}) + "\n")
    (case, verdicts), (other, _) = read_verdicts(file)
    assert case.id == "one" and case.gold == (0.0, 1.0) and other.gold is None
    assert [verdict.order for verdict in verdicts] == [(0, 1), (0, 1), (0, 1), (1, 0)]
    assert [verdict.outcome for verdict in verdicts[:2]] == [Winner(1), Winner(0)]
    assert isinstance(verdicts[2].outcome, Failure) and "abstain" in verdicts[2].outcome.detail
    assert verdicts[3].outcome == Winner(1), "mapped back to the order of the case"
    assert verdicts[0].expected == pytest.approx((0.2, 0.8)) and verdicts[1].expected == pytest.approx((0.6, 0.4))


@pytest.mark.parametrize(
    ("row", "outcome", "order"),
    [
        (alpaca(1), Winner(0), (0, 1)),
        (alpaca(2, referenced_models={"M": "output_1", "m": "output_2"}), Winner(1), (1, 0)),
        (alpaca(1, referenced_models={"M": "output_2", "m": "output_1"}), Winner(0), (0, 1)),
        (alpaca(1.5), Tie(), (0, 1)),
        (alpaca(1.1, raw_completion=logprobs(m=0.9, M=0.1)), Winner(0), (0, 1)),
        (alpaca(1.9, raw_completion=logprobs(m=0.9, M=0.1)), Winner(1), (1, 0)),
        (alpaca(1.2, raw_completion=logprobs(m=0.2, M=0.8)), Winner(0), (1, 0)),
    ],
)
def test_preferences_and_the_order_they_were_given_in(tmp_path, row, outcome, order) -> None:
    """`m` was shown first; who it was follows from whose side its probability is on."""
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps([row]))
    ((case, (verdict,)),) = read_verdicts(file)
    assert case.candidates == ("a", "b") and case.gold is None
    assert (verdict.outcome, verdict.order) == (outcome, order)
    if not float(row["preference"]).is_integer():
        assert verdict.expected == pytest.approx((2 - row["preference"], row["preference"] - 1))


def test_a_preference_of_none_is_no_verdict(tmp_path) -> None:
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps([alpaca(None)]))
    ((_, (verdict,)),) = read_verdicts(file)
    assert isinstance(verdict.outcome, Failure)


@pytest.mark.parametrize("row", [{"a": 1}, {"raw": {}, "label": "A", "id": 1}, {**alpaca(1), "preference": "high"}])
def test_what_is_no_recorded_verdict_is_named_by_its_row(tmp_path, row) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(CARE) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(BadInput, match=r"rows\.jsonl:2"):
        list(read_verdicts(file))

"""Verdicts on pairs that somebody else recorded: rows to cases and verdicts, for what needs no judge any more.

Two forms are known by their columns. CARE-Judge's features (repeated calls, and one with the responses exchanged; each
names a winner and a confidence) and AlpacaEval's annotations (a preference in [1, 2], and where the judge gave them the
log-probabilities of the two names that it chose between, of which `m` was shown first).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import BadInput
from ..types import Case, Completion, Failure, Message, Outcome, Tie, Trace, Verdict, Winner
from .sources import Unreadable, open_source

__all__ = ["Recorded", "read_verdicts"]

Recorded = tuple[Case, list[Verdict]]
"""A pair, gold as far as it is known, and every verdict on it."""
_AS_SHOWN, _EXCHANGED = (0, 1), (1, 0)


def read_verdicts(path: str | Path) -> Iterator[Recorded]:
    """Yield the rows of a file. Raises `BadInput` with the row that is of neither form."""
    with open_source(path) as source:
        for number, item in source.items:
            row = _mapping(item)
            try:
                if row is not None and "raw" in row and "label" in row:
                    yield _care(row)
                    continue
                if row is not None and "preference" in row and "output_1" in row:
                    yield _alpaca(row, number)
                    continue
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BadInput(f"{source.place(number)}: {type(error).__name__}: {error}") from error
            raise BadInput(
                f"{source.place(number)}: is no recorded verdict; known are rows of judge --out, of CARE-Judge (label "
                "and raw) and of AlpacaEval (output_1, output_2, preference)"
            )


def _mapping(item: object) -> dict[str, Any] | None:
    if isinstance(item, Unreadable):
        return None
    try:
        row = msgspec.json.decode(item) if isinstance(item, bytes) else item
    except msgspec.DecodeError:
        return None
    return dict(row) if isinstance(row, Mapping) else None


# ---- CARE-Judge


def _care(row: Mapping[str, Any]) -> Recorded:
    gold = {"A": (1.0, 0.0), "B": (0.0, 1.0)}.get(row["label"])
    case = Case(str(row["id"]), (Message("user", ""),), ("A", "B"), gold)
    calls = [row["raw"]["base"], *row["raw"].get("self", ())]
    found = [_called(case, call, _AS_SHOWN, call["winner"]) for call in calls]
    swap = row["raw"].get("swap")
    if swap:
        found.append(_called(case, swap, _EXCHANGED, swap["mapped_winner"]))
    return case, found


def _called(case: Case, call: Mapping[str, Any], order: tuple[int, int], winner: str) -> Verdict:
    outcome: Outcome = Failure("no_verdict", f"the judge said {winner!r}")
    expected = None
    if winner in ("A", "B"):
        outcome = Winner("AB".index(winner))
        sure = call.get("confidence")
        if isinstance(sure, int | float):
            expected = (float(sure), 1.0 - sure) if winner == "A" else (1.0 - sure, float(sure))
    done = Completion(str(call.get("raw") or ""))
    return Verdict(case.id, order, outcome, Trace(), done, expected=expected)


# ---- AlpacaEval


def _alpaca(row: Mapping[str, Any], number: int) -> Recorded:
    case = Case(f"row {number}", (Message("user", row["instruction"]),), (row["output_1"], row["output_2"]))
    preference = row["preference"]
    if preference is None:
        return case, [Verdict(case.id, _AS_SHOWN, Failure("no_verdict"), Trace(), Completion())]
    second = float(preference) - 1
    outcome: Outcome = Tie() if second == 0.5 else Winner(int(second > 0.5))
    expected = (1 - second, second) if 0 < second < 1 else None
    return case, [Verdict(case.id, _shown(row, second), outcome, Trace(), Completion(), expected=expected)]


def _shown(row: Mapping[str, Any], second: float) -> tuple[int, int]:
    """Find out in what order the outputs were shown: `m` came first, and the preference says who `m` was."""
    named = row.get("referenced_models") or {}
    if "m" in named:
        return _AS_SHOWN if named["m"] == "output_1" else _EXCHANGED
    said = row.get("raw_completion")
    if not isinstance(said, Mapping) or not said.get("logprobs"):
        return _AS_SHOWN
    first = {one["token"]: one["logprob"] for one in said["logprobs"]["content"][0]["top_logprobs"]}
    if "m" not in first and "M" not in first:
        return _AS_SHOWN
    lead = math.exp(first.get("m", -math.inf)) - math.exp(first.get("M", -math.inf))
    return _AS_SHOWN if (lead > 0) == (second < 0.5) else _EXCHANGED

"""Output rows as cases and judgments again, one at a time: the far end of the sentence, read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..data import read_rows
from ..errors import BadInput
from ..types import (
    Anchor,
    Case,
    Completion,
    Failure,
    FailureKind,
    Judgment,
    Outcome,
    Scores,
    Tie,
    Trace,
    Usage,
    Verdict,
    Winner,
)

__all__ = ["read_judgments"]


class _Failed(msgspec.Struct):
    kind: FailureKind
    detail: str = ""


class _Vote(msgspec.Struct):
    order: tuple[int, ...]
    winner: int | None = None
    scores: tuple[float | None, ...] | None = None
    failure: _Failed | None = None
    trace: Trace = Trace()
    text: str = ""


class _Row(msgspec.Struct):
    id: str
    verdicts: tuple[_Vote, ...]
    winner: int | None = None
    scores: tuple[float, ...] | None = None
    confidence: float | None = None
    standard_errors: tuple[float, ...] | None = None
    gold: tuple[float, ...] | None = None
    anchors: tuple[float | None, ...] = ()
    failure: _Failed | None = None
    usage: Usage = Usage()


def read_judgments(path: str | Path) -> Iterator[tuple[Case, Judgment]]:
    """Yield each row's case (id, gold, and as many empty candidates as were judged) and judgment.

    Rows do not name the strategy, nor what each verdict cost. Raises `BadInput` with the place of a bad row.
    """
    empty = True
    for row in read_rows(path, _Row):
        yield _read(row, path)
        empty = False
    if empty:
        raise BadInput(f"{path}: holds no rows; report reads what judge --out wrote")


def _read(row: _Row, path: str | Path) -> tuple[Case, Judgment]:
    shown, anchors = max((place + 1 for vote in row.verdicts for place in vote.order), default=0), len(row.anchors)
    n = len(row.gold or row.scores or ()) or max(shown - anchors, 0)
    whole = all(given is None or len(given) == n for given in (row.gold, row.scores))
    votes = all(vote.scores is None or len(vote.scores) in (n, n + anchors) for vote in row.verdicts)
    if shown > n + anchors or not whole or not votes:
        raise BadInput(f"{path}: gold, scores and orders of case {row.id!r} are of different numbers of candidates")
    verdicts = tuple(
        Verdict(row.id, vote.order, _outcome(vote), vote.trace, Completion(vote.text)) for vote in row.verdicts
    )
    failure = None if row.failure is None else Failure(row.failure.kind, row.failure.detail)
    judgment = Judgment(
        row.id, row.scores, row.winner, row.confidence, verdicts, row.usage, "", "", failure, row.standard_errors
    )
    return Case(row.id, (), ("",) * n, row.gold, anchors=tuple(Anchor("", gold) for gold in row.anchors)), judgment


def _outcome(vote: _Vote) -> Outcome:
    if vote.failure is not None:
        return Failure(vote.failure.kind, vote.failure.detail)
    if vote.scores is not None:
        return Scores(vote.scores)
    return Tie() if vote.winner is None else Winner(vote.winner)

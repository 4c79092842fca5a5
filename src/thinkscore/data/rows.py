"""Our own rows: case rows and output rows, and the files they are written to and read from.

Output rows hold no time and no machine: the same verdicts give the same bytes.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import msgspec

from ..errors import BadInput
from ..types import Case, Failure, Judgment, Scores, Verdict, Winner
from .formats._base import load
from .sources import open_source

__all__ = ["Standing", "case_row", "judgment_row", "parse_case", "read_rows", "stand", "standing", "write_rows"]

T = TypeVar("T")


def parse_case(line: bytes | str | dict[str, Any], where: str = "row") -> Case:
    """Make a case of one plain row, as JSON or as a dict; `where` opens the message of the `BadInput` for a bad one.

    A row without an id gets the hash of its content.
    """
    plain = load("plain")
    try:
        case = plain.read(line if isinstance(line, dict) else msgspec.json.decode(line, type=dict[str, Any]))
    except ValueError as error:
        raise BadInput(f"{where}: {plain_words(error)}; {plain.about}") from error
    return case if case.id else msgspec.structs.replace(case, id=case.content())


def plain_words(error: Exception) -> str:
    """Write an error about a row without the notation of the package that found it."""
    text = str(error).replace(" - at `$.", " in `")
    return f"{text} (a row is one whole line)" if text == "Input data was truncated" else text


def case_row(case: Case) -> dict[str, Any]:
    """Write a case as a row; the inverse of `parse_case`."""
    row: dict[str, Any] = msgspec.to_builtins(case)
    if not case.anchors:
        del row["anchors"]
    messages = row.pop("messages")
    plain = len(messages) == 1 and messages[0]["role"] == "user"
    return {"id": row.pop("id"), "prompt": messages[0]["content"] if plain else messages, **row}


Standing = Literal["right", "wrong", "tied", "unparsed", "errored"]


def standing(case: Case, judgment: Judgment) -> Standing | None:
    """Hold a judgment against gold, in the words of `Tally`; None if there is nothing to compare."""
    failure = None if judgment.failure is None else judgment.failure.kind
    return stand(case.gold, judgment.scores, judgment.winner, failure)


def stand(
    gold: Sequence[float] | None, scores: Sequence[float] | None, winner: int | None, failure: str | None
) -> Standing | None:
    """Do the work of `standing` on the parts of an output row; `failure` is its kind.

    Right: the judged winner, or all that share the top, are best by gold. Tied: a shared top that holds a best
    candidate and others. Wrong: neither.
    """
    if gold is None or len(gold) < 2:
        return None
    if failure is not None or scores is None:
        return "errored" if failure in ("engine_error", "too_long") else "unparsed"
    highest, highest_score = max(gold), max(scores)
    best = {i for i, value in enumerate(gold) if value == highest}
    top = {i for i, score in enumerate(scores) if score == highest_score}
    judged = top if winner is None else {winner}
    return "right" if judged <= best else "tied" if judged & best else "wrong"


def judgment_row(case: Case, judgment: Judgment) -> dict[str, Any]:
    """Write an output row. `correct` is false for a tie that gold does not share, null without gold or verdict."""
    correct = {"right": True, "wrong": False, "tied": False}
    return {
        "id": case.id,
        "winner": judgment.winner,
        "scores": judgment.scores,
        "confidence": judgment.confidence,
        **({} if judgment.standard_errors is None else {"standard_errors": judgment.standard_errors}),
        **({"notes": judgment.notes} if judgment.notes else {}),
        "gold": case.gold,
        **({"anchors": [anchor.gold for anchor in case.anchors]} if case.anchors else {}),
        "correct": correct.get(standing(case, judgment) or ""),
        "failure": judgment.failure and {"kind": judgment.failure.kind, "detail": judgment.failure.detail},
        "usage": msgspec.to_builtins(judgment.usage),
        "verdicts": [_verdict_row(verdict) for verdict in judgment.verdicts],
    }


def read_rows(path: str | Path, kind: type[T]) -> Iterator[T]:
    """Yield the output rows of a file that `judge --out` wrote (also with gzip), each decoded as `kind`.

    Raises `BadInput` with the line of what is no output row.
    """
    decode = msgspec.json.Decoder(kind).decode
    with open_source(path) as source:
        for number, item in source.items:
            if not isinstance(item, bytes) or b'"verdicts"' not in item:
                raise BadInput(f"{source.place(number)}: is no output row; give what judge --out wrote")
            try:
                yield decode(item)
            except ValueError as error:
                raise BadInput(
                    f"{source.place(number)}: is no output row ({plain_words(error)}); give what judge --out wrote"
                ) from error


@contextmanager
def write_rows(path: str | Path) -> Iterator[Callable[[object], None]]:
    """Give a function that writes one JSON row; "-" is standard output.

    Rows go to PATH.partial, which becomes PATH when the block ends well; after an error it stays what it was called.
    Raises `BadInput` if the file cannot be written, is being written by another run, or is a database (a journal is
    what was paid for: it is never replaced by rows).
    """
    target = Path(os.path.realpath(path))
    whole = str(path) != "-" and (target.is_file() or not target.exists())  # not a pipe or a device
    file = _opened(path, Path(f"{target}.partial") if whole else target, whole)
    try:
        yield lambda row: _write(path, file, msgspec.json.encode(row) + b"\n")
        _write(path, file, b"")
        if whole:
            os.fsync(file.fileno())
            os.replace(file.name, target)
    finally:
        if file is not sys.stdout.buffer:
            with suppress(OSError):  # what could not be written was told
                file.close()


def _opened(path: str | Path, place: Path, whole: bool) -> BinaryIO:
    if str(path) == "-":
        return sys.stdout.buffer
    if whole and _is_database(place.with_suffix("")):
        raise BadInput(f"{path} is a journal or another database and stays as it is; give another file")
    try:
        file = place.open("ab" if whole else "wb")
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error
    try:
        if whole:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
    except OSError as error:
        file.close()
        raise BadInput(f"another run is writing {path}; give each run a file of its own") from error
    return file


def _is_database(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _write(path: str | Path, file: BinaryIO, data: bytes) -> None:
    """Write, or with nothing to write flush. A reader that has gone is for the caller to see."""
    try:
        file.write(data) if data else file.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error


def _verdict_row(verdict: Verdict) -> dict[str, Any]:
    outcome = verdict.outcome
    scores = outcome.scores if isinstance(outcome, Scores) else None
    shown = [score for score in scores or () if score is not None]
    top = [i for i, score in enumerate(scores or ()) if score == max(shown)]
    winner = outcome.winner if isinstance(outcome, Winner) else top[0] if len(top) == 1 else None
    failure = {"kind": outcome.kind, "detail": outcome.detail} if isinstance(outcome, Failure) else None
    return {
        "order": verdict.order,
        "winner": winner,
        "scores": scores,
        "failure": failure,
        "trace": msgspec.to_builtins(verdict.trace),
        "text": verdict.completion.text,
        **({"cut": verdict.completion.cut} if verdict.completion.cut else {}),
        **({"by": verdict.by} if verdict.by else {}),
        **({"value": verdict.value} if verdict.value is not None else {}),
        **({"expected": verdict.expected} if verdict.expected is not None else {}),
    }

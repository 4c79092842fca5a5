"""Rows and cases: reads JSONL case rows, writes JSONL output rows.

A case is where the sentence begins, an output row is what is left of it.

A case row is {"id", "prompt", "candidates", "gold", "reference", "tags"}: `prompt` a string or a list of
{"role", "content"} ending with the user, `gold` one number per candidate, or the index of the best one, or null.
Only `prompt` and `candidates` must be there. Output rows hold no time and no machine: the same verdicts give the
same bytes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from .errors import BadInput
from .types import Case, Failure, Judgment, Message, Scores, Verdict, Winner, content_hash

__all__ = ["Standing", "case_row", "judgment_row", "parse_case", "read_cases", "standing", "write_rows"]

_ACCEPTED = (
    'a row is {"prompt": string or [{"role", "content"}, ...], "candidates": [string, ...]} and optionally "id", '
    '"gold": [number per candidate] or index of the best, "reference": string, "tags": {name: string or integer}'
)


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    prompt: str | list[Message]
    candidates: list[str]
    id: str | int | None = None
    gold: list[float] | int | None = None
    reference: str | None = None
    tags: dict[str, str | int] = {}


_decode = msgspec.json.Decoder(_Row).decode


def read_cases(path: str | Path, notes: list[str] | None = None) -> Iterator[Case]:
    """Yield the cases of a JSONL file ("-": standard input) without holding them.

    Blank lines are skipped. What may be a mistake but is not an error (two rows with the same candidates in another
    order) goes to `notes`. Raises `BadInput` with file, line, what was got and what is accepted, also for two rows
    with one id and for a file without rows.
    """
    ids: dict[str, int] = {}
    contents: dict[str, int] = {}
    for number, line in _lines(path):
        case = parse_case(line, f"{path}:{number}")
        if case.id in ids:
            raise BadInput(f"{path}: lines {ids[case.id]} and {number} have the same id {case.id!r}; ids must differ")
        ids[case.id] = number
        first = contents.setdefault(content_hash([case.messages, sorted(case.candidates)]), number)
        if first != number and notes is not None:
            notes.append(f"{path}: lines {first} and {number} hold the same prompt and candidates, maybe reordered")
        yield case
    if not ids:
        raise BadInput(f"{path}: holds no rows; {_ACCEPTED}")


def parse_case(line: bytes | str | dict[str, Any], where: str = "row") -> Case:
    """Make a case of one row, as JSON or as a dict; `where` opens the message of the `BadInput` for a bad one.

    A row without an id gets the hash of its content.
    """
    try:
        row = msgspec.convert(line, _Row) if isinstance(line, dict) else _decode(line)
        messages = (Message("user", row.prompt),) if isinstance(row.prompt, str) else tuple(row.prompt)
        _check(row, messages)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadInput(f"{where}: {str(error).replace(' - at `$.', ' in `')}; {_ACCEPTED}") from error
    case = Case("", messages, tuple(row.candidates), _gold(row), row.reference, row.tags)
    return msgspec.structs.replace(case, id=case.content() if row.id is None else str(row.id))


def case_row(case: Case) -> dict[str, Any]:
    """Write a case as a row; the inverse of `parse_case`."""
    row: dict[str, Any] = msgspec.to_builtins(case)
    messages = row.pop("messages")
    plain = len(messages) == 1 and messages[0]["role"] == "user"
    return {"id": row.pop("id"), "prompt": messages[0]["content"] if plain else messages, **row}


Standing = Literal["right", "wrong", "tied", "unparsed", "errored"]


def standing(case: Case, judgment: Judgment) -> Standing | None:
    """Hold a judgment against gold, in the words of `Tally`; None if there is nothing to compare.

    Right: the judged winner, or all that share the top, are best by gold. Tied: a shared top that holds a best
    candidate and others. Wrong: neither.
    """
    if case.gold is None or len(case.gold) < 2:
        return None
    if judgment.failure is not None or judgment.scores is None:
        lost = judgment.failure is not None and judgment.failure.kind in ("engine_error", "too_long")
        return "errored" if lost else "unparsed"
    best = {i for i, gold in enumerate(case.gold) if gold == max(case.gold)}
    top = {i for i, score in enumerate(judgment.scores) if score == max(judgment.scores)}
    judged = top if judgment.winner is None else {judgment.winner}
    return "right" if judged <= best else "tied" if judged & best else "wrong"


def judgment_row(case: Case, judgment: Judgment) -> dict[str, Any]:
    """Write an output row. `correct` is false for a tie that gold does not share, null without gold or verdict."""
    correct = {"right": True, "wrong": False, "tied": False}
    return {
        "id": case.id,
        "winner": judgment.winner,
        "scores": judgment.scores,
        "confidence": judgment.confidence,
        "gold": case.gold,
        "correct": correct.get(standing(case, judgment) or ""),
        "failure": judgment.failure and {"kind": judgment.failure.kind, "detail": judgment.failure.detail},
        "usage": msgspec.to_builtins(judgment.usage),
        "verdicts": [_verdict_row(verdict) for verdict in judgment.verdicts],
    }


@contextmanager
def write_rows(path: str | Path) -> Iterator[Callable[[object], None]]:
    """Give a function that writes one JSON row; "-" is standard output.

    Rows go to PATH.partial, which becomes PATH when the block ends well; after an error it stays what it was called.
    Raises `BadInput` if the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    whole = str(path) != "-" and (target.is_file() or not target.exists())  # not a pipe or a device
    with _output(path, Path(f"{target}.partial") if whole else target) as file:
        yield lambda row: _write(file, row)
        file.flush()
        if whole:
            os.fsync(file.fileno())
            os.replace(file.name, target)


def _output(path: str | Path, place: Path) -> AbstractContextManager[BinaryIO]:
    try:
        return nullcontext(sys.stdout.buffer) if str(path) == "-" else place.open("wb")
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error


def _write(file: BinaryIO, row: object) -> None:
    file.write(msgspec.json.encode(row) + b"\n")


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
    }


def _lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Number the lines that are not blank, without a byte order mark."""
    try:
        with sys.stdin.buffer if str(path) == "-" else open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                text = line.removeprefix(b"\xef\xbb\xbf").strip()
                if text:
                    yield number, text
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _check(row: _Row, messages: tuple[Message, ...]) -> None:
    """Raise `ValueError` for what the types let through."""
    count = len(row.candidates)
    if row.id == "":
        raise ValueError("`id` is empty")
    if not messages or messages[-1].role != "user":
        raise ValueError("`prompt` must end with a user message")
    if not messages[-1].content.strip():
        raise ValueError("`prompt` is empty")
    if not count:
        raise ValueError("`candidates` is empty")
    if isinstance(row.gold, list) and len(row.gold) != count:
        raise ValueError(f"`gold` has {len(row.gold)} numbers for {count} candidates")
    if isinstance(row.gold, int) and not 0 <= row.gold < count:
        raise ValueError(f"`gold` is {row.gold}, but the index of the best of {count} candidates is 0 to {count - 1}")


def _gold(row: _Row) -> tuple[float, ...] | None:
    if isinstance(row.gold, int):
        return tuple(float(i == row.gold) for i in range(len(row.candidates)))
    return None if row.gold is None else tuple(row.gold)

"""Recorded completions, from a journal or from JSONL rows, found by (case id, sample).

Shared by the engines that answer from records. A JSONL row is {"case_id", "sample", "text", "finish"} and optionally
"reasoning", "usage", "protocol" and "order"; without "order" it answered the candidates in the order of the case.
Where a record showed the candidates in another order than the prompt asks for, its completion says so (`order`), and
the protocol reads the labels accordingly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

from ..errors import BadInput
from ..journal import is_journal, read_journal
from ..types import Completion, Prompt, Usage, content_hash

__all__ = ["Records"]

_ACCEPTED = (
    'a row is {"case_id": string, "text": string} and optionally "sample": 0.., "finish": "stop" or "length", '
    '"reasoning": string, "order": [candidate, ...], "protocol": string, "usage": {...}'
)


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    case_id: str | int
    text: str
    sample: Annotated[int, msgspec.Meta(ge=0)] = 0
    finish: Literal["stop", "length"] = "stop"
    reasoning: str | None = None
    order: tuple[int, ...] | None = None
    protocol: str | None = None
    usage: Usage = Usage(calls=1)


class _Entry(NamedTuple):
    """One record; a None fits every prompt."""

    case_id: str
    sample: int
    order: tuple[int, ...] | None
    protocol: str | None
    seed: int | None
    completion: Completion


class Records:
    """The recorded completions of a file, whatever the order of its rows.

    Raises `BadInput` if the file is missing, or names the lines that are malformed or say the same thing twice.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self._entries: defaultdict[tuple[str, int], list[_Entry]] = defaultdict(list)
        lines: dict[object, int] = {}
        for number, entry in self._read():
            if lines.setdefault(entry[:5], number) != number:
                raise BadInput(
                    f"{path}: records {lines[entry[:5]]} and {number} both answer case {entry.case_id!r} "
                    f"sample {entry.sample} in the same order"
                )
            self._entries[entry.case_id, entry.sample].append(entry)
        if not lines:
            raise BadInput(f"{path}: holds no records; {_ACCEPTED}")

    @property
    def identity(self) -> str:
        """A hash of what is recorded; equal for files that hold the same records in another order."""
        return content_hash(sorted(content_hash(entry) for group in self._entries.values() for entry in group))

    def find(self, prompt: Prompt) -> Completion | None:
        """Return what was recorded for a prompt's case and sample, with the order that it answers, or None.

        Among several, the one with the prompt's seed, then its order, then the least order.
        """
        fitting = [
            (entry.seed not in (None, prompt.seed), order != prompt.order, order, entry.completion)
            for entry in self._entries.get((prompt.case.id, prompt.sample), ())
            if entry.protocol in (None, prompt.protocol)
            and sorted(order := entry.order or tuple(range(len(prompt.case.candidates)))) == sorted(prompt.order)
        ]
        if not fitting:
            return None
        *_, order, completion = min(fitting, key=lambda entry: entry[:3])
        return msgspec.structs.replace(completion, order=order)

    def _read(self) -> Iterator[tuple[int, _Entry]]:
        try:
            yield from self._from_journal() if is_journal(self.path) else self._from_rows()
        except OSError as error:
            raise BadInput(f"cannot read {self.path}: {error.strerror}") from error

    def _from_journal(self) -> Iterator[tuple[int, _Entry]]:
        for number, record in enumerate(read_journal(self.path), 1):
            sample, seed = record.request.sample, record.request.seed
            order = record.completion.order or record.order  # a replayed run's journal knows both
            yield number, _Entry(record.case_id, sample, order, record.protocol, seed, record.completion)

    def _from_rows(self) -> Iterator[tuple[int, _Entry]]:
        decode = msgspec.json.Decoder(_Row).decode
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise BadInput(f"{self.path}:{number}: {error}; {_ACCEPTED}") from error
                completion = Completion(row.text, row.reasoning, row.finish, row.usage)
                yield number, _Entry(str(row.case_id), row.sample, row.order, row.protocol, None, completion)

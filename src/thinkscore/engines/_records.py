"""Recorded completions, from a journal or from JSONL rows, found by (case id, sample).

Shared by the engines that answer from records. A JSONL row is {"case_id", "sample", "text", "finish"} and optionally
"reasoning", "usage", "protocol" and "order"; without "order" it answered the candidates in the order of the case.
Where a record showed the candidates in another order than the prompt asks for, its completion says so (`order`), and
the protocol reads the labels accordingly. What was scored and not drawn (values of a scalar head, log-probabilities) is
found by what was scored; a case and sample say little there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

from ..errors import BadInput
from ..journal import Request, is_journal, read_journal
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
    scored: str | None
    forced: bool
    completion: Completion


class Records:
    """The recorded completions of a file, whatever the order of its rows.

    Raises `BadInput` if the file is missing, or names the lines that are malformed or say the same thing twice.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self._entries: defaultdict[tuple[str, int], list[_Entry]] = defaultdict(list)
        self._scored: dict[str, Completion] = {}
        self._forced = list[str]()
        lines: dict[object, int] = {}
        for number, entry in self._read():
            said = entry[:6]
            if lines.setdefault(said, number) != number:
                raise BadInput(
                    f"{path}: records {lines[said]} and {number} both answer case {entry.case_id!r} "
                    f"sample {entry.sample} in the same order"
                )
            if entry.scored is not None:
                self._scored[entry.scored] = entry.completion
            if entry.forced:
                self._forced.append(content_hash(entry))
            else:
                self._entries[entry.case_id, entry.sample].append(entry)
        if not lines:
            raise BadInput(f"{path}: holds no records; {_ACCEPTED}")

    @property
    def identity(self) -> str:
        """A hash of what is recorded; equal for files that hold the same records in another order."""
        every = (entry for group in self._entries.values() for entry in group)
        return content_hash(sorted([*self._forced, *(content_hash((*entry[:5], entry[-1])) for entry in every)]))

    @property
    def forced(self) -> bool:
        """Whether readings were forced from log-probabilities."""
        return bool(self._forced)

    def samples(self) -> dict[str, set[int]]:
        """Return which samples of each case there are; values of a scalar head are one."""
        found: dict[str, set[int]] = {}
        for case_id, sample in self._entries:
            found.setdefault(case_id, set()).add(sample)
        return found

    def find(self, prompt: Prompt) -> Completion | None:
        """Return what was recorded for a prompt's case and sample, with the order that it answers, or None.

        Among several, the one with the prompt's seed, then its order, then the least order. What is to be scored is
        found by its text; else by case and sample if that leaves no doubt.
        """
        scored = _scored(prompt)
        if scored in self._scored or prompt.continuations:
            return self._scored.get(scored or "")
        fitting = [
            (entry.seed not in (None, prompt.seed), order != prompt.order, order, entry.completion)
            for entry in self._entries.get((prompt.case.id, prompt.sample), ())
            if entry.protocol in (None, prompt.protocol)
            and sorted(order := entry.order or tuple(range(len(prompt.case.candidates)))) == sorted(prompt.order)
        ]
        fitting.sort(key=lambda entry: entry[:3])
        if not fitting or (scored and [entry[:3] for entry in fitting].count(fitting[0][:3]) > 1):
            return None
        *_, order, completion = fitting[0]
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
            scored = _scored(record.request)
            forced = bool(record.request.continuations)
            said = record.case_id, sample, order, record.protocol, seed
            yield number, _Entry(*said, scored, forced, record.completion)

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
                yield (
                    number,
                    _Entry(str(row.case_id), row.sample, row.order, row.protocol, None, None, False, completion),
                )


def _scored(asked: Prompt | Request) -> str | None:
    """Hash what is to be scored, whoever scores it; None for what is to be drawn."""
    if asked.conversations:
        return content_hash(asked.conversations)
    if asked.continuations:
        return content_hash([asked.messages, asked.prefill, asked.continuations])
    return None

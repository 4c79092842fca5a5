"""Words that training rows share with benchmarks, found by hashes of n-grams.

Overlaps of 8 to 13 words are what is usual: GPT-3 (arXiv:2005.14165, appendix C) takes 13, compares words without case
and punctuation, short texts in full, and passes over n-grams that are found so often that they must be boilerplate.
We drop a whole row where GPT-3 cuts a document around the overlap, count as boilerplate what stands in more than
10 different prompts of the benchmarks, and compare with prompts, since answers of benchmarks are often of one word.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..data import read_cases
from ..data.formats._base import recognise
from ..data.sources import Item, Unreadable, open_source
from ..errors import BadInput
from ..types import Message

__all__ = ["COMMON", "Benchmarks", "Hit", "read_prompts", "words"]

COMMON = 10
"""An n-gram in more prompts than this is boilerplate."""

# A letter of a script that writes no spaces is a word of its own.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_COLUMNS = ("prompt", "question", "problem", "instruction", "query", "turns", "input", "text")
_ACCEPTED = (
    f"a benchmark is a file of preference rows, of rows with one of {', '.join(_COLUMNS)}, or a .txt file with a "
    "prompt in each line"
)


def words(text: str) -> list[str]:
    """Split into words: compatibility forms unified (NFKC), case folded, punctuation and white space left out."""
    return _WORD.findall((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold())


def read_prompts(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the user turns of each row of a benchmark. Raises `BadInput` for the first bad row."""
    if path.lower().endswith(".txt"):
        yield from ((number, [line]) for number, line in enumerate(_text(path).splitlines(), 1) if line.strip())
        return
    with open_source(path) as source:
        number, first = next(source.items, (0, {}))
        known = recognise(_row(first, source.place(number))) is not None
    if known:
        yield from ((i, turns(case.messages)) for i, case in enumerate(read_cases(path, repeats=True), 1))
        return
    with open_source(path) as source:
        for number, item in source.items:
            yield number, _said(_row(item, source.place(number)), source.place(number))


def turns(messages: Sequence[Message]) -> list[str]:
    """Return what the user says."""
    return [message.content for message in messages if message.role == "user"]


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {path}: {error}; {_ACCEPTED}") from error


def _row(item: Item, place: str) -> dict[str, Any]:
    try:
        if isinstance(item, Unreadable):
            raise ValueError(item.reason)
        return msgspec.json.decode(item, type=dict[str, Any]) if isinstance(item, bytes) else item
    except ValueError as error:
        raise BadInput(f"{place}: {error}; {_ACCEPTED}") from error


def _said(row: dict[str, Any], place: str) -> list[str]:
    """Find the prompt of a row that is no preference row: text, texts, or messages."""
    for value in (row[column] for column in _COLUMNS if column in row):
        parts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        said = [
            part if isinstance(part, str) else str(part.get("content"))
            for part in parts
            if isinstance(part, str) or (isinstance(part, dict) and part.get("role") == "user")
        ]
        if said:
            return said
    raise BadInput(f"{place}: has no prompt in its columns {', '.join(map(str, row)) or '(none)'}; {_ACCEPTED}")


class Hit(NamedTuple):
    """What a text shares with a benchmark."""

    benchmark: int
    """Number of the benchmark, in the order given."""
    row: int
    """The first row there that has it: its line, or its number where there are no lines."""
    words: str
    """The words that are shared, as they are compared."""


class Benchmarks:
    """The n-grams of the prompts of some benchmarks; to find those that a text shares."""

    def __init__(self, prompts: Iterable[Iterable[tuple[int, Sequence[str]]]], n: int) -> None:
        """Take the prompts of each benchmark, as (row number, user turns); n is in words."""
        self.n = n
        self.counts: list[int] = []
        """Prompts of each benchmark."""
        self._ids: dict[str, int] = {}
        self._factors = _scattered(np.arange(2**32, 2**32 + n, dtype=np.uint64)) | np.uint64(1)
        self._whole: dict[bytes, int] = {}
        self._rows: list[tuple[int, int]] = []  # (benchmark, row) of each different prompt
        self._collect(prompts)

    def _collect(self, prompts: Iterable[Iterable[tuple[int, Sequence[str]]]]) -> None:
        found, owners = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
        for benchmark, rows in enumerate(prompts):
            self.counts.append(0)
            for row, said in rows:
                self.counts[-1] += 1
                told = [words(text) for text in said]
                number = len(self._rows)
                if not any(told) or self._whole.setdefault(_whole(told), number) != number:
                    continue
                self._rows.append((benchmark, row))
                grams = np.unique(np.concatenate([self._grams(text, learn=True) for text in told]))
                found.append(grams)
                owners.append(np.full(len(grams), number, np.int32))
        self._index(np.concatenate(found), np.concatenate(owners))

    def _index(self, grams: NDArray[np.uint64], owners: NDArray[np.int32]) -> None:
        """Sort the n-grams, each with the first prompt that has it, without those that are boilerplate."""
        order = np.argsort(grams, kind="stable")
        keys, first, prompts = np.unique(grams[order], return_index=True, return_counts=True)
        rare = prompts <= COMMON
        self._keys, self._owners = keys[rare], owners[order][first[rare]]
        # Most hashes of a text are no keys; one byte tells, before a search that reads all over the memory.
        bits = max(8, (16 * len(self._keys)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._sieve = np.zeros(2**bits, np.bool_)
        self._sieve[self._keys >> self._shift] = True
        self.common = int((~rare).sum())
        """N-grams that were left out because more than `COMMON` prompts have them."""

    def _grams(self, text: Sequence[str], learn: bool = False) -> NDArray[np.uint64]:
        """Hash every run of n words to 64 bits; a word that no benchmark has matches none."""
        if len(text) < self.n:
            return np.empty(0, np.uint64)
        ids = (
            [self._ids.setdefault(w, len(self._ids) + 1) for w in text]
            if learn
            else [self._ids.get(w, 0) for w in text]
        )
        return np.correlate(_scattered(np.array(ids, np.uint64)), self._factors, "valid")

    def digest(self) -> str:
        """Hash what is looked for."""
        whole = b"".join(sorted(self._whole))
        return hashlib.blake2b(self._keys.tobytes() + whole, digest_size=16).hexdigest()

    def match(self, prompt: Sequence[str], replies: Iterable[str] = ()) -> Hit | None:
        """Find the first n-gram of the user turns of a prompt, or of replies, that a benchmark has.

        A prompt is also compared in full, which is all that can be done for one of fewer than n words.
        """
        told = [words(text) for text in prompt]
        same = self._whole.get(_whole(told)) if any(told) else None
        if same is not None:
            return self._found(same, [word for text in told for word in text])
        for text in (*told, *map(words, replies)):
            grams = self._grams(text)
            for start in np.flatnonzero(self._sieve[grams >> self._shift]).tolist():
                place = int(np.searchsorted(self._keys, grams[start]))
                if place < len(self._keys) and self._keys[place] == grams[start]:
                    return self._found(int(self._owners[place]), text[start : start + self.n])
        return None

    def _found(self, prompt: int, shared: Sequence[str]) -> Hit:
        benchmark, row = self._rows[prompt]
        return Hit(benchmark, row, " ".join(shared))


def _whole(told: Iterable[Sequence[str]]) -> bytes:
    return hashlib.blake2b("\n".join(" ".join(text) for text in told).encode(), digest_size=16).digest()


def _scattered(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread small numbers over 64 bits (the finaliser of SplitMix64)."""
    with np.errstate(over="ignore"):
        x = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))

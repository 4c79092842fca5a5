"""The rows of a mixture while it is made: the cases in a file, beside it what tells them apart.

100,000 cases take tens of megabytes here, whatever their length.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from typing import IO

import msgspec

from ..data import Skipped, read_cases
from ..types import Case
from ._mixture_settings import Mixture, Source
from ._ngrams import Benchmarks, Hit, turns

__all__ = ["Row", "Spool", "best", "prompt_text", "read"]

_LABELS = 40  # sets of one file that are counted apart
_SAID = 1000  # rows between words on how far it is


class Row(msgspec.Struct, gc=False):
    """What is kept in memory of a case."""

    id: str
    """As its file has it; made unique before it is written."""
    source: int
    """Number of its file."""
    label: str
    """What it is counted under: the name of its file, and the set that its tag names."""
    place: int
    """Where the case starts in the spool."""
    prompt: int
    """Hash of the conversation, as `prompt_text` writes it."""
    pair: int
    """Hash of the conversation and of the candidates, whatever their order."""
    said: int
    """Hash of the order by gold, to find the same pair with another label."""
    n: int
    """Candidates."""
    best: int
    """The best candidate."""
    dropped: str = ""
    """Why it is left out; empty if it is kept."""
    file: str = ""
    """The file it is written to."""
    hit: Hit | None = None
    """What it shares with a benchmark."""
    at: int = -1
    """The place of the best candidate there; -1 leaves the candidates as they are."""


class Spool:
    """Cases in a file, to be read again in any order."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._end = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self._decode = msgspec.json.Decoder(Case).decode

    def add(self, case: Case) -> int:
        """Write a case and return where it starts."""
        line = msgspec.json.encode(case) + b"\n"
        self._file.write(line)
        self._hash.update(line)
        place, self._end = self._end, self._end + len(line)
        return place

    def read(self, place: int) -> Case:
        """Read the case that starts there."""
        self._file.seek(place)
        return self._decode(self._file.readline())

    def digest(self) -> str:
        """Hash all that was added."""
        return self._hash.hexdigest()


def read(
    source: Source,
    number: int,
    mixture: Mixture,
    spool: Spool,
    index: Benchmarks | None,
    say: Callable[[str, int], None] | None = None,
) -> tuple[list[Row], Skipped]:
    """Read one file into the spool; rows that cannot be used are marked as dropped. Raises `BadInput`."""
    cases = read_cases(
        source.file, format=source.format, skip_bad=mixture.skip_bad, thoughts=mixture.thoughts, repeats=True
    )
    rows: list[Row] = []
    labels: set[str] = set()
    for case in cases:
        row = _row(case, number, _label(case, source.name, labels), spool)
        row.dropped = _wrong(case, mixture)
        if not row.dropped and index is not None:
            row.hit = _hit(case, index, mixture)
            row.dropped = "in a benchmark" if row.hit else ""
        rows.append(row)
        if say is not None and len(rows) % _SAID == 0:
            say(source.name, len(rows))
    return rows, cases.skipped


def _label(case: Case, name: str, labels: set[str]) -> str:
    """Name the set that a row comes from; of a file with very many, the rest go together."""
    given = str(case.tags.get("source", ""))
    if not given:
        return name
    if given not in labels and len(labels) >= _LABELS:
        return f"{name}/others"
    labels.add(given)
    return f"{name}/{given}"


def _row(case: Case, source: int, label: str, spool: Spool) -> Row:
    prompt = _hash(prompt_text(case))
    texts, said = _labelled(case)
    first = None if case.gold is None else best(case.gold)
    return Row(case.id, source, label, spool.add(case), prompt, _hash(str(prompt), texts), said, len(case.candidates),
               first or 0)  # fmt: skip


def _wrong(case: Case, mixture: Mixture) -> str:
    """Say why a row cannot be used; nothing if it can."""
    if case.tags.get("source") in mixture.exclude:
        return "excluded source"
    if case.gold is None:
        return "no gold"
    if mixture.pairs and len(case.candidates) != 2:
        return "no pair"
    first = best(case.gold)
    if first is None:
        return "no single best candidate"
    if not all(text.strip() for text in case.candidates):
        return "empty candidate"
    if case.candidates.count(case.candidates[first]) > 1:
        return "best candidate twice"
    return ""


def _hit(case: Case, index: Benchmarks, mixture: Mixture) -> Hit | None:
    earlier = (turn.content for turn in case.messages if turn.role == "assistant")
    return index.match(turns(case.messages), (*case.candidates, *earlier) if mixture.in_replies else ())


def prompt_text(case: Case) -> str:
    """Write a conversation so that those which differ in case, spaces or forms of letters alone are one.

    System messages are left out: the same question under another is still the same question.
    """
    said = (f"{turn.role} {turn.content}" for turn in case.messages if turn.role != "system")
    return "\n".join(" ".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in said)


def best(gold: Sequence[float]) -> int | None:
    """Return the best candidate by gold; None if several share the top."""
    top = [i for i, value in enumerate(gold) if value == max(gold)]
    return top[0] if len(top) == 1 else None


def _labelled(case: Case) -> tuple[str, int]:
    """Write the candidates and hash their order by gold, both whatever their order in the case.

    The order of one candidate is its gold.
    """
    gold = case.gold or (0.0,) * len(case.candidates)
    places = sorted(range(len(gold)), key=lambda i: (case.candidates[i], gold[i]))
    levels = sorted(set(gold))
    order = [str(gold[0])] if len(gold) == 1 else [str(levels.index(gold[i])) for i in places]
    return "\x1f".join(case.candidates[i] for i in places), _hash(*order)


def _hash(*parts: str) -> int:
    """Hash texts to 64 bits."""
    return int.from_bytes(hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest())

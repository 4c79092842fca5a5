"""Evaluation lines of untagged protocols: `Response 1: "quote" remark; "quote" remark`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..types import Line, Note

_PIECE = re.compile(r'"(?P<quote>[^"\n]*)"|“(?P<curly>[^“”\n]*)”|(?P<remark>[^;"“\n]+)')


def write_remarks(name: str, notes: Iterable[Note]) -> str:
    """Write the notes on one candidate as one line."""
    return f"{name}: {write_pieces(notes)}"


def write_pieces(notes: Iterable[Note]) -> str:
    """Write quotes and remarks one after the other."""
    parts: list[str] = []
    for note in notes:
        if parts and not parts[-1].endswith('"'):
            parts[-1] += ";"
        parts.append(f'"{note.text}"' if note.quote else note.text)
    return " ".join(parts)


def read_remarks(line: Line, name: str, order: Sequence[int], labels: str = "") -> list[Note] | None:
    """Read a line that starts with `NAME k:` as notes on the candidate at place k; None for any other line.

    With `labels` ("AB") k is one of these letters.
    """
    head = re.match(rf"[*#\s-]*{name} ({f'[{labels}]' if labels else '[0-9]{1,4}'})[*\s]*:[*\s]*", line.text)
    place = 0 if head is None else labels.index(head[1]) + 1 if labels else int(head[1])
    if head is None or not 1 <= place <= len(order):
        return None
    return read_pieces(line, (head.end(), len(line.text)), order[place - 1])


def read_pieces(line: Line, part: tuple[int, int], candidate: int | None, criterion: int | None = None) -> list[Note]:
    """Read the quotes and remarks in a part of a line (start and end in its text) as notes."""
    notes = []
    for match in _PIECE.finditer(line.text, *part):
        kind = match.lastgroup or "remark"
        said = match[kind].strip()
        if said:
            start = line.span[0] + match.start(kind) + match[kind].index(said)
            notes.append(Note(said, (start, start + len(said)), candidate, kind != "remark", criterion))
    return notes


def split_evaluation(
    lines: Iterable[Line], name: str, order: Sequence[int], labels: str = ""
) -> tuple[list[Line], list[Note]]:
    """Part lines into free reasoning and notes, the notes grouped by candidate in the order of the case."""
    free, notes = [], []
    for line in lines:
        found = read_remarks(line, name, order, labels)
        if found is None:
            free.append(line)
        else:
            notes += found
    return free, sorted(notes, key=lambda note: note.candidate or 0)


def free_lines(lines: Iterable[Line]) -> list[str]:
    """Return what lines say, one text each."""
    return [line.text for line in lines]

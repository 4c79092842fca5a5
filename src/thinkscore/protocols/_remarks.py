"""Evaluation lines of untagged protocols: `Response 1: "quote" remark; "quote" remark`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..types import Line, Note

_PIECE = re.compile(r'"(?P<quote>[^"\n]*)"|“(?P<curly>[^“”\n]*)”|(?P<remark>[^;"“\n]+)')


def write_remarks(name: str, notes: Iterable[Note]) -> str:
    """Write the notes on one candidate as one line."""
    parts: list[str] = []
    for note in notes:
        if parts and not parts[-1].endswith('"'):
            parts[-1] += ";"
        parts.append(f'"{note.text}"' if note.quote else note.text)
    return f"{name}: {' '.join(parts)}"


def read_remarks(line: Line, name: str, order: Sequence[int]) -> list[Note] | None:
    """Read a line that starts with `NAME k:` as notes on the candidate at place k; None for any other line."""
    head = re.match(rf"[*#\s-]*{name} (\d{{1,4}})[*\s]*:[*\s]*", line.text)
    if head is None or not 1 <= int(head[1]) <= len(order):
        return None
    notes = []
    for match in _PIECE.finditer(line.text, head.end()):
        kind = match.lastgroup or "remark"
        said = match[kind].strip()
        if said:
            start = line.span[0] + match.start(kind) + match[kind].index(said)
            notes.append(Note(said, (start, start + len(said)), order[int(head[1]) - 1], kind != "remark"))
    return notes


def split_evaluation(lines: Iterable[Line], name: str, order: Sequence[int]) -> tuple[list[Line], list[Note]]:
    """Part lines into free reasoning and notes, the notes grouped by candidate in the order of the case."""
    free, notes = [], []
    for line in lines:
        found = read_remarks(line, name, order)
        if found is None:
            free.append(line)
        else:
            notes += found
    return free, sorted(notes, key=lambda note: note.candidate or 0)


def free_lines(lines: Iterable[Line]) -> list[str]:
    """Return what lines say, one text each."""
    return [line.text for line in lines]

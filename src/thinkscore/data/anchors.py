"""Anchors for cases: answers to the same prompt, from another file or from the case's own reference.

A case is where the sentence begins; its anchors are compared with and not judged (strategy `anchored`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ..errors import BadInput
from ..types import Anchor, Case, Message
from .reader import read_cases

__all__ = ["join_anchors"]

_ACCEPTED = (
    'anchors are rows {"prompt", "candidates", "gold"} with the prompts of the cases, one or more for each prompt, '
    'or the word "reference" for the reference of each case'
)


def join_anchors(cases: Iterable[Case], anchors: str | Path | Iterable[Case]) -> Iterator[Case]:
    """Yield each case with the candidates of the anchor rows on its prompt as anchors, after those it has.

    `anchors` is a file, rows as cases, or "reference". A prompt without rows gets none. Raises `BadInput` if only some
    anchors have gold, and for one text with two.
    """
    if anchors == "reference":
        return (_extended(case, _reference(case)) for case in cases)
    found = _by_prompt(read_cases(anchors) if isinstance(anchors, str | Path) else anchors)
    return (_extended(case, found.get(case.messages, {})) for case in cases)


_Found = dict[str, float | None]


def _by_prompt(rows: Iterable[Case]) -> dict[tuple[Message, ...], _Found]:
    """Group anchors by prompt."""
    found: dict[tuple[Message, ...], _Found] = {}
    known: set[bool] = set()
    for row in rows:
        group = found.setdefault(row.messages, {})
        golds: Iterable[float | None] = row.gold or (None,) * len(row.candidates)
        known.add(row.gold is not None)
        for text, gold in zip(row.candidates, golds, strict=True):
            if group.setdefault(text, gold) != gold:
                raise BadInput(f"anchor row {row.id!r}: one answer has the gold {group[text]} and {gold}; {_ACCEPTED}")
    if len(known) > 1:
        raise BadInput(f"some anchor rows have gold and some have none; {_ACCEPTED}")
    return found


def _reference(case: Case) -> _Found:
    return {} if case.reference is None else {case.reference: None}


def _extended(case: Case, more: _Found) -> Case:
    added = tuple(Anchor(text, gold) for text, gold in more.items())
    return msgspec.structs.replace(case, anchors=case.anchors + added) if added else case

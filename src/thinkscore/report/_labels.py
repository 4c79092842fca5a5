"""What people said about the cases, and how far they agree with each other, with gold and with the judge.

Cohen's kappa for every pair of annotators, Krippendorff's alpha for all of them (`stats.py`). A judge's tie is the
label "tie"; what could not be read is no label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from ..data.sources import Unreadable, open_source
from ..errors import BadInput
from ..stats import cohen_kappa, krippendorff_alpha
from ..types import Case, Judgment

__all__ = ["Agreement", "Label", "LabelKind", "Pair", "read_labels"]

LabelKind = Literal["winner", "score", "category"]
Label = int | float | str
PAIRS = 40

_ACCEPTED = 'a label is {"id": case, "annotator": name, "label": text or number}, as JSONL or as CSV with these columns'
_MEANING = {
    "winner": 'the number of the best candidate, from 0, or "tie"',
    "score": "a number",
    "category": "any text",
}


class _Row(msgspec.Struct):
    id: str | int
    annotator: str | int
    label: str | int | float


class Pair(NamedTuple):
    """Two annotators on the cases that both labelled."""

    a: str
    b: str
    n: int
    observed: float
    """Share of equal labels."""
    kappa: float | None


def read_labels(path: str | Path, kind: LabelKind) -> dict[str, dict[str, Label]]:
    """Read labels by case and annotator from whatever holds rows (JSONL, CSV, ...).

    Raises `BadInput` with file and line for what is no label, and for two labels of one annotator on one case.
    """
    found: dict[str, dict[str, Label]] = {}
    with open_source(path) as source:
        for number, item in source.items:
            where = source.place(number)
            try:
                if isinstance(item, Unreadable):
                    raise ValueError(item.reason)
                row = msgspec.convert(msgspec.json.decode(item) if isinstance(item, bytes) else item, _Row)
            except (msgspec.DecodeError, ValueError) as error:
                raise BadInput(f"{where}: {error}; {_ACCEPTED}") from error
            labels = found.setdefault(str(row.id), {})
            if str(row.annotator) in labels:
                raise BadInput(f"{where}: {row.annotator} labels case {row.id!r} twice")
            labels[str(row.annotator)] = meaning(row.label, kind, where)
    if not found:
        raise BadInput(f"{path}: holds no labels; {_ACCEPTED}")
    return found


def meaning(label: Label, kind: LabelKind, where: str) -> Label:
    """Read a label as what it is said to be. Raises `BadInput`."""
    text = str(label).strip()
    try:
        if kind == "category":
            return text
        if kind == "score":
            if not isfinite(float(text)):
                raise ValueError
            return float(text)
        return "tie" if text.lower() == "tie" else int(text)
    except ValueError as error:
        raise BadInput(
            f"{where}: got the label {label!r}; with --label-kind {kind} a label is {_MEANING[kind]}"
        ) from error


@dataclass
class Agreement:
    """Collects the labelled cases of a run."""

    kind: LabelKind
    units: list[dict[str, Label]] = field(default_factory=list)
    """Per case: annotator -> label, "gold" and "judge" among them where a label names the winner."""
    people: Counter[str] = field(default_factory=Counter)
    """Labels by annotator."""

    def add(self, case: Case, judgment: Judgment, labels: dict[str, Label]) -> None:
        """Take the labels of a case that was judged."""
        if not labels:
            return
        self.people.update(labels.keys())
        unit = dict(labels)
        if self.kind == "winner":
            self._check(case, labels)
            for name, label in (("gold", _best(case.gold)), ("judge", _judged(judgment))):
                if label is not None:
                    unit[name] = label
        self.units.append(unit)

    def _check(self, case: Case, labels: dict[str, Label]) -> None:
        n = len(case.candidates)
        for name, label in labels.items():
            if name in ("gold", "judge"):
                raise BadInput(f"an annotator is called {name!r}; that name stands for the run's own; use another")
            if isinstance(label, int) and not 0 <= label < n:
                raise BadInput(
                    f"{name} labels case {case.id!r} with {label}; its candidates are 0 to {n - 1}. "
                    "For scores say --label-kind score, for anything else --label-kind category"
                )

    def alpha(self, metric: Literal["nominal", "interval"] = "nominal", others: Iterable[str] = ()) -> float | None:
        """Return alpha among the people, and these others ("judge", "gold")."""
        wanted = {*self.people, *others}
        return krippendorff_alpha(
            ([label for name, label in unit.items() if name in wanted] for unit in self.units), metric
        )

    def pairs(self) -> tuple[list[Pair], int]:
        """Return the pairs with most cases in common, and how many pairs have any."""
        common: dict[tuple[str, str], list[tuple[Label, Label]]] = {}
        rank = {name: place for place, name in enumerate([*sorted(self.people), "gold", "judge"])}
        for unit in self.units:
            for a, b in combinations(sorted(unit, key=rank.__getitem__), 2):
                common.setdefault((a, b), []).append((unit[a], unit[b]))
        chosen = sorted(common, key=lambda pair: (-len(common[pair]), rank[pair[0]], rank[pair[1]]))[:PAIRS]
        return [_pair(a, b, common[a, b]) for a, b in chosen], len(common)


def _pair(a: str, b: str, labels: list[tuple[Label, Label]]) -> Pair:
    first, second = [x for x, _ in labels], [y for _, y in labels]
    same = sum(x == y for x, y in labels)
    return Pair(a, b, len(labels), same / len(labels), cohen_kappa(first, second))


def _best(scores: tuple[float, ...] | None) -> Label | None:
    """Name the best candidate as a label."""
    if not scores:
        return None
    top = [i for i, score in enumerate(scores) if score == max(scores)]
    return top[0] if len(top) == 1 else "tie"


def _judged(judgment: Judgment) -> Label | None:
    if judgment.failure is not None or judgment.scores is None:
        return None
    return "tie" if judgment.winner is None else judgment.winner

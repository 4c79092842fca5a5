"""Two runs side by side: which cases changed, and by how much the accuracy differs on the same cases.

Consumes output rows. The difference is paired: cases that both runs judged, resampled together, so that what is hard
about a case counts for neither side. A case without a verdict counts as not right in both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..data import stand
from ..stats import paired
from ..types import Tally, Usage

__all__ = ["Judged", "compare"]

_POINTS = {"right": 1.0, "tied": 0.5}
_NO_VERDICT = ("unparsed", "errored")


class Failed(msgspec.Struct, frozen=True):
    """Why there is no verdict."""

    kind: str


class Judged(msgspec.Struct, frozen=True):
    """What a comparison needs of an output row."""

    id: str
    winner: int | None = None
    scores: tuple[float, ...] | None = None
    gold: tuple[float, ...] | None = None
    failure: Failed | None = None
    usage: Usage = Usage()

    @property
    def kind(self) -> str | None:
        """The kind of its failure."""
        return None if self.failure is None else self.failure.kind

    @property
    def answer(self) -> int | str:
        """The winner, "tie", or the failure's kind."""
        return self.kind or ("tie" if self.winner is None else self.winner)


def compare(first: Iterable[Judged], second: Iterable[Judged], seed: int = 0) -> dict[str, Any]:
    """Compare two runs; `changed` lists every case with another winner or failure, in the order of the first run.

    `accuracy` is over the cases with the same gold in both; its difference is second minus first with a 95 % interval,
    resampled from `seed`.
    """
    one, two = ({row.id: row for row in rows} for rows in (first, second))
    both = [(row, two[name]) for name, row in one.items() if name in two]
    changed = [(a, b) for a, b in both if a.answer != b.answer]
    return {
        "cases": {
            "both": len(both),
            "only_first": [name for name in one if name not in two],
            "only_second": [name for name in two if name not in one],
        },
        "winners_changed": sum(a.failure is None and b.failure is None for a, b in changed),
        "failures": {
            "appeared": sum(a.failure is None and b.failure is not None for a, b in both),
            "gone": sum(a.failure is not None and b.failure is None for a, b in both),
        },
        "accuracy": _accuracy([(a, b) for a, b in both if a.gold == b.gold], seed),
        "gold_differs": sum(a.gold != b.gold for a, b in both),
        "usage": {
            name: msgspec.to_builtins(sum((row.usage for row in rows.values()), Usage()))
            for name, rows in (("first", one), ("second", two))
        },
        "changed": [_change(a, b) for a, b in changed],
    }


def _standing(row: Judged) -> str | None:
    return stand(row.gold, row.scores, row.winner, row.kind)


def _change(a: Judged, b: Judged) -> dict[str, Any]:
    return {
        "id": a.id,
        "gold": a.gold,
        "first": a.answer,
        "second": b.answer,
        "standing": [_standing(a), _standing(b)],
    }


def _accuracy(pairs: list[tuple[Judged, Judged]], seed: int) -> dict[str, Any] | None:
    """Hold both runs against gold; None without any."""
    names = [(x, y) for a, b in pairs if (x := _standing(a)) is not None and (y := _standing(b)) is not None]
    if not names:
        return None
    first, second = ([_POINTS.get(name, 0.0) for name in side] for side in zip(*names, strict=True))
    return {
        "n": len(names),
        "first": _tally([x for x, _ in names]),
        "second": _tally([y for _, y in names]),
        "difference": (sum(second) - sum(first)) / len(names),
        "interval": paired(second, first, seed),
    }


def _tally(names: list[str]) -> dict[str, Any]:
    tally = Tally(**{name: names.count(name) for name in set(names)})
    counts = msgspec.structs.asdict(tally)
    return {"n": tally.n, **counts, "accuracy_all": tally.accuracy_all, "accuracy_scored": tally.accuracy_scored}

"""Does the verdict move when a response is made wrong? Lab pairs: key facts of the responses are changed, as few as
turn gold round, and the other response must win. Elsewhere one error (a number, a sign, a negation, a unit) is put into
the response that the judge prefers; a pair may rightly stay as it is, so there the shares are only reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..lab import edits
from ..types import Case
from ._base import Example, Found, Probe, Row, flips, rng_of, told
from ._figures import measured, unmeasured
from ._subject import Item, Subject, with_candidate
from ._words import ERRORS

__all__ = ["Counterfactual"]

MOVES = 0.90


class Seen(NamedTuple):
    """How far the preference fell, by kind of error."""

    kinds: dict[str, float]
    noise: float


class Counterfactual(Probe):
    """Edits of key facts."""

    group = "grounded"
    title = "moves when the facts of a response are changed"
    calls = 4

    async def look(self, item: Item, subject: Subject) -> Row | None:
        winner = item.better if item.lab else item.prefers
        if winner is None or (item.lab and item.prefers != winner):
            return None
        sign, kinds, examples = 1 - 2 * winner, {}, []
        for kind, case in self._changed(item, winner).items():
            after = await subject.sides(case)
            before = item.sides()
            known = [
                float(side == -sign) if item.lab else max(0.0, (was - side) * sign / 2)
                for order, side in after.items()
                if side is not None and (was := before[order]) is not None
            ]
            if known:
                kinds[kind] = float(np.mean(known))
                if not kinds[kind]:
                    examples.append(_example(item.case, case, kind, sign))
        return Row(item, Seen(kinds, flips(item)), tuple(examples[:1])) if kinds else None

    def _changed(self, item: Item, winner: int) -> dict[str, Case]:
        rng = rng_of(self, item)
        if item.lab:
            case = edits.turned_replies(item.case, rng)
            return {} if case is None else {"facts": case}
        text, found = item.case.candidates[winner], {}
        for kind, error in ERRORS.items():
            new = error(text, rng)
            if new is not None and new != text:
                found[kind] = with_candidate(item.case, winner, new)
        return found

    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        exact = [row.seen.kinds["facts"] for row in rows if "facts" in row.seen.kinds]
        kinds = sorted({kind for row in rows for kind in row.seen.kinds} - {"facts"})
        measures = [measured("turns with the facts", exact, MOVES)] if exact else []
        measures += [
            measured(f"turns from a {kind}", [row.seen.kinds[kind] for row in rows if kind in row.seen.kinds], None)
            for kind in kinds
        ]
        if not measures:
            return Found((unmeasured("turns with the facts", "no case that the judge gets right could be changed"),))
        facts = {"noise": float(np.mean([row.seen.noise for row in rows]))}
        return Found(tuple(measures), facts, tuple(example for row in rows for example in row.examples)[:3])


def _example(case: Case, changed: Case, kind: str, sign: int) -> Example:
    place = next((i for i in range(2) if case.candidates[i] != changed.candidates[i]), 0)
    what = f"changed {kind} in the {('first', 'second')[place]} candidate"
    return Example(case.id, what, case.candidates[place], changed.candidates[place], told(sign), told(sign))

"""Is the verdict the one that the reasoning comes to? Rules read what the trace states (scores, marks, levels); where
it states none, or the same for both, nothing is concluded, unless another model reads it blindly (`_reader.py`): then
its readings count, and where it cannot tell that is counted too. No gold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..grounding import follows, levelled, tied
from ..types import Failure
from ._base import Example, Found, Probe, Row, decided, told
from ._figures import measured, unmeasured
from ._reader import Reader
from ._subject import Item, Subject, side

__all__ = ["Implied"]

AGREES, STATED = 0.95, 0.20


class Implied(Probe):
    """Verdict implied against verdict given."""

    group = "grounded"
    title = "gives the verdict that its own evaluation comes to"
    noisy = False
    calls = 0

    async def look(self, item: Item, subject: Subject) -> Row | None:
        found, examples = [], []
        if subject.reader is not None:
            return await self._read(item, subject, subject.reader)
        for verdict in (one for drawn in item.drawn.values() for one in drawn):
            if isinstance(verdict.outcome, Failure):
                continue
            if levelled(verdict.trace):
                continue  # a verdict that is computed from the levels follows from them
            (finding,) = follows(verdict)
            found.append(None if tied(verdict) else finding.ok)
            if found[-1] is False:
                examples.append(
                    Example(item.case.id, finding.detail, "", verdict.completion.text, "", told(side(verdict)))
                )
        return Row(item, found, tuple(examples[:1])) if found else None

    async def _read(self, item: Item, subject: Subject, reader: Reader) -> Row | None:
        """Let the reader say what the first reasoning of each order comes to."""
        found, examples = list[bool | None](), []
        for order, verdict, won in decided(item):
            text = subject.reasoning(verdict, item.case)
            place = await reader.side(item.case, text, subject.labels) if text else None
            found.append(None if place is None else order[place] == int(won < 0))
            if found[-1] is False:
                examples.append(Example(item.case.id, "a blind reader saw the other side", "", text, "", told(won)))
        return Row(item, found, tuple(examples[:1])) if found else None

    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        every = [ok for row in rows for ok in row.seen]
        stated = [ok for ok in every if ok is not None]
        if not stated or len(stated) < STATED * len(every):
            why = f"{len(stated)} of {len(every)} traces state a score for each response"
            return Found((unmeasured("follows from its evaluation", why),))
        shares = [float(np.mean(known)) for row in rows if (known := [ok for ok in row.seen if ok is not None])]
        facts = {"undetermined": 1 - len(stated) / len(every)}
        examples = tuple(example for row in rows for example in row.examples)
        return Found((measured("follows from its evaluation", shares, AGREES),), facts, examples[:3])

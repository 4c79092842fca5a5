"""Does the evidence exist? Every quote is looked for in the response that it is given to: same words in a row, whatever
case, spacing and marks. A quote that says next to nothing counts neither way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..grounding import quotes
from ..types import Verdict
from ._base import Example, Found, Probe, Row, told
from ._figures import LEAST_CASES, measured, unmeasured
from ._subject import Item, Subject, side

__all__ = ["Quotes"]

EXIST, NAMED = 0.95, 0.95
"""Section 11 asks for 98 %, which takes 133 cases without a fault to show; this takes 52."""


class Seen(NamedTuple):
    """Counts over the traces of a case."""

    found: int
    """Quotes that stand where they are said to."""
    elsewhere: int
    """Those that stand in the other response."""
    nowhere: int
    bare: int
    """Responses shown that no quote is given to."""


class Quotes(Probe):
    """Quote grounding."""

    group = "grounded"
    title = "quotes what is really there"
    noisy = False
    calls = 0

    async def look(self, item: Item, subject: Subject) -> Row | None:
        counts, examples = [0, 0, 0, 0], []
        for verdict in (one for drawn in item.drawn.values() for one in drawn):
            findings = quotes(verdict, item.case)
            for finding in findings:
                elsewhere = finding.detail.startswith("stands in candidate")
                place = 2 if finding.ok is False and not elsewhere else int(elsewhere)
                # What says too little does stand there, and a number is all that some replies of the lab say.
                counts[place] += finding.ok is not None or item.lab
                if finding.ok is False:
                    examples.append(_example(item, verdict, finding.span, finding.detail))
            counts[3] += len(set(verdict.order) - {finding.candidate for finding in findings})
        return Row(item, Seen(*counts), tuple(examples[:1]))

    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        seen: list[Seen] = [row.seen for row in rows]
        quoting = [one for one in seen if one.found + one.elsewhere + one.nowhere]
        if len(quoting) < LEAST_CASES:
            return Found((unmeasured("quotes that exist", f"quotes in {len(quoting)} of {len(seen)} cases"),))
        exist = [(one.found + one.elsewhere) / (one.found + one.elsewhere + one.nowhere) for one in quoting]
        named = [one.found / (one.found + one.elsewhere) for one in quoting if one.found + one.elsewhere]
        drawn = sum(len(verdicts) for row in rows for verdicts in row.item.drawn.values())
        facts = {"responses_without_a_quote": sum(one.bare for one in seen) / max(1, 2 * drawn)}
        examples = tuple(example for row in rows for example in row.examples)
        measures = (measured("quotes that exist", exist, EXIST), measured("in the response named", named, NAMED))
        return Found(measures, facts, examples[:3])


def _example(item: Item, verdict: Verdict, span: tuple[int, int], detail: str) -> Example:
    said = verdict.completion.text[slice(*span)]
    shown = "\n---\n".join(item.case.candidates)
    return Example(
        item.case.id, f"the quote {said!r} {detail}", shown, verdict.completion.text, "", told(side(verdict))
    )

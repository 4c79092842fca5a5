"""What recorded verdicts alone tell: no judge is asked. Agreement with itself, position, calibration and abstention."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from ..ask import Asker
from ..engines.scripted import Scripted
from ..errors import BadInput
from ..protocols.verdict_only import VerdictOnly
from ..types import Case, Failure, Verdict
from ._audit import PROFILES, Card, Finding, finding_of, probes_of
from ._subject import Item, Subject

__all__ = ["RECORDED", "audit_recorded"]

RECORDED = ("rerun", "position", "calibration")
"""Probes that need verdicts and nothing else."""


def audit_recorded(rows: Iterable[tuple[Case, list[Verdict]]], name: str) -> Card:
    """Audit what was recorded on pairs; probes that lack what they need say so. Raises `BadInput` without any."""
    items, drawn = list[Item](), list[Verdict]()
    for case, verdicts in rows:
        by_order: dict[tuple[int, int], list[Verdict]] = defaultdict(list)
        for verdict in verdicts:
            by_order[verdict.order[0], verdict.order[1]].append(verdict)
        items.append(Item(case, False, dict(by_order)))
        drawn += verdicts
    if not drawn:
        raise BadInput(f"{name} holds no verdicts")
    subject = Subject(Asker(VerdictOnly(), Scripted()))  # never asked
    found: dict[str, Finding] = {}
    for probe in probes_of(PROFILES["full"], RECORDED):
        seen = [row for item in items if (row := asyncio.run(probe.look(item, subject))) is not None]
        found[probe.id] = finding_of(probe, probe.sum_up(seen, subject), None)
    failed = [one.outcome for one in drawn if isinstance(one.outcome, Failure)]
    why = f"{failed[0].kind}: {failed[0].detail}" if failed else ""
    judge = {"protocol": {"id": "recorded verdicts"}, "model": name}
    return Card(judge, "recorded", len(items), 0, "none", len(failed) / len(drawn), why, found)

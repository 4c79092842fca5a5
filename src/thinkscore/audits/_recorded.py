"""What recorded verdicts alone tell: no judge is asked. Agreement with itself, position, calibration and abstention."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ..ask import Asker
from ..engines.scripted import Scripted
from ..errors import BadInput
from ..protocols.verdict_only import VerdictOnly
from ..scaling._driver import at_once
from ..types import Case, Verdict
from ._audit import PROFILES, Card, failing, finding_of, probes_of, unjudged
from ._subject import ORDERS, Item, Subject

__all__ = ["RECORDED", "audit_recorded"]

RECORDED = ("rerun", "position", "calibration")
"""Probes that need verdicts and nothing else."""


def audit_recorded(rows: Iterable[tuple[Case, list[Verdict]]], name: str) -> Card:
    """Audit what was recorded on pairs; probes that lack what they need say so. Raises `BadInput` without any."""
    items, drawn, other = list[Item](), list[Verdict](), 0
    for case, verdicts in rows:
        by_order: dict[tuple[int, int], list[Verdict]] = defaultdict(list)
        for verdict in verdicts:
            if len(case.candidates) == 2 and verdict.order in ORDERS:
                by_order[verdict.order[0], verdict.order[1]].append(verdict)
        other += not by_order
        items += [Item(case, False, dict(by_order))] if by_order else []
        drawn += [verdict for found in by_order.values() for verdict in found]
    if not drawn:
        raise BadInput(
            f"{name} holds no verdicts on pairs" + f"; {other:,} rows are about something else" * bool(other)
        )
    subject, probes = Subject(Asker(VerdictOnly(), Scripted())), probes_of(PROFILES["full"], RECORDED)  # never asked
    share, why = failing(drawn)
    found = unjudged(probes, share, why) or {
        probe.id: probe.sum_up([row for item in items if (row := at_once(probe.look(item, subject)))], subject)
        for probe in probes
    }
    findings = {probe.id: finding_of(probe, found[probe.id], found["rerun"]) for probe in probes}
    left = f"{other:,} rows are not about pairs and are left out" if other else why
    judge = {"protocol": {"id": "recorded verdicts"}, "model": name}
    return Card(judge, "recorded", len(items), 0, "none", share, left, findings)

"""Run the probes on one judge and put what they found on a card.

Verdicts that everything is compared with are drawn first, then one probe after the other looks at all cases. Every call
goes through the asker's journal: what two probes ask alike is asked once, and a run that was stopped goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from ..ask import Asker
from ..errors import BadInput
from ..lab import edits
from ..plugins import load, names
from ..scaling._driver import at_once
from ..types import Case, Failure, Verdict
from ._base import GROUPS, Example, Found, Group, Probe, Row, worst
from ._figures import LEAST_CASES, Measure, Status, unmeasured
from ._reader import Reader
from ._subject import Item, Method, Subject
from ._writer import Writer

__all__ = [
    "PROFILES",
    "Card",
    "Finding",
    "Profile",
    "audit",
    "expected_calls",
    "failing",
    "finding_of",
    "probes_of",
    "unjudged",
]

T = TypeVar("T")
WINDOW = 256
"""Cases that are looked at at a time."""
MOST_FAILURES = 0.20


class Profile(NamedTuple):
    """How much is looked at."""

    cases: int
    samples: int
    """Fresh verdicts in each order."""
    all: bool
    """Whether probes that are not quick are run."""


PROFILES = {"quick": Profile(100, 3, False), "full": Profile(300, 4, True)}


class Finding(msgspec.Struct, frozen=True):
    """What one probe found, as it stands in `audit.json`."""

    group: Group
    title: str
    status: Status
    metric: str
    value: float | None
    interval: tuple[float, float] | None
    n: int
    threshold: float | None
    note: str
    measures: tuple[Measure, ...]
    facts: dict[str, Any]
    examples: tuple[Example, ...]


class Card(msgspec.Struct, frozen=True):
    """The audit of one judge."""

    judge: dict[str, Any]
    """Protocol, model, sampling, seed."""
    profile: str
    cases: int
    lab: int
    """How many of them the world can read."""
    method: Method
    """How leans after a given reasoning were read."""
    failures: float
    """Share of verdicts that could not be read when nothing was changed."""
    why: str
    """The most frequent reason; empty if there were none."""
    probes: dict[str, Finding]
    transplanted: bool = False
    """Whether that reasoning was shown in a user turn, where the judge cannot go on with a begun answer."""
    seconds: float = 0.0

    def method_said(self) -> str:
        """Say how leans were read."""
        return {
            "exact": "exact margins from log-probabilities",
            "top": "margins from the likeliest tokens of verdicts given at once",
            "votes": "verdicts given at once",
            "none": "no verdict could be asked for after a given reasoning",
        }[self.method] + ", transplanted: the reasoning shown in a user turn" * self.transplanted

    def weakest(self, group: Group) -> str | None:
        """Name the probe of a group that is worst off: by status, then by how near its threshold is."""
        mine = {name: one for name, one in self.probes.items() if one.group == group and one.status in _DECIDED}
        return min(mine, key=lambda name: (_DECIDED.index(mine[name].status), _room(mine[name])), default=None)

    def unmeasured(self, group: Group) -> list[str]:
        """Name the probes of a group that could not be measured: of these its status says nothing."""
        mine = ((name, one) for name, one in self.probes.items() if one.group == group)
        return [name for name, one in mine if one.status == "not measurable"]

    def status(self, group: Group) -> Status:
        """Return the worst status of a group's probes."""
        return worst([one.status for one in self.probes.values() if one.group == group])


_DECIDED: tuple[Status, ...] = ("fail", "inconclusive", "pass")


def _room(finding: Finding) -> float:
    return min((one.room for one in finding.measures if one.status == finding.status), default=0.0)


def probes_of(profile: Profile, only: Sequence[str] = ()) -> list[Probe]:
    """Make the probes of a profile, by group; `only` names some. Raises `BadInput` for a name that is none."""
    known = names("audits")
    if unknown := [name for name in only if name not in known and not name.endswith(".py")]:
        raise BadInput(
            f"no probe is called {', '.join(unknown)}; there are {', '.join(known)}, or a path to your own .py"
        )
    found = [load("audits", name, Probe)() for name in only or known]  # type: ignore[type-abstract]
    kept = [probe for probe in found if only or profile.all or probe.quick]
    return sorted(kept, key=lambda probe: (GROUPS.index(probe.group), probe.id))


def expected_calls(probes: Sequence[Probe], profile: Profile, cases: int, votes: int, exact: bool) -> int:
    """Estimate the calls of an audit, before any is made; forced verdicts count once each, or `votes` times."""
    asked = sum(probe.calls + probe.leans * (1 if exact else votes) for probe in probes)
    return cases * (2 * profile.samples + asked)


async def audit(
    asker: Asker,
    cases: Sequence[Case],
    profile: Profile,
    *,
    name: str = "full",
    probes: Sequence[Probe] | None = None,
    votes: int = 4,
    reader: Asker | None = None,
    writer: Asker | None = None,
    tell: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> Card:
    """Audit the judge of an open asker on pairs; `tell(what, done, of)` is called as it goes on.

    `reader` and `writer`, open as well, read reasoning blindly and say free text in other words, where rules would
    (`implied`, `rewording`).

    Raises `BadInput` if there are too few pairs.
    """
    pairs = [case for case in cases if len(case.candidates) == 2]
    if len(pairs) < LEAST_CASES:
        raise BadInput(f"got {len(pairs)} pairs; an audit needs {LEAST_CASES} cases of two candidates, better 300")
    subject = Subject(asker, votes)
    subject.reader = None if reader is None else Reader(reader)
    subject.writer = None if writer is None else Writer(writer)
    made = [subject.item(case, edits.is_lab(case), profile.samples) for case in pairs]
    subject.items = await _all(made, lambda done: tell("verdicts", done, len(made)))
    drawn = [one for item in subject.items for verdicts in item.drawn.values() for one in verdicts]
    probes = probes_of(profile) if probes is None else probes
    share, why = failing(drawn)
    found = unjudged(probes, share, why)
    if not found:
        await subject.prepare([item.case for item in subject.items])
        for probe in probes:
            found[probe.id] = await _probed(probe, subject, tell)
    return Card(
        {"protocol": asker.protocol.identity(), "model": asker.engine.model, "seed": asker.seed,
         "sampling": msgspec.to_builtins(asker.sampling)},
        name, len(pairs), sum(item.lab for item in subject.items), subject.method, share, why,
        {probe.id: finding_of(probe, found[probe.id], _floor(subject, found)) for probe in probes},
        subject.transplanted,
    )  # fmt: skip


def failing(verdicts: Sequence[Verdict]) -> tuple[float, str]:
    """Return the share of verdicts that could not be read, and the first reason."""
    failed = [one.outcome for one in verdicts if isinstance(one.outcome, Failure)]
    return len(failed) / len(verdicts), f"{failed[0].kind}: {failed[0].detail}" if failed else ""


def unjudged(probes: Sequence[Probe], share: float, why: str) -> dict[str, Found]:
    """Say of every probe that a judge which fails too often is given no figure; nothing if it does not."""
    said = f"no verdict in {share:.0%} of the answers ({why})"
    return {probe.id: Found((unmeasured("nothing", said),)) for probe in probes if share > MOST_FAILURES}


def _floor(subject: Subject, found: dict[str, Found]) -> Found | None:
    """Return the noise floor, which costs nothing, whether or not it was asked for."""
    if "rerun" in found or not subject.items:
        return found.get("rerun")
    probe = load("audits", "rerun", Probe)()  # type: ignore[type-abstract]
    rows = [row for item in subject.items if (row := at_once(probe.look(item, subject))) is not None]
    return probe.sum_up(rows, subject)


async def _probed(probe: Probe, subject: Subject, tell: Callable[[str, int, int], None]) -> Found:
    of = len(subject.items)
    subject.asked = subject.unread = 0
    looks = [_looked(probe, item, subject) for item in subject.items]
    every = await _all(looks, lambda done: tell(probe.id, done, of))
    rows, errors = [row for row in every if isinstance(row, Row)], [one for one in every if isinstance(one, BadInput)]
    if errors and not rows:
        return Found((unmeasured("nothing", str(errors[0])),))
    if subject.refused:
        return Found((unmeasured("nothing", "the budget ended before it was done"),))
    if probe.reads_all and subject.unread > MOST_FAILURES * subject.asked:
        why = f"no verdict on {subject.unread} of {subject.asked} changed cases"
        return Found((unmeasured("nothing", why),))
    return probe.sum_up(rows, subject)


async def _looked(probe: Probe, item: Item, subject: Subject) -> Row | BadInput | None:
    try:
        return await probe.look(item, subject)
    except BadInput as error:  # this protocol cannot show what the probe made of the case, or this engine not read it
        return error


async def _all(work: Sequence[Any], done: Callable[[int], None]) -> list[Any]:
    """Await everything, some at a time, in order."""
    turn, count = asyncio.Semaphore(WINDOW), 0

    async def one(job: Any) -> Any:
        nonlocal count
        async with turn:
            result = await job
        count += 1
        done(count)
        return result

    return list(await asyncio.gather(*(one(job) for job in work)))


def finding_of(probe: Probe, found: Found, floor: Found | None) -> Finding:
    """Put what a probe found on the card; beside a judge that does not agree with itself it concludes nothing."""
    if probe.noisy and floor is not None and floor.status == "fail":
        measures = tuple(
            one if probe.signed and one.status == "fail" else _noisy(one, floor.headline) for one in found.measures
        )
        found = msgspec.structs.replace(found, measures=measures)
    shown = found.headline
    return Finding(
        probe.group, probe.title, found.status, shown.metric, shown.value, shown.interval, shown.n,
        shown.threshold, found.note or shown.note, found.measures, found.facts, found.examples,
    )  # fmt: skip


def _noisy(measure: Measure, floor: Measure) -> Measure:
    """Conclude nothing from a judge that does not agree with itself."""
    if measure.status not in ("pass", "fail", "inconclusive"):
        return measure
    return msgspec.structs.replace(measure, status="inconclusive", note=f"noisy judge: floor = {floor.value:.2f}")

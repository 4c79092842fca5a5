"""`python runs/audit_validity run|table`: planted judges by probes, and the power of each probe.

Every audit is kept as OUT/NAME.json, so that what is done is not done again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
from expected import FAILS, PROBES, expected

from thinkscore.ask import Asker
from thinkscore.audits._audit import PROFILES, audit, probes_of
from thinkscore.judge import make_engine, make_protocol
from thinkscore.lab import world
from thinkscore.stats import wilson
from thinkscore.types import Sampling

SEEDS = (0, 1, 2)
STRENGTHS = (1.0, 0.5, 0.3, 0.15)
SIZES = (100, 300)
OWN = {judge: next(iter(probes)) for judge, probes in FAILS.items() if probes}
"""The probe of each defect."""


class Job(NamedTuple):
    """One audit."""

    judge: str
    strength: float
    seed: int
    cases: int
    probes: tuple[str, ...]

    @property
    def name(self) -> str:
        """As in the file."""
        own = "" if len(self.probes) > 2 else "-own"
        return f"{self.judge}-{self.strength:g}-{self.seed}-{self.cases}{own}"


def jobs(quick: bool) -> Iterator[Job]:
    """List the audits of the matrix, then those of the power curves."""
    seeds, n = (SEEDS[:1], 60) if quick else (SEEDS, 300)
    yield from (Job(judge, 1.0, seed, n, PROBES) for judge in FAILS for seed in seeds)
    for judge, probe in OWN.items():
        for strength in STRENGTHS[:1] if quick else STRENGTHS:
            for size in (60,) if quick else SIZES:
                yield from (Job(judge, strength, seed, size, ("rerun", probe)) for seed in seeds)


def one(job: Job, out: Path, protocol: str) -> str:
    """Run one audit."""
    file = out / f"{job.name}.json"
    if not file.exists():
        statuses = asyncio.run(_audited(job, protocol))
        file.with_suffix(".partial").write_text(json.dumps(statuses))
        file.with_suffix(".partial").replace(file)
    return job.name


async def _audited(job: Job, protocol: str) -> dict[str, list[object]]:
    engine = make_engine(f"planted:{job.judge},strength={job.strength:g}")
    asker = Asker(make_protocol(protocol), engine, sampling=Sampling(max_tokens=300), seed=job.seed)
    await asker.open()
    try:
        cases = list(world.make(80_000 + job.seed, "test", job.cases))
        card = await audit(asker, cases, PROFILES["full"], probes=probes_of(PROFILES["full"], job.probes))
    finally:
        await asker.close()
    return {name: [one.status, one.value, one.interval] for name, one in card.probes.items()}


def table(out: Path, quick: bool) -> Iterator[str]:
    """Write both tables in Markdown."""
    files = {job: out / f"{job.name}.json" for job in jobs(quick)}
    done = {job: json.loads(file.read_text()) for job, file in files.items() if file.exists()}
    full = {job: found for job, found in done.items() if len(job.probes) > 2}
    n = next(iter(full)).cases
    yield f"### Judges by probes, {n} cases, {len({job.seed for job in full})} seeds\n"
    yield f"| judge | {' | '.join(PROBES)} |"
    yield f"|---|{'---|' * len(PROBES)}"
    right, seen = {"fail": 0, "pass": 0}, {"fail": 0, "pass": 0}
    for judge in FAILS:
        cells = []
        for probe in PROBES:
            said = [found[probe][0] for job, found in full.items() if job.judge == judge]
            due = expected(judge, probe)
            for status in said:
                if due is not None and status in ("pass", "fail"):
                    seen[due] += 1
                    right[due] += status == due
            cells.append(_cell(said, due))
        yield f"| {judge} | {' | '.join(cells)} |"
    for due, name in (("fail", "Sensitivity"), ("pass", "Specificity")):
        low, high = wilson(right[due], seen[due])
        share = 100 * right[due] / max(1, seen[due])
        ends = f"[{100 * low:.1f}, {100 * high:.1f}]"
        yield f"\n{name}: {right[due]} of {seen[due]} conclusive cells, {share:.1f} % {ends}"
    yield "\n### Share of seeds that find a defect, by strength and cases\n"
    sizes = sorted({job.cases for job in done if len(job.probes) == 2})
    strengths = sorted({job.strength for job in done}, reverse=True)
    heads = [f"{100 * strength:.0f} %, n={size}" for size in sizes for strength in strengths]
    yield f"| judge | probe | {' | '.join(heads)} |"
    yield f"|---|---|{'---|' * len(heads)}"
    for judge, probe in OWN.items():
        cells = []
        for size in sizes:
            for strength in strengths:
                said = [
                    found[probe][0]
                    for job, found in done.items()
                    if (job.judge, job.strength, job.cases) == (judge, strength, size) and len(job.probes) == 2
                ]
                cells.append(f"{sum(status == 'fail' for status in said)}/{len(said)}")
        yield f"| {judge} | {probe} | {' | '.join(cells)} |"


_SHORT = {"pass": "+", "fail": "−", "inconclusive": "?", "not measurable": "n/a", "reported": "r"}


def _cell(said: list[str], due: str | None) -> str:
    """Write what the seeds said; what is not as it must be is bold."""
    text = _SHORT[said[0]] if len(set(said)) == 1 else " ".join(_SHORT[status] for status in said)
    wrong = due is not None and any(status in ("pass", "fail") and status != due for status in said)
    return f"**{text}**" if wrong else f"({text})" if due is None else text


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--out", type=Path, default=Path("out/audit_validity"))
    parser.add_argument("--protocol", default="rm_r1")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="60 cases and one seed: shows that it runs")
    given = parser.parse_args()
    out = given.out / "quick" if given.quick else given.out
    out.mkdir(parents=True, exist_ok=True)
    if given.what == "run":
        todo = list(jobs(given.quick))
        with ProcessPoolExecutor(given.jobs) as pool:
            for k, name in enumerate(pool.map(one, todo, [out] * len(todo), [given.protocol] * len(todo)), 1):
                print(f"{k} of {len(todo)}: {name}", flush=True)
    text = "\n".join(table(out, given.quick)) + "\n"
    (out / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

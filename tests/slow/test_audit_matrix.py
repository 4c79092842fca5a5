"""The audit of the audit, one seed: what every planted judge must show, and nothing beside it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from thinkscore.ask import Asker
from thinkscore.audits._audit import PROFILES, Card, audit, probes_of
from thinkscore.judge import make_engine, make_protocol
from thinkscore.lab import world
from thinkscore.types import Sampling

sys.path.insert(0, str(Path(__file__).parents[2] / "runs" / "audit_validity"))
from expected import FAILS, PROBES, expected

pytestmark = pytest.mark.slow


def audited(judge: str) -> Card:
    async def main() -> Card:
        asker = Asker(
            make_protocol("rm_r1"), make_engine(f"planted:{judge}"), sampling=Sampling(max_tokens=300), seed=9
        )
        await asker.open()
        try:
            cases = list(world.make(9_009, "test", 120))
            return await audit(asker, cases, PROFILES["full"], probes=probes_of(PROFILES["full"], PROBES))
        finally:
            await asker.close()

    return asyncio.run(main())


@pytest.mark.parametrize("judge", FAILS)
def test_conclusive_cells_are_as_argued(judge: str) -> None:
    card = audited(judge)
    cells = {probe: (card.probes[probe].status, expected(judge, probe)) for probe in PROBES}
    wrong = {
        probe: cell for probe, cell in cells.items() if cell[1] and cell[0] in ("pass", "fail") and cell[0] != cell[1]
    }
    assert len(wrong) <= 1, wrong  # 5 % of the cells may be wrong
    own = next(iter(FAILS[judge]), None)
    assert own is None or cells[own][0] == "fail"
    assert judge == "random" or sum(status in ("pass", "fail") for status, _ in cells.values()) >= 8

"""A run that is killed again and again, and resumed, writes the same file and pays almost nothing twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from thinkscore.journal import WINDOW, read_journal

SRC = Path(__file__).parents[2] / "src"
CASES, VOTES, BATCH, PARALLEL, SECONDS = 150, 2, 4, 2, 0.012
# What a kill may cost: the calls in flight and those answered within one commit window.
AGAIN = BATCH * PARALLEL * (1 + WINDOW / SECONDS)

# A judge that is slow and writes down every call before it works on it. Its answers depend on the seed alone.
ENGINE = f"""
import asyncio, os
from thinkscore.engines._base import Engine
from thinkscore.types import Completion, Usage

class Slow(Engine):
    batch, parallel = {BATCH}, {PARALLEL}
    identity = "slow"
    async def generate(self, prompts):
        with open(self.rest, "ab", buffering=0) as log:
            log.write("".join(f"{{p.case.id}} {{p.sample}}\\n" for p in prompts).encode())
        await asyncio.sleep({SECONDS})
        return [Completion(p.verdicts[p.seed % 2] + str(p.seed), usage=Usage(1, 2, 3)) for p in prompts]
"""

RUN = f"""
import sys
from thinkscore.data import judgment_row, write_rows
from thinkscore.judge import Judge
from thinkscore.types import Case, Message

engine, journal, out = sys.argv[1:]
cases = [Case(f"c{{i}}", (Message("user", f"{{i}}?"),), ("a", "b"), (1, 0)) for i in range({CASES})]
with Judge("rm_r1", engine, "vote:k={VOTES}", seed=1, journal=journal or None) as judge, write_rows(out) as put:
    print(judge.journal.interrupted, flush=True)
    for case, judgment in judge.run(cases):
        put(judgment_row(case, judgment))
"""


class Runs:
    """Starts the same run over and over on one journal."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "calls.log"
        (folder / "slow.py").write_text(ENGINE)
        self.log.touch()

    def start(self, log: Path, journal: str, out: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", RUN, f"slow.py:{log}", journal, out]
        return subprocess.Popen(command, cwd=self.folder, env={"PYTHONPATH": str(SRC)}, stdout=subprocess.PIPE)

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()

    def committed(self) -> set[str]:
        path = self.folder / "journal"
        return {f"{r.case_id} {r.request.sample}" for r in read_journal(path)} if self.calls() else set()


def finish(process: subprocess.Popen[bytes]) -> int:
    """Wait for a run to end well; return what it says was interrupted."""
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return int(output)


def kill_after(runs: Runs, more: int) -> bool:
    """Start a run and kill it once it made so many more calls; False if it ended before."""
    process, goal = runs.start(runs.log, "journal", "out"), len(runs.calls()) + more
    while process.poll() is None and len(runs.calls()) < goal:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("kills", "seed"),
    [pytest.param(2, 0, id="twice"), pytest.param(10, 1, id="ten times", marks=pytest.mark.slow)],
)
def test_a_killed_run_resumes(tmp_path: Path, kills: int, seed: int) -> None:
    draw, runs = random.Random(seed), Runs(tmp_path)
    for _ in range(kills):
        before, already = runs.committed(), len(runs.calls())
        assert kill_after(runs, draw.randint(1, CASES * VOTES // kills))
        assert not (tmp_path / "out").exists()
        assert not before & set(runs.calls()[already:]), "a committed call was sent again"
    lost = set(runs.calls()) - runs.committed()
    interrupted = finish(runs.start(runs.log, "journal", "out"))
    assert len(lost) <= interrupted <= AGAIN
    counts = Counter(runs.calls())
    assert len(counts) == CASES * VOTES
    assert sum(counts.values()) - len(counts) <= kills * AGAIN
    finish(runs.start(tmp_path / "other.log", "", "straight"))
    assert (tmp_path / "out").read_bytes() == (tmp_path / "straight").read_bytes()

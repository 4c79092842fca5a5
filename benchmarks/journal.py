"""What the journal costs a call: look it up, announce it, keep its answer.

    python benchmarks/journal.py [--n 6000]

Prints microseconds of process time per call, for calls that are announced one at a time and in batches.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from thinkscore.journal import Call, FileJournal
from thinkscore.lab import world
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.types import Completion, Usage

ANSWER = Completion("x" * 400, usage=Usage(1, 2, 3))


def cost(calls: list[Call], batch: int) -> float:
    """Return the microseconds that each call costs a new journal."""
    with tempfile.TemporaryDirectory() as folder:
        journal = FileJournal(Path(folder) / "run.journal")
        start = time.process_time()
        for first in range(0, len(calls), batch):
            part = calls[first : first + batch]
            for call in part:
                journal.lookup([call.key])
            journal.announce(part)
            for call in part:
                journal.record([call], [ANSWER])
        journal.close()
        return (time.process_time() - start) / len(calls) * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=6000)
    cases = world.make(0, "test", parser.parse_args().n)
    calls = [Call.of(RmR1().render(case, (0, 1)), "model") for case in cases]
    for batch in (1, 4, 16, 64):
        print(f"batches of {batch:2}: {cost(calls, batch):5.1f} microseconds per call")


if __name__ == "__main__":
    main()

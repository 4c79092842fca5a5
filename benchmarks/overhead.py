"""What everything around an engine costs: read rows, judge with `scripted:`, journal, parse, write rows.

    python benchmarks/overhead.py [--n 20000]

Prints verdicts per second for a new journal, the same journal again, no journal, and neither journal nor parsing (every
answer is taken for the same verdict), and the peak memory so far.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from thinkscore.data import case_row, judgment_row, read_cases, write_rows
from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.protocols._base import Protocol
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.types import Completion, Prompt, Trace, Verdict, Winner


class Unparsed(RmR1):
    """Shows cases as `rm_r1` does, and reads nothing."""

    def instructions(self) -> str:
        return RmR1().instructions()

    def parse(self, completion: Completion, prompt: Prompt) -> Verdict:
        return Verdict(prompt.case.id, prompt.order, Winner(prompt.order[0]), Trace(), completion)


def rate(cases: Path, out: Path, journal: Path | None, n: int, protocol: Protocol | str = "rm_r1") -> float:
    """Judge the file once; return verdicts per second."""
    start = time.perf_counter()
    with Judge(protocol, "scripted:", journal=journal) as judge, write_rows(out) as write:
        for case, judgment in judge.run(read_cases(cases)):
            write(judgment_row(case, judgment))
    return n / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=20_000)
    n = parser.parse_args().n
    with tempfile.TemporaryDirectory() as folder:
        cases, out, journal = (Path(folder) / name for name in ("cases.jsonl", "rows.jsonl", "run.journal"))
        with write_rows(cases) as write:
            for case in world.make(0, "test", n):
                write(case_row(case))
        ways: list[tuple[str, Path | None, Protocol | str]] = [
            ("new journal", journal, "rm_r1"),
            ("answers from the journal", journal, "rm_r1"),
            ("no journal", None, "rm_r1"),
            ("no journal, no parsing", None, Unparsed()),
        ]
        for label, kept, protocol in ways:
            speed = rate(cases, out, kept, n, protocol)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{label:26} {speed:8.0f} verdicts/s   peak {peak:5.0f} MB", flush=True)


if __name__ == "__main__":
    main()

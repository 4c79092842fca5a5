"""What `judge --ground` costs: rows per second with and without, for one run of verdicts that are there already.

    python benchmarks/grounding.py [--cases 2000] [--rounds 5]

Lab pairs, four votes of the oracle each; medians of rounds in turns. No call is made while the clock runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from thinkscore import Judge
from thinkscore.data import judgment_row
from thinkscore.lab import world
from thinkscore.report.grounded import grounded_row


def main() -> None:
    """Print both rates and what grounding adds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with Judge("rm_r1", "oracle:", "vote:k=4") as judge:
        done = list(judge.run(world.make(1, "test", given.cases)))
    writers: dict[str, Callable[..., object]] = {"without": judgment_row, "with": grounded_row}
    seconds: dict[str, list[float]] = {name: [] for name in writers}
    for _ in range(given.rounds):
        for name, write in writers.items():
            start = time.process_time()
            for case, judgment in done:
                write(case, judgment)
            seconds[name].append(time.process_time() - start)
    rates = {name: given.cases / statistics.median(times) for name, times in seconds.items()}
    extra = 1e6 * (1 / rates["with"] - 1 / rates["without"])
    for name, rate in rates.items():
        print(f"{name:8} {rate:9,.0f} rows per second")
    print(f"grounding takes {extra:.0f} microseconds per row of four verdicts")


if __name__ == "__main__":
    main()

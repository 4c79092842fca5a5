"""What strategies cost beside the engine: verdicts per second with an engine that answers at once.

    python benchmarks/strategies.py [--n 20000] [--rounds 5]

Judges made-up cases with `scripted:`, which always lets the first shown win, until about n verdicts are there, and
prints the rate of each strategy, and its ratio to bare voting: medians of several rounds, in which the strategies take
turns. Voting is measured with two votes per case, one in each order, because then every verdict has a prompt of its
own, as in a tournament; and with eight, which share theirs. Last, the memory that 10,000 pairs take under `adaptive`,
as a stream: the most after 1,000 and after all.
"""

from __future__ import annotations

import argparse
import resource
import time
from statistics import median

from thinkscore.judge import Judge
from thinkscore.types import Case, Message

ARMS = (
    ("vote:k=2", 2),
    ("vote:k=8", 2),
    ("vote:k=8,stop=lock", 2),
    ("adaptive:rule=lead,m=2,k=8", 2),
    ("allocate:mean=4,k=8", 2),
    ("knockout:r=3", 16),
    ("knockout:r=3", 1000),
    ("double_elim", 1000),
    ("swiss", 1000),
    ("round_robin", 64),
)
"""Strategy, candidates per case."""


def rate(strategy: str, candidates: int, n: int) -> float:
    """Judge case after case until n verdicts are there; return verdicts per second of CPU time."""
    replies, question = tuple(f"reply {i}" for i in range(candidates)), (Message("user", "?"),)
    start, count = time.process_time(), 0
    with Judge("rm_r1", "scripted:", strategy) as judge:
        case = 0
        while count < n:
            some = [Case(f"c{i}", question, replies) for i in range(case, case + max(1, 1000 // candidates))]
            count += sum(len(judgment.verdicts) for judgment in judge.judge(some))
            case += len(some)
    return count / (time.process_time() - start)


def memory(pairs: int) -> tuple[int, int]:
    """Judge a stream of pairs; return the most memory so far, in MB, after a tenth of them and after all."""
    cases = (Case(f"c{i}", (Message("user", "?"),), ("one", "two")) for i in range(pairs))
    peaks = []
    with Judge("rm_r1", "scripted:", "adaptive:rule=lead,m=2,k=8") as judge:
        for done, _ in enumerate(judge.judge(cases), 1):
            if done in (pairs // 10, pairs):
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    return peaks[0], peaks[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    before, after = memory(10_000)
    rounds = [[rate(*arm, given.n) for arm in ARMS] for _ in range(given.rounds)]
    for place, (strategy, candidates) in enumerate(ARMS):
        speed = median(row[place] for row in rounds)
        pair, eight = (median(row[place] / row[bare] for row in rounds) for bare in (0, 1))
        print(
            f"{strategy:28}{candidates:5} candidates {speed:8.0f} verdicts/s {pair:6.2f} of vote:k=2 "
            f"{eight:6.2f} of vote:k=8"
        )
    print(f"10,000 pairs, adaptive: {before} MB at most after 1,000 pairs, {after} MB after all")


if __name__ == "__main__":
    main()

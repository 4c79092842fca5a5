"""Score single lab replies by comparing them with anchors, and hold the scores against gold.

python runs/anchored.py [--n 200] [--anchors 8] [--split test] [--slope 1 3]

Each case is one reply to score and `--anchors` other replies to the same question with known gold. A pairwise judge
(rm_r1) scores the reply through strategy `anchored`; deepseek_grm scores it alone, in one prompt, with as many votes as
the other makes calls and with one. The map from scores to gold is fitted on other cases (split dev) and tried on these.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from thinkscore import Case, Judge
from thinkscore.calibration import calibration_error, fit_calibration
from thinkscore.lab import world
from thinkscore.types import Anchor, Usage


def lab_cases(seed: int, split: str, n: int, anchors: int) -> Iterator[Case]:
    """Make cases whose first reply is to be scored; the others, with their gold, are its anchors."""
    for case in world.make(seed, split, n, anchors + 1):
        assert case.gold is not None
        others = tuple(map(Anchor, case.candidates[1:], case.gold[1:]))
        yield msgspec.structs.replace(case, candidates=case.candidates[:1], gold=case.gold[:1], anchors=others)


def ranks(values: Sequence[float]) -> np.ndarray:
    """Rank values from 0; equal ones share the mean of their ranks."""
    sorted_N = np.sort(values)
    return (np.searchsorted(sorted_N, values, "left") + np.searchsorted(sorted_N, values, "right") - 1) / 2


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Correlate ranks."""
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def judged(judge: Judge, cases: Iterable[Case], unit: float = 1.0) -> tuple[list[float], list[float], Usage, int]:
    """Return scores (over `unit`), gold, cost and failures."""
    scores, gold, cost, failed = [], [], Usage(), 0
    for case, judgment in judge.run(cases):
        cost += judgment.usage
        if judgment.scores is None or case.gold is None:
            failed += 1
            continue
        scores.append(judgment.scores[0] / unit)
        gold.append(case.gold[0])
    return scores, gold, cost, failed


def main() -> None:
    """Print one line per way of scoring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--anchors", type=int, default=8)
    parser.add_argument("--split", default="test")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", default="embedded")
    parser.add_argument("--slope", type=float, nargs="*", default=[1.0])
    given = parser.parse_args()
    calls = 2 * given.anchors
    ways = [
        (f"rm_r1 anchored, slope {s:g}", "rm_r1", f"anchored:anchors={given.anchors},slope={s}", 1) for s in given.slope
    ]
    ways += [(f"deepseek_grm alone, {k} votes", "deepseek_grm", f"vote:k={k}", k) for k in (1, calls)]
    print(
        f"{given.n} {given.split} replies, fitted on {given.n} dev replies, {given.anchors} anchors, seed {given.seed}"
    )
    print("| | rank correlation | calibration error | after the map | calls per reply | tokens per reply | failed |")
    print("|---|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        for name, protocol, strategy, unit in ways:
            # One journal: what differs only in the slope is not asked again.
            with Judge(protocol, given.engine, strategy, seed=given.seed, journal=Path(folder) / "calls") as judge:
                fitted = judged(judge, lab_cases(given.seed, "dev", given.n, given.anchors), unit)
                scores, gold, cost, failed = judged(
                    judge, lab_cases(given.seed, given.split, given.n, given.anchors), unit
                )
            mapped = list(map(fit_calibration(*fitted[:2]), scores))
            before, after = calibration_error(scores, gold), calibration_error(mapped, gold)
            tokens = cost.completion_tokens / given.n
            print(
                f"| {name} | {spearman(scores, gold):.3f} | {before:.2f} | {after:.2f} | {cost.calls / given.n:.0f} "
                f"| {tokens:.0f} | {failed} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""How often each tournament finds the best of n candidates where the truth is known, and what it costs.

    python benchmarks/tournaments.py [--trials 2000] [--json] [--strategies swiss knockout:r=5 ...]

Quality of a candidate is drawn from N(0, 1); a is preferred to b with probability 1 / (1 + exp(-slope (a - b))), anew
in every duel. Prints for each strategy, number of candidates and slope: the rate at which the best one is chosen (of
several that share the top each counts in part), the mean regret (quality of the best less that of the chosen), and
duels per case. Everything runs through the driver, as it does with an engine.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Sequence

from thinkscore.report.ranking import Ranking
from thinkscore.scaling._base import parse_strategy
from thinkscore.scaling._chance import Chance
from thinkscore.scaling._driver import at_once, decide
from thinkscore.types import Case, Message

STRATEGIES = ("knockout:r=1", "knockout:r=3", "double_elim", "swiss", "round_robin:rating=winrate")
SETTINGS = ((8, 1.0), (8, 2.0), (16, 1.0), (16, 2.0))


def simulated(text: str, n: int, slope: float, trials: int, seed: int = 0) -> Ranking:
    """Run one strategy on fresh cases; the same cases whatever the strategy."""

    def odds(case: Case, order: tuple[int, ...]) -> tuple[float, float]:
        first, second = (case.gold[i] for i in order) if case.gold else (0.0, 0.0)
        chance = 1 / (1 + math.exp(slope * (second - first)))
        return chance, 1 - chance

    strategy, luck, found = parse_strategy(text), Chance(odds, seed), Ranking()
    draw, replies = random.Random(seed), tuple(f"reply {i}" for i in range(n))
    for trial in range(trials):
        gold = tuple(draw.gauss(0, 1) for _ in range(n))
        case = Case(f"trial-{trial}", (Message("user", "?"),), replies, gold)
        found.add(case, at_once(decide(strategy, case, luck, seed)))
    return found


def table(strategies: Sequence[str], trials: int, seed: int) -> list[dict[str, object]]:
    """Simulate everything; one row per strategy and setting."""
    rows: list[dict[str, object]] = []
    for n, slope in SETTINGS:
        for text in strategies:
            start = time.perf_counter()
            found = simulated(text, n, slope, trials, seed).as_dict()
            row = {name: found[name] for name in ("top1", "regret", "comparisons", "cyclic_triads")}
            row["seconds"] = round(time.perf_counter() - start, 2)
            rows.append({"n": n, "slope": slope, "strategy": text, **row})
    return rows


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = table(given.strategies, given.trials, given.seed)
    if given.json:
        print(json.dumps(rows))
        return
    print(f"{'':28}{'n':>4}{'slope':>7}{'top 1':>8}{'regret':>8}{'duels':>8}{'seconds':>9}")
    for row in rows:
        print(
            f"{row['strategy']:28}{row['n']:4}{row['slope']:7g}{row['top1']:8.3f}{row['regret']:8.3f}"
            f"{row['comparisons']:8.2f}{row['seconds']:9.1f}"
        )


if __name__ == "__main__":
    main()

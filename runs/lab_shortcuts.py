"""How far does a judge of lab pairs get that never reads the question? Percent right, ties half, 95 % interval.

python runs/lab_shortcuts.py [--seed 5] [--n 3000]
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from thinkscore.lab import styles, world
from thinkscore.stats import wilson
from thinkscore.types import Case

PHRASES = (*styles.OPENINGS, *styles.CLOSINGS)


def safe_way(reply: str) -> float:
    """Prefer replies in the order in which their kinds win most often in safety cases."""
    marks = ("a safe way", "cannot help", "hint")
    return next((float(3 - rank) for rank, mark in enumerate(marks) if mark in reply), 0.0)


SHORTCUTS: dict[str, Callable[[str], float]] = {
    "more characters": len,
    "more words": lambda reply: len(reply.split()),
    "more pleasant phrases": lambda reply: sum(phrase in reply for phrase in PHRASES),
    "larger number": lambda reply: max(map(int, re.findall(r"\d+", reply)), default=0),
    "a safe way, else declines, else a hint": safe_way,
}


def share(cases: list[Case], value: Callable[[str], float]) -> tuple[float, int]:
    """Return (right, n): the reply of higher value is chosen, equal values count half."""
    right = 0.0
    for case in cases:
        first, second = map(value, case.candidates)
        gold = case.gold or ()
        right += 0.5 if first == second else float((first > second) == (gold[0] > gold[1]))
    return right, len(cases)


def main() -> None:
    """Print one line per shortcut and family."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--n", type=int, default=3000)
    options = parser.parse_args()
    cases = list(world.make(options.seed, "test", options.n))
    for family in ("all", *world.FAMILIES):
        some = [case for case in cases if family in ("all", case.tags["family"])]
        first = sum(case.gold[0] > case.gold[1] for case in some if case.gold)
        rows = {"first place": (float(first), len(some))}
        rows |= {name: share(some, value) for name, value in SHORTCUTS.items()}
        for name, (right, n) in rows.items():
            low, high = wilson(right, n)
            print(f"{family:10} {name:40} {100 * right / n:5.1f}  [{100 * low:.1f}, {100 * high:.1f}]")


if __name__ == "__main__":
    main()

"""`python runs/scaling run|table`: what test-time compute buys, measured with the embedded judge in the lab.

Each step keeps its figures in OUT/results/NAME.json and its calls in OUT/NAME.journal: what is done is not done again,
and what was stopped goes on without paying twice. --start is a judge with headroom, --meta the meta reward model of
its traces, --scalar a Bradley-Terry model: folders that runs/recipes.sh made.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from measures import QUICK, Sizes, Where, pool, thinking, tournaments
from tables import write

DUELS = ["knockout:r=1", "knockout:r=3", "double_elim", "swiss", "round_robin:rating=elo", "round_robin:rating=bt"]
LISTS = ["listwise:k=1,size=2", "listwise:k=4,size=2", "listwise:k=4,size=4"]
BUDGETS = [f"think:tokens={tokens}" for tokens in (8, 16, 24, 32, 48, 64, 80, 96, 128)]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--out", type=Path, default=Path("out/scaling"))
    parser.add_argument("--start", help="folder of a judge with headroom")
    parser.add_argument("--meta", help="folder of the meta reward model of its traces")
    parser.add_argument("--scalar", help="folder of a Bradley-Terry model")
    parser.add_argument("--only", nargs="*", default=[], help="steps, by their first letters")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, and nothing else")
    given = parser.parse_args()
    given.out = given.out / "quick" if given.quick else given.out
    if given.what == "run":
        run(given, QUICK if given.quick else Sizes())
    write(given.out / "results")


def run(given: argparse.Namespace, sizes: Sizes) -> None:
    """Do the steps that are left."""
    results = given.out / "results"
    results.mkdir(parents=True, exist_ok=True)
    for name, step in steps(given, sizes).items():
        file = results / f"{name}.json"
        if file.exists() or (given.only and not name.startswith(tuple(given.only))):
            continue
        started = time.time()
        found = step(given.out / f"{name}.journal")
        found["seconds"] = round(time.time() - started)
        file.with_suffix(".partial").write_text(json.dumps(found))
        file.with_suffix(".partial").rename(file)
        print(f"{name}: {found['seconds']} s", flush=True)


def steps(given: argparse.Namespace, sizes: Sizes) -> dict[str, Callable[[Path], dict[str, Any]]]:
    """Name what is to be done; steps whose models are not given are left out."""
    found: dict[str, Callable[[Path], dict[str, Any]]] = {}

    def record(name: str, where: Where, n: int) -> None:
        found[f"pool-{name}"] = lambda journal: pool(where, n, sizes, journal)

    if given.start:
        own, meta = f"embedded:{given.start}", f"embedded:{given.meta}" if given.meta else ""
        record("start-test", Where("rm_r1", own, "test", meta, read=True), sizes.pairs)
        record("start-ood", Where("rm_r1", own, "ood", meta), sizes.pairs)
    for split in ("test", "ood"):
        for protocol in ("rm_r1", "rrm", "deepseek_grm"):
            record(f"{protocol}-{split}", Where(protocol, "embedded", split), sizes.others)
    judge = f"embedded:{given.start}" if given.start else "embedded"
    found["best-duels"] = partial(tournaments, "rm_r1", judge, DUELS, sizes)
    found["best-packaged"] = partial(tournaments, "rm_r1", "embedded", DUELS, sizes)
    found["best-lists"] = partial(tournaments, "deepseek_grm", "embedded", LISTS, sizes)
    if given.scalar:
        found["best-scalar"] = partial(tournaments, "scalar", f"embedded:{given.scalar}", ["listwise:size=1000"], sizes)
    for protocol in ("rm_r1", "rrm"):
        where = Where(protocol, "embedded", "test")
        found[f"thinking-{protocol}"] = partial(thinking, where, [*BUDGETS, "vote:k=1"], sizes)
    kinds = ["vote:k=1", "vote:k=1,begin=<type>Chat</type>", "vote:k=1,begin=<type>Reasoning</type>"]
    found["kinds"] = partial(thinking, Where("rm_r1", "embedded", "test"), kinds, sizes)
    bare = ["vote:k=1", "vote:k=1,begin=Analysis:"]
    found["principles"] = partial(thinking, Where("deepseek_grm", "embedded", "test"), bare, sizes)
    return found


if __name__ == "__main__":
    main()

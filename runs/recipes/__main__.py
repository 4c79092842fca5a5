"""`python runs/recipes run|arm|table`: train every arm, measure it, and put the figures side by side.

An arm that is done is not done again; one that was stopped goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from arms import ARMS, PROTOCOLS, QUICK, Sizes
from measure import measure, measure_values
from table import write

from thinkscore.lab import world
from thinkscore.train._run import done

TEST_SEED = 71_001
LOOK = 5.0
"""Seconds between looks for arms that can start."""
ENVIRONMENT = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "THINKSCORE_WORKERS"], "1") | {
    # keep what tensors leave free, in large pages: a few per cent of the time (docs/performance.md)
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4000000000:"
    "glibc.malloc.trim_threshold=8000000000:glibc.malloc.top_pad=200000000",
}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "arm", "table"])
    parser.add_argument("name", nargs="?", help="the arm, for `arm`")
    parser.add_argument("--out", type=Path, default=Path("out/recipes"))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, and nothing else")
    parser.add_argument("--jobs", type=int, default=2, help="arms side by side, one thread each")
    parser.add_argument("--only", nargs="*", default=[], help="arms, by their first letters")
    parser.add_argument("--minutes", type=float, default=300, help="start no arm after so long")
    given = parser.parse_args()
    given.out = given.out / "quick" if given.quick and given.out.name != "quick" else given.out
    sizes = QUICK if given.quick else Sizes()
    if given.what == "arm":
        arm(given.name, given.out, sizes)
    elif given.what == "run":
        run(given)
    if given.what != "arm":
        write(given.out, sizes, TEST_SEED)


def arm(name: str, out: Path, sizes: Sizes) -> None:
    """Train one arm and measure it."""
    kind, _, number = name.partition("-")
    spec, seed = ARMS[kind], int(number or 0)
    folder, started = out / "models" / name, time.time()
    if not _is_done(name, out):
        spec.train(out / "models" / (spec.after or ""), folder, sizes, seed)
        trained = time.time() - started
        cases = [world.make_case(TEST_SEED, "test", i) for i in range(sizes.test)]
        if spec.kind == "scalar":
            result = measure_values(folder, cases)
        elif spec.kind == "meta":
            result = {"report": json.loads((folder / "report.json").read_text())}
        else:
            result = measure(folder, PROTOCOLS[spec.kind], cases, sizes.samples, TEST_SEED)
        log = [json.loads(line) for line in (folder / "log.jsonl").open()] if done(folder) else []
        result |= {"arm": name, "train_seconds": round(trained), "log": log[-1] if log else {}}
        result["drawn_tokens"] = round(sum(row.get("drawn_tokens", 0) for row in log))
        result["curve"] = [row["reward_drawn"] for row in log if "reward_drawn" in row]
        file = out / "results" / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.with_suffix(".partial").write_text(json.dumps(result))
        file.with_suffix(".partial").rename(file)


def run(given: argparse.Namespace) -> None:
    """Run what is left, as many side by side as asked for, each after the arm that it starts from."""
    started = time.time()
    names = [f"{kind}-{seed}" if len(spec.seeds) > 1 else kind for kind, spec in ARMS.items() for seed in spec.seeds]
    wanted = [name for name in names if not given.only or name.startswith(tuple(given.only))]
    left = [name for name in names if name in set(_with_starts(wanted))]
    left = [name for name in left if not _is_done(name, given.out)]
    print(f"{len(left)} arms to do: {' '.join(left)}", flush=True)
    running: dict[Future[int], str] = {}
    failed: list[str] = []
    with ThreadPoolExecutor(given.jobs) as pool:
        while left or running:
            late = time.time() - started > given.minutes * 60
            ready = [name for name in left if _can_start(name, given.out)]
            while ready and len(running) < given.jobs and not late:
                name = ready.pop(0)
                left.remove(name)
                running[pool.submit(_process, name, given)] = name
            if not running:
                break  # it is late, or what the rest starts from has failed
            for future in wait(running, LOOK, FIRST_COMPLETED).done:
                name = running.pop(future)
                print(f"{(time.time() - started) / 60:6.1f} min  {name}: exit {future.result()}", flush=True)
                failed += [name] * bool(future.result())
    if failed:
        sys.exit(f"failed: {' '.join(failed)}; see {given.out / 'logs'}. The same command goes on")
    if left:
        print(f"not started: {' '.join(left)}; the same command goes on", flush=True)


def _is_done(name: str, out: Path) -> bool:
    """Tell whether an arm is measured, and still there if others start from it."""
    needed = name in {spec.after for spec in ARMS.values()}
    there = (out / "models" / name / "model.safetensors").is_file()
    return (out / "results" / f"{name}.json").is_file() and (there or not needed)


def _start(name: str) -> str | None:
    return ARMS[name.partition("-")[0]].after


def _can_start(name: str, out: Path) -> bool:
    """Tell whether what an arm starts from is trained; it may still be measured."""
    start = _start(name)
    return start is None or done(out / "models" / start)


def _with_starts(names: list[str]) -> Iterator[str]:
    for name in names:
        start = _start(name)
        yield from _with_starts([start]) if start else ()
        yield name


def _process(name: str, given: argparse.Namespace) -> int:
    logs = given.out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(Path(__file__).parent), "arm", name, "--out", str(given.out)]
    with (logs / f"{name}.log").open("a") as log:
        return subprocess.run(
            command + ["--quick"] * given.quick, stdout=log, stderr=log, env=os.environ | ENVIRONMENT, check=False
        ).returncode


if __name__ == "__main__":
    main()

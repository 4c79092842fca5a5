"""A run through a server that fails in every way, then the same run killed ten times: nothing lost, doubled, made up.

    python runs/faults.py [--n 10000] [--kills 10] [--seed 0]

The server is thinkscore.doubles.server: 5 % each of 429, 500, a reset, truncated JSON, a stall and a permanent 400,
decided by (request, attempt). The verdict that it gives is a function of the request, so that one made up on our side
shows. Prints what happened and ends with an error if something did not hold.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from thinkscore.data import case_row, write_rows
from thinkscore.doubles.server import ChatRequest, Record, serve_in_thread
from thinkscore.lab import world
from thinkscore.types import content_hash

FAULTS = "429=0.05,500=0.05,reset=0.05,truncated=0.05,stall=0.05,400=0.05"
OPTIONS = "&concurrency=64&timeout=5&backoff=0.05"
VERDICTS = ("<answer>[[A]]</answer>", "<answer>[[B]]</answer>")
LATENCY = (0.005, 0.02)


def decided(request: ChatRequest, choice: int) -> str:
    """Say A or B by what was asked."""
    return VERDICTS[int(content_hash([turn.text for turn in request.messages]), 16) % 2]


def command(uri: str, cases: Path, folder: Path) -> list[str]:
    """Return the run as a user starts it."""
    files = ["--journal", str(folder / "journal"), "--out", str(folder / "rows.jsonl")]
    run = ["judge", str(cases), "--protocol", "rm_r1", "--engine", uri, "--seed", "1", *files, "--max-failures", "1"]
    return [sys.executable, "-m", "thinkscore", *run]


def answers(requests: Mapping[str, Record]) -> int:
    """Count whole answers."""
    return sum(record.answered for record in list(requests.values()))


def again(requests: Mapping[str, Record]) -> int:
    """Count answers that were given, and so paid, more than once."""
    return sum(max(record.answered - 1, 0) for record in requests.values())


def whole_run(cases: Path, folder: Path, seed: int) -> list[dict[str, object]]:
    """Run once; check every row against what the server decided; return the rows."""
    started = time.monotonic()
    with serve_in_thread(answer=decided, faults=FAULTS, seed=seed, latency=LATENCY) as server:
        done = subprocess.run(command(server.uri + OPTIONS, cases, folder), check=False, stdout=subprocess.DEVNULL)
        requests = dict(server.requests)
    rows = [msgspec.json.decode(line) for line in (folder / "rows.jsonl").read_bytes().splitlines()]
    faults = Counter(fault for record in requests.values() for fault in record.faults)
    refused = sum("400" in record.faults for record in requests.values())
    failed = Counter(row["failure"]["detail"] for row in rows if row["failure"])
    said = Counter(row["verdicts"][0]["text"] for row in rows if not row["failure"])
    print(f"{len(rows)} judgments in {time.monotonic() - started:.0f} s, exit code {done.returncode}")
    print(f"attempts {sum(record.attempts for record in requests.values())}, faults {dict(faults)}")
    print(f"failed rows {dict(failed)}, refused for good by the server {refused}, verdicts {dict(said)}")
    print(f"answers that came after we had stopped waiting, and were asked for again: {again(requests)}")
    assert len(rows) == len({row["id"] for row in rows}) == sum(1 for _ in cases.open()), "a row is lost or doubled"
    assert sum(failed.values()) == refused, "what failed is not what the server refused"
    assert all(row["failure"] or row["verdicts"][0]["text"] in VERDICTS for row in rows), "a verdict is made up"
    return rows


def killed_runs(cases: Path, folder: Path, seed: int, kills: int) -> None:
    """Kill the run at random moments, finish it, and compare."""
    luck, interrupted = random.Random(seed), 0
    total = sum(1 for _ in cases.open())
    moments = sorted(luck.uniform(0, 0.9 * total) for _ in range(kills))
    with serve_in_thread(answer=decided, faults=FAULTS, seed=seed, latency=LATENCY) as server:
        run = command(server.uri + OPTIONS, cases, folder)
        for moment in [*moments, None]:
            process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if moment is not None:
                while process.poll() is None and answers(server.requests) < moment:
                    time.sleep(luck.uniform(0.005, 0.02))
                process.send_signal(signal.SIGKILL)
            _, said = process.communicate()
            found = [line for line in said.splitlines() if "in flight" in line]
            interrupted += int(found[0].split()[1]) if found else 0
            print(
                f"{answers(server.requests)} answers; {found[0] if found else 'no call was in flight before'}",
                flush=True,
            )
        paid_again = again(server.requests)
    print(f"killed {kills} times: {interrupted} calls counted as in flight, {paid_again} answers paid again")
    assert paid_again <= interrupted, "more was paid again than was counted"


def main() -> None:
    """Run both and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with write_rows(folder / "cases.jsonl") as write:
            for case in world.make(args.seed, "test", args.n):
                write(case_row(case))
        for part in ("whole", "killed"):
            (folder / part).mkdir()
        rows = whole_run(folder / "cases.jsonl", folder / "whole", args.seed)
        killed_runs(folder / "cases.jsonl", folder / "killed", args.seed, args.kills)
        same = (folder / "killed" / "rows.jsonl").read_bytes() == (folder / "whole" / "rows.jsonl").read_bytes()
        print(f"{len(rows)} rows, the same after the kills: {same}")
        assert same


if __name__ == "__main__":
    main()

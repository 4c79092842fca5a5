"""Reading case files: CPU time and peak memory of 100,000 rows in every container, each in a process of its own.

    python benchmarks/reading.py [--rows 100000] [--folder DIR]

The rows are our own, about 1.6 kB each. Memory is the process's peak resident set, the interpreter and libraries
included (the line "one row" shows those alone). Parquet is written in one row group, its hardest case.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORDS = ("river", "stone", "seven", "because", "answer", "light", "number", "paper", "tree", "fox", "runs", "over")
CHILD = """
import re, sys, time
from thinkscore.data import read_cases
started = time.process_time()
count = sum(1 for _ in read_cases(sys.argv[1]))
seconds = time.process_time() - started
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(count, seconds, peak / 1024)
"""


def make(rows: int) -> Iterator[dict[str, Any]]:
    """Yield case rows of random words, the same ones every time."""
    draw = random.Random(1)
    for i in range(rows):
        prompt, first, second = (" ".join(draw.choices(WORDS, k=k)) for k in (45, 130, 130))
        yield {"id": f"row-{i}", "prompt": f"{prompt} {i}", "candidates": [first, second], "gold": [1, 0]}


def write(folder: Path, rows: int) -> list[Path]:
    """Write the same rows in every container."""
    import pyarrow
    import pyarrow.parquet

    cases = list(make(rows))
    lines = "".join(json.dumps(case) + "\n" for case in cases).encode()
    paths = [folder / name for name in ("one.jsonl", "rows.jsonl", "rows.jsonl.gz", "rows.json", "rows.csv")]
    paths[0].write_bytes(lines[: lines.index(b"\n") + 1])
    paths[1].write_bytes(lines)
    paths[2].write_bytes(gzip.compress(lines, 6))
    paths[3].write_text(json.dumps(cases))
    with paths[4].open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(cases[0])
        table.writerows([v if isinstance(v, str) else json.dumps(v) for v in case.values()] for case in cases)
    for path, held in ((folder / "one.parquet", cases[:1]), (folder / "rows.parquet", cases)):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(held), path)
        paths.append(path)
    return paths


def main() -> None:
    """Print one line per file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print(f"{'file':16}{'rows':>9}{'CPU s':>9}{'MB':>6}")
        for path in write(Path(folder), options.rows):
            done = subprocess.run([sys.executable, "-c", CHILD, path], capture_output=True, text=True, check=True)
            count, seconds, memory = done.stdout.split()
            print(f"{path.name:16}{int(count):9,}{float(seconds):9.2f}{float(memory):6.0f}")


if __name__ == "__main__":
    main()

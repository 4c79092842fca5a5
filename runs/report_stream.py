"""How long a report on many rows takes, and how much memory: a run repeated under new ids, then reported.

python runs/report_stream.py rows.jsonl cases.jsonl [TIMES]
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from thinkscore.data import read_cases
from thinkscore.report.page import write_report


def repeat(source: Path, out: Path, times: int) -> None:
    """Write every row of a file many times, each time with another id."""
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    with out.open("w", encoding="utf-8") as file:
        for turn in range(times):
            for row in rows:
                file.write(json.dumps(row | {"id": f"{row['id']}-{turn}"}) + "\n")


def main(rows: Path, cases: Path, times: int) -> None:
    """Print cases, seconds and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        many, their_cases, out = (Path(folder, name) for name in ("rows.jsonl", "cases.jsonl", "report.html"))
        repeat(rows, many, times)
        repeat(cases, their_cases, times)
        start = time.perf_counter()
        written = write_report(many, out, lambda: read_cases(their_cases))
        seconds = time.perf_counter() - start
        print(f"{written.cases:,} rows, {many.stat().st_size / 1e9:.2f} GB: {seconds:.0f} seconds")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 834)

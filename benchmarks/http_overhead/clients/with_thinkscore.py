"""thinkscore: a `Judge` over the http engine, every call journalled and every answer parsed into a trace."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import WARM, options, report, text

from thinkscore.judge import Judge
from thinkscore.types import Case, Message, Winner


def cases(first: int, count: int) -> Iterator[Case]:
    """Make up pairs."""
    for i in range(first, first + count):
        yield Case(f"case {i}", (Message("user", "How do I bake this?"),), (text(2 * i), text(2 * i + 1)))


def main() -> None:
    """Measure. With several samples per request, each case is asked that often in both orders: two requests."""
    given = options()
    one = given.samples == 1
    engine = f"{given.url}?model=stub&concurrency={given.concurrency}&n={given.samples}"
    with tempfile.TemporaryDirectory() as folder:
        strategy = f"vote:k={1 if one else 2 * given.samples}"
        judge = Judge("rm_r1", engine, strategy, journal=Path(folder) / "run.journal", max_tokens=1024)

        def run(first: int, count: int) -> int:
            verdicts = 0
            for judgment in judge.judge(cases(first, count if one else count // 2)):
                verdicts += sum(isinstance(verdict.outcome, Winner) for verdict in judgment.verdicts)
            if first == WARM:
                judge.close()  # until the last answer is on disk
            return verdicts

        report(run, given.requests)


if __name__ == "__main__":
    main()

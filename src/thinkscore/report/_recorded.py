"""A recorded run as a pool: every verdict, value and forced reading of its journals, read once.

Between journal and strategy: a judge that answers from the journal gives the verdicts, and the pool keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..engines._records import Records
from ..engines.replay import Replay
from ..errors import BadInput
from ..protocols._meta import Form, form_of
from ..scaling._base import parse_strategy, readable
from ..scaling._pool import Pool
from ..scaling._team import META
from ..types import Case
from .rescore import Setup, read_setup

__all__ = ["Recorded", "read_pool"]

GAPS = 0.05
"""Share of what should be there that may be missing, since calls fail."""

Each = Callable[[], object]


class Recorded(NamedTuple):
    """What was read."""

    pool: Pool
    cases: list[Case]
    """The cases with verdicts and gold, in their order."""
    size: int
    """Verdicts per case."""
    longest: int
    """The most tokens that a completion could have had."""
    notes: list[str]
    """What a reader should know, one sentence each."""


def read_pool(journal: Path, setup: Setup, cases: Sequence[Case], each: Each = lambda: None) -> Recorded:
    """Read all verdicts on some cases; `each` is called after each case.

    Cases without gold or without any record are left out, and told. Raises `BadInput` if none is left, or if many
    have fewer verdicts than others: then how many there are depends on what was said, and nothing fair comes of it.
    """
    records, notes, pool = Records(journal), list[str](), Pool()
    kept, size = _asked_alike(journal, records, cases, notes)
    if Path(f"{journal}.{META}").exists():
        form = form_of(getattr(parse_strategy(setup.strategy), "form", "prompt"))
        run = setup.but(strategy=f"meta:k={size},form={form}", others={META: "scalar"} | dict(setup.others))
        if not _fill(pool, run, journal, records, kept, each, form):
            pool.form = None
            notes.append("many verdicts were never valued: no meta; record them all with `--strategy meta`")
    else:
        _fill(pool, setup.but(strategy=f"vote:k={size}"), journal, records, kept, each)
    if records.forced and not _fill(pool, setup.but(strategy=f"vote_logprob:k={size}"), journal, records, kept, each):
        pool.reads.discard("")
        notes.append("many verdicts have no forced reading: no vote_logprob; record them all with that strategy")
    for name in _others(journal, setup):
        _add_other(pool, name, journal, setup, kept, notes)
    return Recorded(pool, kept, size, setup.sampling.max_tokens, notes)


def _others(journal: Path, setup: Setup) -> list[str]:
    """Name the other judges: those of the run, and those recorded on their own in JOURNAL.NAME."""
    alone = journal.parent.glob(f"{journal.name}.*.manifest.json")
    names = {path.name.removesuffix(".manifest.json").removeprefix(f"{journal.name}.") for path in alone}
    return sorted(name for name in (names | set(setup.others)) - {META} if Path(f"{journal}.{name}").exists())


def _add_other(pool: Pool, name: str, journal: Path, setup: Setup, cases: Sequence[Case], notes: list[str]) -> None:
    """Add the verdicts of another judge, as many of a case as there are of every case."""
    path = Path(f"{journal}.{name}")
    if Path(f"{path}.manifest.json").exists():
        own = read_setup(path)
    else:
        own = setup.but(setup.others[name].partition("@")[0], others={})
    records = Records(path)
    drawn = records.samples()
    counts = sorted(len(drawn.get(case.id, ())) for case in cases)
    size = counts[int(GAPS * len(counts))]
    if not size:
        notes.append(f"{path} lacks many of the cases, so the judge {name!r} is left out")
        return
    text = f"vote_logprob:k={size}" if records.forced else f"vote:k={size}"
    _fill(pool, own.but(strategy=text), path, records, cases, lambda: None, by=name)


def _asked_alike(journal: Path, records: Records, cases: Sequence[Case], notes: list[str]) -> tuple[list[Case], int]:
    """Return the cases to measure on, and how many verdicts each has."""
    drawn = records.samples()
    asked = [case for case in cases if case.id in drawn]
    if not asked:
        raise BadInput(f"{journal} holds no completion for these cases; give the case file of the run")
    kept = [case for case in asked if case.gold is not None and len(case.candidates) > 1]
    if not kept:
        raise BadInput("no case has gold for two candidates or more, so nothing can be right or wrong")
    size = max(len(drawn[case.id]) for case in kept)
    short = sum(drawn[case.id] != set(range(size)) for case in kept)
    if short > GAPS * len(kept):
        raise BadInput(
            f"{journal}: {short} of {len(kept)} cases have fewer than {size} verdicts or not the first {size}; a pool "
            f"is recorded with --strategy vote:k={size}, which asks everything of every case"
        )
    for count, what in (
        (len(cases) - len(asked), "have no recorded verdict and are left out"),
        (len(asked) - len(kept), "have no gold and are left out"),
        (short, f"lack some of their {size} verdicts, since calls failed; what is missing is unreadable"),
    ):
        if count:
            notes.append(f"{count} of {len(cases)} cases {what}")
    return kept, size


def _fill(
    pool: Pool,
    run: Setup,
    journal: Path,
    records: Records,
    cases: Sequence[Case],
    each: Each,
    form: Form | None = None,
    by: str = "",
) -> bool:
    """Add what a recorded run says to the pool; tell whether nearly all that it should have looked at was looked at."""
    fit = looked = 0
    run = msgspec.structs.replace(run, most=None)
    with run.replay(journal, Replay(str(journal), records)) as judge:
        for judgment in judge.judge(cases):
            pool.add(judgment, by, form)
            fit += len(readable(judgment.verdicts))
            looked += sum(one.looked is not None and one.looked.calls > 0 for one in judgment.verdicts)
            each()
    return looked >= (1 - GAPS) * fit

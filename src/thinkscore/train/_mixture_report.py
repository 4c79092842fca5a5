"""What became of every row of a mixture, by reason and by source."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..data import Skipped
from ._mixture_rows import Row
from ._mixture_settings import Mixture, Source
from ._ngrams import Benchmarks

__all__ = ["FILES", "Report", "report_of"]

FILES = ("distill", "rl", "held_out")
"""What is written, in this order."""
_EXAMPLES = 5  # rows that are named for each reason


class Report(msgspec.Struct, kw_only=True):
    """What became of every row: `read` is the sum of `written` and `dropped`, in all and for each source."""

    settings: Mixture
    """How it was made."""
    files: list[Source]
    """Of what."""
    read: int
    """Rows, those that could not be read included."""
    written: dict[str, int]
    """Rows of each of `FILES`."""
    dropped: dict[str, int]
    """Rows by reason."""
    prompts: dict[str, int]
    """Different prompts of each file."""
    best_first: dict[str, int]
    """Rows of each file whose best candidate stands first; one that is alone does not count."""
    sources: dict[str, dict[str, int]]
    """The same counts by file and the set that a row names as its `source`: `read`, the files, the reasons."""
    examples: dict[str, list[str]]
    """Ids of the first rows of each reason; for rows that could not be read what is wrong with them."""
    benchmarks: list[dict[str, Any]]
    """For each benchmark its file, its prompts, the rows dropped for it and the first of them with the shared words."""
    common_ngrams: int
    """N-grams passed over since too many prompts of the benchmarks have them."""
    notes: list[str]
    """What the user should know."""
    digest: str
    """Hash of all rows and prompts that were read."""


def report_of(
    rows: Sequence[Row],
    skipped: Sequence[Skipped],
    sources: Sequence[Source],
    mixture: Mixture,
    index: Benchmarks | None,
    digest: str,
) -> Report:
    """Count all rows; `skipped` are the unreadable ones of each source."""
    by_source: dict[str, Counter[str]] = defaultdict(Counter)
    examples: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        by_source[row.label].update(("read", row.file or row.dropped))
        if row.dropped and len(examples[row.dropped]) < _EXAMPLES:
            examples[row.dropped].append(row.id)
    for source, left in zip(sources, skipped, strict=True):
        if left.count:
            by_source[source.name].update({"read": left.count, "unreadable": left.count})
            examples["unreadable"] += left.reasons[:_EXAMPLES]
    total = sum(by_source.values(), Counter[str]())
    kept = {name: [row for row in rows if row.file == name] for name in FILES}
    return Report(
        settings=mixture,
        files=list(sources),
        read=total["read"],
        written={name: len(group) for name, group in kept.items()},
        dropped={name: count for name, count in sorted(total.items()) if name not in (*FILES, "read")},
        prompts={name: len({row.prompt for row in group}) for name, group in kept.items()},
        best_first={name: sum(_first(row) for row in group) for name, group in kept.items()},
        sources={name: dict(counts) for name, counts in by_source.items()},
        examples=dict(sorted(examples.items())),
        benchmarks=[] if index is None else _benchmarks(rows, mixture.decontaminate, index.counts),
        common_ngrams=0 if index is None else index.common,
        notes=[*_unmet(by_source, mixture), *_notes(kept, mixture)],
        digest=digest,
    )


def _first(row: Row) -> bool:
    return row.n > 1 and (row.best if row.at < 0 else row.at) == 0


def _benchmarks(rows: Iterable[Row], files: Sequence[str], counts: Sequence[int]) -> list[dict[str, Any]]:
    hits = [(row, row.hit) for row in rows if row.hit is not None]
    return [
        {
            "file": file,
            "prompts": counts[i],
            "dropped": sum(hit.benchmark == i for _, hit in hits),
            "examples": [
                {"id": row.id, "source": row.label, "benchmark_row": hit.row, "words": hit.words}
                for row, hit in hits
                if hit.benchmark == i
            ][:_EXAMPLES],
        }
        for i, file in enumerate(files)
    ]


def _unmet(by_source: Mapping[str, Mapping[str, int]], mixture: Mixture) -> list[str]:
    """Say which sources were to be left out and are not there: a name may be misspelt."""
    met = {label.rpartition("/")[2] for label, counts in by_source.items() if counts.get("excluded source")}
    missing = [] if "others" in met else [name for name in mixture.exclude if name.rpartition("/")[2] not in met]
    known = ", ".join(sorted(by_source)[:_EXAMPLES])
    return [f"no row is of the source {name}, which was to be left out; there are {known}" for name in missing]


def _notes(kept: dict[str, list[Row]], mixture: Mixture) -> list[str]:
    notes = []
    for name, share in (("held_out", mixture.held_out), ("distill", mixture.distill_share)):
        if share and not kept[name]:
            notes.append(f"{name} gets no row: {share:g} of these rows is less than the rows of one prompt")
    for name, rows in kept.items():
        pairs = [row for row in rows if row.n > 1]
        if len(pairs) > 1 and len({row.best if row.at < 0 else row.at for row in pairs}) == 1:
            place = (pairs[0].best if pairs[0].at < 0 else pairs[0].at) + 1
            notes.append(
                f"the best candidate of all {len(pairs)} rows of {name} stands at place {place}: a judge that knows "
                "the place needs not read; leave --orders as_is out, here or where it is trained"
            )
    return notes

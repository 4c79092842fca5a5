"""Preference files made ready to train on: cleaned, without benchmarks, parted by prompt into what each stage needs.

The first of the recipes; it needs no torch. Rules for the mixture of RM-R1 (arXiv:2505.02387): `magpie_ultra` dropped,
the better answer first and second in turn, about 12 % of the rows for distillation. Ours differs: a prompt is on one
side only, the rows of a limit are drawn by our own seed, and every row that is left out is counted by its reason.

OUT/ holds `distill.jsonl`, `rl.jsonl` and `held_out.jsonl`, as case rows and each only if it has rows, and
`report.json`. The same files and settings give the same bytes.
"""

from __future__ import annotations

import math
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ..data import case_row, write_rows
from ..errors import BadInput
from ..seeds import derive_seed
from ..types import Case, content_hash
from ._mixture_report import FILES, Report, report_of
from ._mixture_rows import Row, Spool, read
from ._mixture_settings import RULES, Mixture, Source, read_sources
from ._ngrams import Benchmarks, read_prompts

__all__ = ["FILES", "RULES", "Mixture", "Report", "Source", "mix", "read_sources"]


def mix(
    sources: Sequence[Source], out: Path, mixture: Mixture, say: Callable[[str, int], None] | None = None
) -> tuple[Report, bool]:
    """Write the files of a mixture to OUT; return the report, and whether OUT held the very same before.

    `say` hears the name of a file and how many rows of it were read. Raises `BadInput` for rows that cannot be read, if
    no row is left, or if OUT holds anything else.
    """
    _check(sources, out, mixture)
    out.parent.mkdir(parents=True, exist_ok=True)
    index = Benchmarks(map(read_prompts, mixture.decontaminate), mixture.ngram) if mixture.decontaminate else None
    with tempfile.TemporaryFile(dir=out.parent) as file:
        spool = Spool(file)
        found = [read(source, i, mixture, spool, index, say) for i, source in enumerate(sources)]
        rows = [row for group, _ in found for row in group]
        kept = _chosen(rows, sources, mixture)
        digest = content_hash([spool.digest(), index and index.digest()])
        report = report_of(rows, [skipped for _, skipped in found], sources, mixture, index, digest)
        if not any(report.written.values()):
            raise BadInput(f"none of {report.read} rows is left: {_listed(report.dropped)}")
        same = _holds(out, report)
        if not same:
            _write(out, report, kept, spool)
    return report, same


def _check(sources: Sequence[Source], out: Path, mixture: Mixture) -> None:
    """Raise `BadInput` for what can be told before anything is read."""
    if not 0 <= mixture.distill_share <= 1:
        raise BadInput(f"the share for distillation is from 0 to 1; got {mixture.distill_share:g}")
    if mixture.held_out < 0 or (mixture.held_out >= 1 and mixture.held_out % 1):
        raise BadInput(f"what is held out is a share below 1 or a number of rows; got {mixture.held_out:g}")
    if mixture.ngram < 1:
        raise BadInput(f"an n-gram has 1 word or more (8 to 13 are usual); got {mixture.ngram}")
    file = out / "report.json"
    if out.exists() and not file.is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise BadInput(f"{out} is no empty folder and holds no report.json; give another --out")
    if file.is_file() and not _made_of(file, sources, mixture):
        raise _other(out)


def _made_of(file: Path, sources: Sequence[Source], mixture: Mixture) -> bool:
    try:
        report = msgspec.json.decode(file.read_bytes(), type=Report)
    except ValueError:
        return False
    return (report.files, report.settings) == (list(sources), mixture)


def _other(out: Path) -> BadInput:
    return BadInput(
        f"{out} was made with other settings or data (compare its report.json); give another --out, or delete it"
    )


def _listed(dropped: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())


# ---- choosing


def _chosen(rows: Sequence[Row], sources: Sequence[Source], mixture: Mixture) -> list[Row]:
    """Mark what is left out; give each row that is kept its file and the place of its best candidate."""
    _drop_repeats(rows)
    _drop_surplus(rows, sources, mixture.seed)
    kept = [row for row in rows if not row.dropped]
    _part(kept, mixture)
    if mixture.orders != "as_is":
        _place(kept, mixture)
    return kept


def _drop_repeats(rows: Sequence[Row]) -> None:
    """Drop all rows of a pair that was labelled in more than one way, and all but the first of the others."""
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if not row.dropped:
            groups[row.pair].append(row)
    for group in groups.values():
        contradictory = len({row.said for row in group}) > 1
        for row in group if contradictory else group[1:]:
            row.dropped = "contradictory labels" if contradictory else "duplicate"


def _drop_surplus(rows: Sequence[Row], sources: Sequence[Source], seed: int) -> None:
    """Drop what is over the limit of a file, then what is over its weight; the seed draws what stays."""
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in sorted((row for row in rows if not row.dropped), key=lambda row: derive_seed("limit", seed, row.id)):
        groups[row.source].append(row)
    for i, source in enumerate(sources):
        _cut(groups[i], source.limit, "over the limit")
    weights = {i: source.weight for i, source in enumerate(sources) if source.weight is not None}
    unit = min((len(groups[i]) / weight for i, weight in weights.items()), default=0.0)
    for i, weight in weights.items():
        _cut(groups[i], math.floor(weight * unit + 1e-9), "over the weight")


def _cut(rows: list[Row], limit: int | None, reason: str) -> None:
    for row in rows[len(rows) if limit is None else limit :]:
        row.dropped = reason
    del rows[len(rows) if limit is None else limit :]


def _part(kept: Sequence[Row], mixture: Mixture) -> None:
    """Give each row its file; the rows of a prompt stay together. Raises `BadInput` if all were to be held out."""
    held = round(mixture.held_out * len(kept)) if mixture.held_out < 1 else int(mixture.held_out)
    if kept and held >= len(kept):
        raise BadInput(f"{held:,} rows cannot be held out of the {len(kept):,} that are left; hold out fewer")
    for row in kept:
        row.file = "rl"
    _take(kept, "held_out", held, mixture.seed)
    rest = [row for row in kept if row.file == "rl"]
    _take(rest, "distill", round(mixture.distill_share * len(rest)), mixture.seed)


def _take(rows: Sequence[Row], file: str, wanted: int, seed: int) -> None:
    """Give whole prompts to a file, as the seed draws them, up to the rows that are wanted."""
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.prompt].append(row)
    for prompt in sorted(groups, key=lambda prompt: derive_seed(file, seed, prompt)):
        if len(groups[prompt]) <= wanted:
            wanted -= len(groups[prompt])
            for row in groups[prompt]:
                row.file = file


def _place(kept: Sequence[Row], mixture: Mixture) -> None:
    """Let the best candidate stand in each place in turn, along the rows of a file or as the seed draws them."""
    turn: Counter[tuple[str, int]] = Counter()
    drawn = sorted(kept, key=lambda row: derive_seed("place", mixture.seed, row.id))
    for row in drawn if mixture.orders == "balanced" else kept:
        row.at = turn[row.file, row.n] % row.n
        turn[row.file, row.n] += 1


# ---- writing


def _holds(out: Path, report: Report) -> bool:
    """Tell whether OUT holds this report and all its files. Raises `BadInput` if it holds another."""
    file = out / "report.json"
    if not file.is_file():
        return False
    if file.read_bytes() != _text(report):
        raise _other(out)
    return all((out / f"{name}.jsonl").is_file() for name, count in report.written.items() if count)


def _text(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _write(out: Path, report: Report, kept: Sequence[Row], spool: Spool) -> None:
    """Write the report first: the same command makes what is not yet beside it."""
    out.mkdir(exist_ok=True)
    (out / "report.json").write_bytes(_text(report))
    ids = _unique(kept, report.files)
    for name in FILES:
        if not report.written[name]:
            continue
        with write_rows(out / f"{name}.jsonl") as write:
            for row, id in zip(kept, ids, strict=True):
                if row.file == name:
                    write(case_row(_shown(spool.read(row.place), row, id, report.settings.seed)))


def _unique(kept: Sequence[Row], sources: Sequence[Source]) -> list[str]:
    """Make ids different: one that was there before gets the name of its file in front, then a number behind."""
    seen: dict[str, None] = {}
    for row in kept:
        id, times = row.id, 0
        while id in seen:
            times += 1
            id = f"{sources[row.source].name}/{row.id}" + (f"/{times}" if times > 1 else "")
        seen[id] = None
    return list(seen)


def _shown(case: Case, row: Row, id: str, seed: int) -> Case:
    """Name the case and its source, and put the best candidate in its place, the others as the seed draws them."""
    case = msgspec.structs.replace(case, id=id, tags={"source": row.label, **case.tags})
    if row.at < 0:
        return case
    rest = sorted((i for i in range(row.n) if i != row.best), key=lambda i: derive_seed("order", seed, row.id, i))
    return case.reorder([*rest[: row.at], row.best, *rest[row.at :]])

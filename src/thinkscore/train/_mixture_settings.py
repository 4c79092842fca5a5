"""What a mixture is made of, by the command line or a TOML file that lists its files; and by which rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from ..data import Thoughts
from ..errors import BadInput

__all__ = ["RULES", "Mixture", "Source", "read_sources"]

_LIMIT = re.compile(r"(.+):(\d+)")
_ACCEPTED = (
    "a mixture is FILE or FILE:N (N rows of it, drawn by the seed), where FILE holds preference rows of any form or is "
    'a .toml file with [[source]] tables: file = "FILE", and optionally name, limit, weight (above 0), format'
)


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One file of a mixture."""

    file: str
    """Anything that `read_cases` takes."""
    name: str = ""
    """What its rows are counted under; empty stands for the name of the file."""
    limit: int | None = None
    """Rows to take at most, of those that can be used."""
    weight: float | None = None
    """Share of the mixture, relative to the other weights; rows are left out to reach it, never repeated."""
    format: str | None = None
    """Form of its rows; None goes by the columns."""


class Mixture(msgspec.Struct, frozen=True, kw_only=True):
    """How to make the files."""

    exclude: tuple[str, ...] = ()
    """Rows whose tag `source` is one of these are dropped."""
    pairs: bool = False
    """Whether rows of other than two candidates are dropped."""
    orders: Literal["balanced", "alternate", "as_is"] = "balanced"
    """Where the best candidate stands: in each place equally often, drawn by the seed; in each place in turn; or as in
    the file."""
    distill_share: float = 0.0
    """Share of the training rows that goes to distillation, from 0 to 1."""
    held_out: float = 0.05
    """Rows that are held out: below 1 a share of those that are kept, else how many."""
    decontaminate: tuple[str, ...] = ()
    """Benchmarks: files of rows or prompts."""
    ngram: int = 13
    """Words in a row that a prompt must not share with a benchmark."""
    in_replies: bool = False
    """Whether replies are searched too: the candidates and the assistant's earlier turns."""
    seed: int = 0
    """What decides every draw."""
    skip_bad: bool = False
    """Whether rows that cannot be read are counted instead of ending the run."""
    thoughts: Thoughts = "keep"
    """Whether thinking parts of candidates are cut."""


RULES: dict[str, Mixture] = {
    "rm_r1": Mixture(exclude=("magpie_ultra",), pairs=True, orders="alternate", distill_share=0.12),
}
"""Published ways to mix."""


class _Listed(msgspec.Struct, forbid_unknown_fields=True):
    source: list[Source]


def read_sources(given: Sequence[str]) -> list[Source]:
    """Read what the command line names. Names are made different. Raises `BadInput`."""
    found = [source for text in given for source in _read(text)]
    if not found:
        raise BadInput(f"no file is named; {_ACCEPTED}")
    stems = Counter(source.name or _stem(source.file) for source in found)
    named = [msgspec.structs.replace(source, name=source.name or _name(source.file, stems)) for source in found]
    twice = [name for name, count in Counter(source.name for source in named).items() if count > 1]
    if twice:
        raise BadInput(f"{twice[0]} is named twice; give each file once, or different names in a .toml file")
    return named


def _read(text: str) -> list[Source]:
    if text.endswith(".toml"):
        return _listed(Path(text))
    match = None if Path(text).exists() else _LIMIT.fullmatch(text)
    source = Source(text) if match is None else Source(match[1], limit=int(match[2]))
    return [_checked(source, text)]


def _listed(path: Path) -> list[Source]:
    try:
        mixture = msgspec.toml.decode(path.read_bytes(), type=_Listed)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: {error}; {_ACCEPTED}") from error
    return [_checked(msgspec.structs.replace(one, file=_beside(path, one.file)), str(path)) for one in mixture.source]


def _beside(path: Path, file: str) -> str:
    """Take a file of a list as beside the list."""
    return file if file == "-" or file.startswith("hf:") else str(path.parent / file)


def _checked(source: Source, where: str) -> Source:
    if (source.limit is not None and source.limit < 1) or (source.weight is not None and not source.weight > 0):
        raise BadInput(f"{where}: a limit is 1 or more, a weight above 0; {_ACCEPTED}")
    return source


def _name(file: str, stems: Counter[str]) -> str:
    return _stem(file) if stems[_stem(file)] == 1 else file


def _stem(file: str) -> str:
    """Name a file without its folder and endings, a data set of the hub by its name."""
    if file.startswith("hf:"):
        return file.removeprefix("hf:").split(":")[0].rpartition("/")[2]
    return Path(file).name.removesuffix(".gz").rpartition(".")[0] or Path(file).name

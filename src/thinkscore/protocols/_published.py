"""Published templates: pinned by SHA-256 here, kept on the user's machine, and found by name.

The texts are their authors' and are not in this package; `_templates.toml` holds where they were published and what
they hash to. `_import.py` takes them in; whenever one is used it is checked again.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import msgspec

from ..errors import BadInput
from ._template import Template, digest, read_own

__all__ = ["TABLE", "Published", "cached", "find_published", "find_template", "load_template", "published"]

TABLE = Path(__file__).with_name("_templates.toml")
_RAW = "https://raw.githubusercontent.com"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One text of a template."""

    sha256: str
    """Of its UTF-8 bytes."""
    constant: str = ""
    """What it is called in the authors' file: a name, or names joined by +."""


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a template was published and what it hashes to."""

    paper: str
    """Its arXiv id."""
    parts: dict[str, _Part]
    """Its texts: system, user, turns."""
    slots: dict[str, str]
    """How the texts spell each slot."""
    protocols: tuple[str, ...] = ()
    """The protocols that can use it; none: it can be imported, shown and filled."""
    repository: str = ""
    """Where the authors published it as text; "" if only in print."""
    commit: str = ""
    """The commit that the hashes were taken from."""
    path: str = ""
    """The file in the repository."""
    place: str = ""
    """Where it is printed."""
    each: str = ""
    """See `Template.each`."""
    block: str = ""
    """See `Template.block`."""
    scores: tuple[int, int] | None = None
    """See `Template.scores`."""
    note: str = ""
    """What a user should know."""

    @property
    def url(self) -> str:
        """Where the authors' file can be fetched; "" if there is none."""
        raw = os.environ.get("THINKSCORE_MIRROR", _RAW).rstrip("/")
        return f"{raw}/{self.repository}/{self.commit}/{self.path}" if self.repository else ""


@cache
def published(table: Path = TABLE) -> dict[str, Published]:
    """Return the templates that a table pins, by name."""
    return msgspec.convert(tomllib.loads(table.read_text(encoding="utf-8")), dict[str, Published])


def find_published(name: str, table: Path = TABLE) -> Published:
    """Find a pinned template by its exact name. Raises `BadInput`."""
    if name not in published(table):
        raise _unknown(name)
    return published(table)[name]


def find_template(
    wanted: str | None, protocol: str, slots: Sequence[str], turns: Sequence[str], place: Path
) -> Template | None:
    """Find what a protocol's user asked for: None or "own", "own:VARIANT", a published name, or a file.

    Raises `BadInput`; `place` is the protocol's file.
    """
    if wanted in (None, "own"):
        return None
    if not slots:
        raise BadInput(f"{protocol} takes no template; got {wanted!r}")
    if wanted.startswith("own:"):
        return _variant(wanted, protocol, slots, turns, place)
    if wanted in published():
        uses = published()[wanted].protocols
        if protocol not in uses:
            raise BadInput(f"template {wanted} is for {' or '.join(uses) or 'no protocol'}; got protocol {protocol}")
        return load_template(wanted)
    if Path(wanted).is_file():
        return read_own(Path(wanted), slots, turns)
    raise _unknown(wanted)


def _variant(wanted: str, protocol: str, slots: Sequence[str], turns: Sequence[str], place: Path) -> Template:
    files = {f"own:{file.name.split('.')[1]}": file for file in sorted(place.parent.glob(f"{place.stem}.*.md"))}
    if wanted not in files:
        raise BadInput(f"{protocol} has the wordings {', '.join(['own', *files])}; got {wanted!r}")
    return msgspec.structs.replace(read_own(files[wanted], slots, turns), name=wanted)


def _unknown(name: str) -> BadInput:
    close = get_close_matches(name, published(), n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return BadInput(f"got the template {name!r}; known are own, {', '.join(published())}, or a file of yours.{hint}")


def load_template(name: str, table: Path = TABLE) -> Template:
    """Read an imported template; every part is checked against its hash. Raises `BadInput`."""
    source = find_published(name, table)
    parts = {}
    for part, pinned in source.parts.items():
        try:
            text = cached(name, part).read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            text = ""
        if digest(text) != pinned.sha256:
            raise BadInput(
                f"template {name} is not imported; run: thinkscore templates import {name}"
                + (" --from FILE" if not source.repository else "")
                + " (or --template own: our wording, which released checkpoints were not trained on)"
            )
        parts[part] = text
    return Template(name, parts, source.slots, source.each, source.block, source.scores, official=True)


def cached(name: str, part: str) -> Path:
    """Name the file that an imported part is kept in."""
    base = os.environ.get("THINKSCORE_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(base) if base else Path(home).expanduser() / "thinkscore"
    return folder / "templates" / f"{name}.{part}.txt"

"""Published templates: pinned by SHA-256 here, imported on the user's machine, cached there, and found by name.

The texts are their authors' and are not in this package; `_templates.toml` holds where they were published and what
they hash to. A text is taken from the authors' file at a pinned commit, or from a file that the user gives; Python
files are read as syntax, never run. What does not hash to what is pinned is refused.
"""

from __future__ import annotations

import ast
import os
import tomllib
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import msgspec

from ..errors import BadInput
from ._template import Template, digest, read_own

__all__ = ["Published", "find_published", "find_template", "import_template", "load_template", "published"]

TABLE = Path(__file__).with_name("_templates.toml")
_RAW = "https://raw.githubusercontent.com"
_LIMIT = 10_000_000


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
            text = _file(name, part).read_bytes().decode()
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


def import_template(name: str, source: Path | None = None, table: Path = TABLE) -> Template:
    """Take a template from the authors' publication, or from a file or folder, check it, and cache it.

    Raises `BadInput` if it is not there, does not hash to what is pinned, or cannot be fetched.
    """
    pinned = find_published(name, table)
    named = [part.constant for part in pinned.parts.values() if part.constant]
    if source is None:
        texts = _constants(_fetched(name, pinned), pinned.url, named)
    else:
        texts = [text for file in _files(source) for text in _texts(file, named)]
    found = {part: _matching(texts, wanted.sha256) for part, wanted in pinned.parts.items()}
    missing = [f"{part} (sha256 {pinned.parts[part].sha256[:12]}...)" for part in found if found[part] is None]
    if missing:
        hint = f"; in the authors' file the texts are {', '.join(named)}" if named else f"; printed in {pinned.place}"
        raise BadInput(
            f"{source or pinned.url} does not hold {name} byte for byte: "
            f"none of its {len(texts)} texts is the part {', '.join(missing)}{hint}"
        )
    for part, text in found.items():
        _write(_file(name, part), text or "")
    return load_template(name, table)


def _fetched(name: str, pinned: Published) -> str:
    """Download the authors' file."""
    if not pinned.repository:
        raise BadInput(
            f"{name} was published in print only ({pinned.place}); write its text to a file and run: "
            f"thinkscore templates import {name} --from FILE"
        )
    try:
        with urllib.request.urlopen(pinned.url, timeout=30) as reply:
            return str(reply.read(_LIMIT), "utf-8", "replace")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise BadInput(
            f"cannot fetch {pinned.url}: {reason}; with the file at hand, run: "
            f"thinkscore templates import {name} --from FILE"
        ) from error


def _files(source: Path) -> list[Path]:
    """List the files to look in: the file itself, or the texts and Python files of a folder."""
    if source.is_dir():
        return sorted(file for file in source.iterdir() if file.suffix in (".txt", ".md", ".py"))
    if source.is_file():
        return [source]
    raise BadInput(f"got --from {source}; there is no such file or folder")


def _texts(file: Path, named: Iterable[str]) -> list[str]:
    try:
        text = file.read_bytes()[:_LIMIT].decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {file}: {error}") from error
    return _constants(text, str(file), named) if file.suffix == ".py" else [text]


def _matching(texts: Iterable[str], sha256: str) -> str | None:
    """Return the text with this hash. Line ends and a last line break, which editors change, do not matter."""
    for text in texts:
        lines = text.replace("\r\n", "\n")
        for same in (text, lines, lines.rstrip("\n"), lines.rstrip("\n") + "\n"):
            if digest(same) == sha256:
                return same
    return None


def _constants(code: str, where: str, named: Iterable[str]) -> list[str]:
    """Return the texts that a Python file assigns at its top, and the named sums of them, without running it."""
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise BadInput(f"{where} is no Python file that can be read: {error}") from error
    known: dict[str, object] = {}
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known[node.targets[0].id] = _value(node.value, known)
    sums = [_value(ast.parse(name, mode="eval").body, known) for name in named]
    return list(dict.fromkeys(_strings([*known.values(), *sums])))


def _value(node: ast.expr, known: dict[str, object]) -> object:
    """Read a literal, a known name, or a sum of texts; None for anything else."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return known.get(name)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            both = _value(left, known), _value(right, known)
            return both[0] + both[1] if isinstance(both[0], str) and isinstance(both[1], str) else None
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item, known) for item in items]
        case ast.Dict(values=items):
            return [_value(item, known) for item in items]
    return None


def _strings(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from _strings(value)


def _file(name: str, part: str) -> Path:
    """Name the cached file of a part."""
    base = os.environ.get("THINKSCORE_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(base) if base else Path(home).expanduser() / "thinkscore"
    return folder / "templates" / f"{name}.{part}.txt"


def _write(file: Path, text: str) -> None:
    """Write in one step, so that no reader sees half a text."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        fresh.write_bytes(text.encode())
        fresh.replace(file)
    except OSError as error:
        raise BadInput(f"cannot write {file}: {error.strerror}; name another folder in THINKSCORE_CACHE") from error

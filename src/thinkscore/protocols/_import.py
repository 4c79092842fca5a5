"""Taking a published template in: from its authors' file at a pinned commit, or from a file that the user gives.

Python files are read as syntax, never run. What does not hash to what is pinned is refused.
"""

from __future__ import annotations

import ast
import os
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import BadInput
from ._published import TABLE, Published, cached, find_published, load_template
from ._template import Template, digest

__all__ = ["import_template"]

_LIMIT = 10_000_000


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
        _write(cached(name, part), text or "")
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


def _write(file: Path, text: str) -> None:
    """Write in one step, so that no reader sees half a text."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        fresh.write_bytes(text.encode())
        fresh.replace(file)
    except OSError as error:
        raise BadInput(f"cannot write {file}: {error.strerror}; name another folder in THINKSCORE_CACHE") from error

"""A module imports only from the layers above its own, and plug-ins never import each other.

The table is the one in docs/architecture.md. Imports are read from the syntax tree, so those inside functions and
under TYPE_CHECKING count as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "thinkscore"
# Not train: a recipe may be put together from other recipes, as the lab judge is from `distill`.
PLUGIN_FOLDERS = {"protocols", "engines", "scaling", "doubles", "bench", "audits"}
TOP = {"__init__", "__main__"}
IMPORTERS = {"import_module", "__import__", "require"}

Module = tuple[str, ...]


def read_layers(page: str) -> dict[str, int]:
    """Read the numbered lines of the architecture page: name -> line."""
    rows = re.findall(r"^ *(\d+)  ((?:[a-z]+[ |]*?)+)(?:  .*)?$", page, re.MULTILINE)
    return {name: int(number) for number, names in rows for name in re.findall(r"[a-z]+", names)}


LAYERS = read_layers((ROOT / "docs/architecture.md").read_text())


def module_of(path: Path, package: Path) -> Module:
    """Name the module of a file, without the package's own name."""
    parts = path.relative_to(package).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts


def exists(module: Module, package: Path) -> bool:
    place = package.joinpath(*module)
    return place.is_dir() or place.with_suffix(".py").is_file()


def imports(path: Path, package: Path) -> Iterator[tuple[int, Module]]:
    """Yield (line, module) for everything that a file imports from the package; () is the package itself."""
    inside = path.relative_to(package).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name) for a in node.names if (name := absolute(a.name)) is not None)
        elif isinstance(node, ast.ImportFrom):
            base = origin(node, inside)
            if base is not None:
                for alias in node.names:
                    longer = (*base, alias.name)
                    if alias.name != "__version__" or base:
                        yield node.lineno, longer if exists(longer, package) else base
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0] if node.args else None
            if name in IMPORTERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
                target = absolute(first.value)
                if target is not None:
                    yield node.lineno, target


def absolute(dotted: str) -> Module | None:
    head, *rest = dotted.split(".")
    return tuple(rest) if head == PACKAGE else None


def origin(node: ast.ImportFrom, inside: Module) -> Module | None:
    """Resolve what a `from` statement imports from; `inside` is the folder of the importing file."""
    tail = tuple(node.module.split(".")) if node.module else ()
    if node.level == 0:
        return tail[1:] if tail[0] == PACKAGE else None
    return (*inside[: len(inside) + 1 - node.level], *tail)


def problem(importer: Module, imported: Module, layers: dict[str, int]) -> str | None:
    """Say what is wrong with one import, or None."""
    source = importer[0]
    if source in TOP:
        return None
    if not imported:
        return "imports the package itself; import from the module that defines the name"
    target = imported[0]
    for name in (source, target):
        if name not in layers:
            return f"{name} is on no line of docs/architecture.md"
    if source != target:
        if layers[target] > layers[source]:
            return f"imports {target} (line {layers[target]}) from {source} (line {layers[source]})"
        if layers[target] == layers[source]:
            return f"imports {target}, a sibling of {source} on line {layers[source]}"
    elif source in PLUGIN_FOLDERS and len(imported) > 1:
        plugin = imported[1]
        if not plugin.startswith("_") and importer[1:2] != (plugin,):
            return f"imports the plug-in {plugin} of its own folder; shared code belongs in a _ file"
    return None


def violations(package: Path, layers: dict[str, int] = LAYERS) -> list[str]:
    """List every forbidden import below a package folder as `file:line text`."""
    found = []
    for path in sorted(package.rglob("*.py")):
        importer = module_of(path, package)
        where = path.relative_to(package)
        if importer[0] not in layers and importer[0] not in TOP:
            found.append(f"{where}:1 {importer[0]} is on no line of docs/architecture.md")
        for line, imported in imports(path, package):
            text = problem(importer, imported, layers)
            if text is not None:
                found.append(f"{where}:{line} {text}")
    return found


def test_the_table_is_read() -> None:
    assert [sorted(n for n, line in LAYERS.items() if line == i) for i in sorted(set(LAYERS.values()))] == [
        ["errors", "seeds", "stats", "types"],
        ["budget", "data", "fit", "grounding", "journal", "plugins"],
        ["calibration", "lab"],
        ["engines", "protocols"],
        ["ask"],
        ["scaling"],
        ["judge"],
        ["doubles"],
        ["audits", "bench", "train"],
        ["report"],
        ["integrations", "serve"],
        ["cli"],
    ]


def test_imports_follow_the_layers() -> None:
    package = ROOT / "src" / PACKAGE
    assert any(True for path in package.rglob("*.py") for _ in imports(path, package)), "no import was found at all"
    found = violations(package)
    assert not found, "\n".join(found)


PLANTED = {
    "upwards": ("types.py", "from .lab import world", "imports lab (line 3) from types (line 1)"),
    "inside a function": ("data.py", "def f():\n    from .judge import Judge", "data.py:2 imports judge"),
    "under TYPE_CHECKING": (
        "stats.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .data import rows",
        "stats.py:3 imports data",
    ),
    "by absolute name": ("lab/world.py", "import thinkscore.cli", "imports cli"),
    "from the package by name": ("lab/world.py", "from thinkscore import ask", "imports ask"),
    "by a string": ("ask.py", "import importlib\nimportlib.import_module('thinkscore.cli')", "ask.py:2 imports cli"),
    "sibling below": ("protocols/rm_r1.py", "from .. import engines", "a sibling of protocols on line 4"),
    "sibling file": ("bench/rmb.py", "from ..audits.position import probe", "a sibling of bench on line 9"),
    "sibling beside": ("types.py", "from .errors import BadInput", "a sibling of types on line 1"),
    "facade": ("lab/world.py", "from thinkscore import Judge", "imports the package itself"),
    "facade, relative": ("lab/world.py", "from .. import Judge", "imports the package itself"),
    "plug-in to plug-in": ("protocols/rrm.py", "from .rm_r1 import RmR1", "imports the plug-in rm_r1"),
    "plug-in to plug-in by folder": ("protocols/rrm.py", "from . import rm_r1", "imports the plug-in rm_r1"),
    "plug-in to plug-in by full name": (
        "protocols/rrm.py",
        "from thinkscore.protocols import rm_r1",
        "imports the plug-in rm_r1",
    ),
    "plug-in to plug-in of a folder": ("scaling/meta/fold.py", "from ..vote import Vote", "imports the plug-in vote"),
    "shared code to plug-in": ("engines/_pool.py", "from .http import Http", "imports the plug-in http"),
    "folder to plug-in": ("engines/__init__.py", "from .http import Http", "imports the plug-in http"),
    "unknown module": ("misc.py", "x = 1", "misc is on no line"),
    "from an unknown module": ("judge.py", "from .misc import x", "misc is on no line"),
}


def plant(tmp_path: Path, name: str, text: str) -> Path:
    """Lay out a small package with one given file."""
    package = tmp_path / PACKAGE
    others = ["protocols/rm_r1.py", "scaling/vote.py", "engines/http.py", "engines/__init__.py"]
    others += ["ask.py", "errors.py", "plugins.py"]
    for file, content in [*((other, "") for other in others), (name, text)]:
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).write_text(content)
    return package


@pytest.mark.parametrize(("name", "text", "message"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_found(tmp_path: Path, name: str, text: str, message: str) -> None:
    found = violations(plant(tmp_path, name, text))
    assert len(found) == 1, found
    assert message in found[0]


ALLOWED = {
    "downwards": ("protocols/rm_r1.py", "from ..types import Case\nfrom .. import errors, plugins"),
    "shared code of the folder": ("protocols/rm_r1.py", "from ._base import Protocol\nfrom . import _guard"),
    "inside one module": ("lab/world.py", "from .gold import scores\nfrom . import gold"),
    "inside a plug-in of several files": ("scaling/meta/__init__.py", "from .fold import fold"),
    "version": ("journal.py", "from . import __version__"),
    "others' packages": ("judge.py", "import os, msgspec\nfrom msgspec import json"),
    "the facade itself": ("__init__.py", "from .judge import Judge\nfrom .cli import main"),
    "the command": ("__main__.py", "from .cli import main"),
}


@pytest.mark.parametrize(("name", "text"), ALLOWED.values(), ids=ALLOWED)
def test_an_allowed_import_is_let_through(tmp_path: Path, name: str, text: str) -> None:
    package = plant(tmp_path, name, text)
    (package / "lab").mkdir(exist_ok=True)
    (package / "lab/gold.py").touch()
    (package / "protocols/_base.py").touch()
    (package / "protocols/_guard.py").touch()
    assert violations(package) == []

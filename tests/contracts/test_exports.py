"""Public modules say what they export, all of it exists, and importing the package costs nothing heavy."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from thinkscore.errors import MissingExtra

SRC = Path(__file__).parents[2] / "src"
HEAVY = {"torch", "transformers", "trl", "datasets", "numpy", "aiohttp", "fastapi", "typer", "rich", "jinja2"}


def modules() -> list[str]:
    """Name every public module: no part of it starts with `_`; packages go by their own name."""
    names = []
    for path in sorted((SRC / "thinkscore").rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            names.append(".".join(parts))
    return names


def source_of(name: str) -> Path:
    place = SRC.joinpath(*name.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def defines(tree: ast.Module) -> set[str]:
    """Name what a module defines under a public name (imports do not count)."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


def listed(tree: ast.Module) -> list[str] | None:
    """Read `__all__` as written; None if there is none."""
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return list(ast.literal_eval(node.value))
    return None


def flaw(tree: ast.Module) -> str | None:
    """Say what is wrong with the export list of a module, or None."""
    names = listed(tree)
    if names is None:
        return f"defines {sorted(defines(tree))} and has no __all__" if defines(tree) else None
    if len(names) != len(set(names)):
        return "__all__ names something twice"
    return None


@pytest.mark.parametrize("name", modules())
def test_public_modules_list_their_exports(name: str) -> None:
    text = flaw(ast.parse(source_of(name).read_text()))
    assert text is None, f"{name}: {text}"


@pytest.mark.parametrize("name", modules())
def test_what_is_listed_exists(name: str) -> None:
    names = listed(ast.parse(source_of(name).read_text())) or []
    try:
        module = importlib.import_module(name)
    except MissingExtra as error:
        pytest.skip(str(error))
    missing = [export for export in names if not hasattr(module, export)]
    assert not missing, f"{name}: __all__ names {missing}, which do not exist"


def loaded_by(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter and name the top-level packages that it loaded."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_by("import thinkscore")
    assert "thinkscore" in loaded
    assert not HEAVY & loaded


def test_the_load_check_can_fail() -> None:
    assert "jinja2" in loaded_by("import thinkscore, jinja2")


FLAWED = {
    "no list": ("def judge(): ...", "no __all__"),
    "twice": ("__all__ = ['a', 'a']", "twice"),
}


@pytest.mark.parametrize(("text", "message"), FLAWED.values(), ids=FLAWED)
def test_a_flawed_list_is_found(text: str, message: str) -> None:
    assert message in str(flaw(ast.parse(text)))


def test_private_names_and_imports_need_no_list() -> None:
    assert flaw(ast.parse("from os import path\ndef _inner(): ...\nLIMIT = 3")) is None

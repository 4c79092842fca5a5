"""Files, functions and names stay small and plain."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "thinkscore"
FILE, FUNCTION, TRAINING_LOOP = 500, 80, 150
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def functions(tree: ast.AST) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Yield every function, nested ones too, with its length in lines, decorators included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            yield node, (node.end_lineno or node.lineno) - first + 1


def too_large(path: Path, folder: Path) -> list[str]:
    """List what exceeds the limits in one file."""
    text = path.read_text()
    where = path.relative_to(folder)
    lines = len(text.splitlines())
    found = [f"{where}: {lines} lines, at most {FILE}"] if lines > FILE else []
    for node, length in functions(ast.parse(text)):
        loops = any(isinstance(inner, ast.For | ast.While) for inner in node.body)
        limit = TRAINING_LOOP if where.parts[0] == "train" and loops else FUNCTION
        if length > limit:
            found.append(f"{where}:{node.lineno}: {node.name} has {length} lines, at most {limit}")
    return found


def test_no_file_or_function_is_too_large() -> None:
    found = [line for path in files(SOURCES) for line in too_large(path, SOURCES)]
    found += [line for path in files(ROOT / "tests") for line in too_large(path, ROOT)]
    assert not found, "\n".join(found)


def test_every_module_says_what_it_is() -> None:
    silent = [str(p.relative_to(ROOT)) for p in files(SOURCES) if not ast.get_docstring(ast.parse(p.read_text()))]
    assert not silent, f"no docstring at the top: {silent}"


def test_no_module_has_a_vague_name() -> None:
    names = [path for path in SOURCES.rglob("*") if VAGUE & set(path.stem.strip("_").split("_"))]
    assert names == []


def function(lines: int, body: str = "    x = 1") -> str:
    return "def f():\n" + "\n".join([body] * (lines - 1)) + "\n"


LOOP = "    for i in x: i"
CASES = {
    "long file": ("types.py", "x = 1\n" * 501, "types.py: 501 lines, at most 500"),
    "longest file": ("types.py", "x = 1\n" * 500, None),
    "long function": ("ask.py", function(81), "ask.py:1: f has 81 lines, at most 80"),
    "longest function": ("ask.py", function(80), None),
    "long loop outside train": ("ask.py", function(81, LOOP), "at most 80"),
    "long function in train": ("train/rl.py", function(81), "at most 80"),
    "long loop in train": ("train/rl.py", function(150, LOOP), None),
    "too long a loop in train": ("train/rl.py", function(151, LOOP), "at most 150"),
    "decorated": ("ask.py", "@wrap(\n    1\n)\n" + function(78), "f has 81 lines"),
    "method": ("ask.py", "class A:\n    async def f(self):\n" + "        x = 1\n" * 80, "f has 81 lines"),
}


@pytest.mark.parametrize(("name", "text", "message"), CASES.values(), ids=CASES)
def test_limits_are_exact(tmp_path: Path, name: str, text: str, message: str | None) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    found = too_large(path, tmp_path)
    assert found == [] if message is None else len(found) == 1 and message in found[0], found

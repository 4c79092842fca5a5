"""What the repository says about itself is true: examples run, links lead somewhere, targets and pins exist."""

from __future__ import annotations

import ast
import itertools
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
TARGETS = {"help", "demo", "test", "test-slow", "test-peer", "check", "clean"}

# In pieces, so that this file does not trip over itself.
MACHINE_FOLDERS = ("work", "root", "home", "Users", "opt")
INDEX_HOSTS = tuple(".".join(pieces) for pieces in (("pypi", "org"), ("pythonhosted", "org"), ("download", "pytorch")))
FORBIDDEN = {
    "a path of one machine": "|".join(rf"(?<![\w.])/{name}/" for name in MACHINE_FOLDERS),
    "a package index": "|".join(re.escape(host) for host in INDEX_HOSTS),
}


def project_files() -> list[Path]:
    """List the files that belong to the project: what git tracks or would add, else everything but hidden folders."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False) if (ROOT / ".git").exists() else None
    if listed is not None and listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [
            p
            for p in ROOT.rglob("*")
            if not re.search(r"/\.(?!ci/)|/(__pycache__|build|dist)/", f"/{p.relative_to(ROOT)}")
        ]
    return sorted(path for path in paths if path.is_file())


def pages() -> list[Path]:
    return [path for path in project_files() if path.suffix == ".md"]


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


# ---- words


def forbidden(text: str) -> list[str]:
    """List what must not be published, as `line: what`."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        found += [f"{number}: {what}: {line.strip()[:80]}" for what, mark in FORBIDDEN.items() if re.search(mark, line)]
    return found


def test_no_file_names_a_machine_or_an_index() -> None:
    found = []
    for path in project_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{label(path)}:{line}" for line in forbidden(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", [*(f"/{name}/x" for name in MACHINE_FOLDERS), *INDEX_HOSTS])
def test_forbidden_words_are_found(name: str) -> None:
    for text in (name, f"--out={name}", f"see ({name})", f"https://{name}"):
        assert forbidden(f"fine\n{text}")[0].startswith("2: ")


@pytest.mark.parametrize("text", ["docs/home/x", "http://HOST/v1", "the root/leaf", "../homework/"])
def test_ordinary_words_are_let_through(text: str) -> None:
    assert forbidden(text) == []


# ---- pages


def links(text: str) -> Iterator[str]:
    """Yield the link targets of a page, code blocks left out."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose))


def anchors(text: str) -> set[str]:
    """Name the headings of a page the way a link writes them."""
    titles = re.findall(
        r"^#+ +(.+?) *$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(page: Path) -> list[str]:
    """List links of a page to files or headings that do not exist."""
    dead = []
    for link in links(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            dead.append(link)
    return dead


def test_links_lead_somewhere() -> None:
    found = [f"{label(page)}: {link}" for page in pages() for link in dead_links(page)]
    assert not found, "\n".join(found)


def test_dead_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# The title\n[a](page.md) [b](#the-title) [c](gone.md) [d](#gone) [e](page.md#gone) [f](https://x.org)\n"
    )
    assert dead_links(page) == ["gone.md", "#gone", "page.md#gone"]


def missing_names(text: str) -> list[str]:
    """List what a page names in back-quotes (`tests/x.py::test_y`, `src/z.py`) but that does not exist."""
    missing = []
    for name, test in re.findall(r"`((?:src|tests|docs|runs)/[\w./-]+?)(?:::(\w+))?`", text):
        path = ROOT / name
        if not path.exists():
            missing.append(name)
        elif test and test not in {
            node.name for node in ast.walk(ast.parse(path.read_text())) if hasattr(node, "name")
        }:
            missing.append(f"{name}::{test}")
    return missing


def test_named_files_and_tests_exist() -> None:
    found = [f"{label(page)}: {name}" for page in pages() for name in missing_names(page.read_text())]
    assert not found, "\n".join(found)


def test_missing_names_are_found() -> None:
    here = "tests/contracts/test_repository.py"
    text = f"`{here}` `{here}::test_missing_names_are_found` `src/gone.py` `{here}::test_gone`"
    assert missing_names(text) == ["src/gone.py", f"{here}::test_gone"]


def test_every_protocol_has_a_row_in_papers() -> None:
    table = (ROOT / "docs/papers.md").read_text()
    names = [p.stem for p in (SRC / "thinkscore/protocols").glob("*.py") if not p.stem.startswith("_")]
    assert [name for name in names if f"`{name}`" not in table] == []


# ---- the README's examples


def examples() -> list[str]:
    readme = ROOT / "README.md"
    return re.findall(r"^```python\n(.*?)^```", readme.read_text(), re.MULTILINE | re.DOTALL) if readme.exists() else []


def test_the_readme_shows_an_example_and_both_commands() -> None:
    assert examples(), "README.md holds no python example"
    assert {"make demo", "make test"} <= set(re.findall(r"make [\w-]+", (ROOT / "README.md").read_text()))


@pytest.mark.parametrize("code", examples(), ids=itertools.count(1))
def test_the_readme_example_runs(code: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


# ---- build


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_target_exists_and_says_what_it_does() -> None:
    assert makefile_targets() == TARGETS


def test_named_targets_exist() -> None:
    texts = {path: path.read_text() for path in [*pages(), ROOT / ".ci/run"]}
    used = {
        (label(path), name)
        for path, text in texts.items()
        for name in re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)
    }
    assert used, "no page names a target"
    assert [pair for pair in sorted(used) if pair[1] not in TARGETS] == []


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_targets_can_be_planned(target: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "-n", "-C", str(ROOT), target, f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ("torch" in done.stdout) == (target in {"test", "test-slow", "test-peer", "check"})


def test_direct_dependencies_are_pinned_and_the_pins_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "torch==2.13.0"
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9A-Za-z.]+", line)] == []
    pins = {
        re.sub(r"[._]", "-", name).lower(): version for name, _, version in (line.partition("==") for line in lines)
    }
    wanted = [
        Requirement(text) for text in [*project["dependencies"], *extras["train"], *extras["parquet"], *extras["dev"]]
    ]
    assert [str(want) for want in wanted if want.name not in pins] == []
    assert [str(want) for want in wanted if not want.specifier.contains(pins[want.name])] == []


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("thinkscore/")}
    present = {str(path.relative_to(SRC)) for path in (SRC / "thinkscore").rglob("*") if path.is_file()}
    assert packed == {name for name in present if "__pycache__" not in name}
    assert "thinkscore/py.typed" in packed

"""Pages whose examples are run as they stand: named blocks are files, the text after a command is its output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("audits.md", "rubrics.md", "anchored.md", "protocols.md", "ranking.md", "strategies.md", "training_data.md")


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """List (language, file name, text) of the fenced blocks of a page."""
    return re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def run(language: str, text: str, folder: Path) -> str:
    (folder / "bin").mkdir(exist_ok=True)
    command = folder / "bin" / "thinkscore"
    command.write_text(
        f"#!/bin/sh\nexec {sys.executable} -W error -c 'from thinkscore.cli import main; main()' \"$@\"\n"
    )
    command.chmod(0o755)
    path = f"{command.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PATH": path}
    interpreter = ["bash", "-eo", "pipefail", "-c"] if language == "bash" else [sys.executable, "-c"]
    done = subprocess.run(
        [*interpreter, text], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def plain(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("name", PAGES)
def test_the_examples_of_a_page_run_and_print_what_it_says(name: str, tmp_path: Path) -> None:
    said, compared = "", 0
    for language, file, text in blocks(ROOT / "docs" / name):
        if file:
            (tmp_path / file).write_text(text)
        elif language == "text":
            assert plain(said) == plain(text)
            compared += 1
        elif language in ("bash", "python"):
            said = run(language, text, tmp_path)
    assert compared >= 2

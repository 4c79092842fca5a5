"""Plug-in folders are listed by file name; a class is loaded by id; errors say what there is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from thinkscore.engines._base import Engine
from thinkscore.errors import BadInput
from thinkscore.plugins import load, names, split_uri
from thinkscore.protocols._base import Protocol

ENGINE = """
from thinkscore.engines._base import Engine

class Mine(Engine):
    async def generate(self, prompts):
        return []
"""


def test_a_folder_is_listed_sorted_and_without_shared_files() -> None:
    found = names("engines", "doubles")
    assert {"replay", "scripted"} <= set(found)
    assert found == sorted(found)
    assert not any(name.startswith("_") for name in found)


def test_listing_imports_nothing() -> None:
    code = "import sys; from thinkscore.plugins import names; names('engines', 'protocols'); print(*sys.modules)"
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert not [name for name in done.stdout.split() if name.startswith(("thinkscore.engines", "thinkscore.protocols"))]


def test_every_listed_plugin_loads() -> None:
    for name in names("protocols"):
        assert issubclass(load("protocols", name, Protocol), Protocol)


def test_an_engine_is_found_in_either_folder() -> None:
    assert load(("doubles", "engines"), "scripted", Engine).__name__ == "Scripted"


def test_an_unknown_id_is_answered_with_what_there_is() -> None:
    with pytest.raises(BadInput) as error:
        load("protocols", "rm_r2", Protocol)
    text = str(error.value)
    assert "'rm_r2'" in text
    assert "deepseek_grm, deepseek_pairwise, rm_r1" in text
    assert "Did you mean rm_r1?" in text
    assert "thinkscore/protocols/rm_r2.py" in text


@pytest.mark.parametrize("name", ["_base", "../judge", "", "engines.scripted", "Scripted"])
def test_only_listed_names_are_ids(name: str) -> None:
    with pytest.raises(BadInput, match="engines has"):
        load("engines", name, Engine)


def test_a_users_file_is_an_id_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(ENGINE)
    first = load("engines", str(path), Engine)
    assert first("x").identity == "mine:x"
    assert load("engines", str(path), Engine) is first
    path.write_text(ENGINE.replace("Mine", "Other"))
    assert load("engines", str(path), Engine).__name__ == "Other"


FLAWED = {
    "nothing": ("x = 1", "exactly one subclass of Engine; it defines none"),
    "imported only": ("from thinkscore.engines._base import Engine", "it defines none"),
    "private": (ENGINE.replace("Mine", "_Mine"), "it defines none"),
    "two": (ENGINE + ENGINE.replace("Mine", "Other"), "it defines Mine, Other"),
    "broken": ("x = 1/0", "cannot be imported: ZeroDivisionError"),
    "no python": ("class", "cannot be imported: SyntaxError"),
}


@pytest.mark.parametrize(("text", "message"), FLAWED.values(), ids=FLAWED)
def test_a_flawed_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(BadInput, match=message) as error:
        load("engines", str(path), Engine)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no such file"):
        load("engines", str(tmp_path / "gone.py"), Engine)


URIS = {
    "embedded": ("embedded", ""),
    "scripted:": ("scripted", ""),
    "embedded:some/dir": ("embedded", "some/dir"),
    "replay:a:b.jsonl": ("replay", "a:b.jsonl"),
    "hf:owner/name": ("hf", "owner/name"),
    "http://host:1/v1?model=m": ("http", "http://host:1/v1?model=m"),
    "https://host/v1": ("http", "https://host/v1"),
    "dir/mine.py": ("dir/mine.py", ""),
    "dir/mine.py:rest:x": ("dir/mine.py", "rest:x"),
}


@pytest.mark.parametrize(("uri", "parts"), URIS.items())
def test_uris_are_split(uri: str, parts: tuple[str, str]) -> None:
    assert split_uri(uri) == parts

"""Plug-ins: one protocol, engine, strategy, benchmark, audit or recipe is one file, and its file name is its id.

A folder is listed without importing anything; a class is imported when it is asked for. Files that start with `_`
are shared code. A path that ends with `.py` names a user's own file. There is no registry to keep in step.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from .errors import BadInput
from .types import content_hash

__all__ = ["load", "names", "split_uri"]

T = TypeVar("T")
_PACKAGE = Path(__file__).parent


def names(*folders: str) -> list[str]:
    """List the ids of the plug-ins in folders of the package ("protocols"), sorted, without importing them."""
    files = [file for folder in folders for file in (_PACKAGE / folder).glob("*.py")]
    return sorted(file.stem for file in files if not file.stem.startswith("_"))


def load(folders: str | Sequence[str], name: str, base: type[T]) -> type[T]:
    """Import the one subclass of `base` that a plug-in file defines.

    `name` is an id in one of the folders or the path of a user's `.py` file. Raises `BadInput` for an unknown id
    (with the known ones), a missing file, or a file that does not define exactly one subclass.
    """
    folders = [folders] if isinstance(folders, str) else folders
    module = _user_file(name) if name.endswith(".py") else _packaged(tuple(folders), name)
    found: list[type[T]] = [value for value in vars(module).values() if _defined(value, base, module)]
    if len(found) != 1:
        listed = ", ".join(sorted(cls.__name__ for cls in found)) or "none"
        raise BadInput(f"{module.__file__} must define exactly one subclass of {base.__name__}; it defines {listed}")
    return found[0]


def split_uri(uri: str) -> tuple[str, str]:
    """Split an engine's URI into plug-in name and rest: "embedded:DIR" -> ("embedded", "DIR").

    A web address stays whole: ("http", "https://..."). "mine.py:REST" names a user's file.
    """
    scheme, _, rest = uri.partition(":")
    return ("http", uri) if scheme in {"http", "https"} and rest.startswith("//") else (scheme, rest)


def _defined(value: object, base: type, module: ModuleType) -> bool:
    """Tell whether a module's value is a public class of its own below `base`."""
    if not isinstance(value, type) or not issubclass(value, base) or value is base:
        return False
    return value.__module__ == module.__name__ and not value.__name__.startswith("_")


@cache  # engines that read typed traces ask for a protocol with every prompt
def _packaged(folders: tuple[str, ...], name: str) -> ModuleType:
    folder = next((folder for folder in folders if name in names(folder)), None)
    if folder is None:
        raise _unknown(folders, name)
    return importlib.import_module(f"{__package__}.{folder}.{name}")


def _unknown(folders: Sequence[str], name: str) -> BadInput:
    known = names(*folders)
    close = get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return BadInput(
        f"got {name!r}; {' or '.join(folders)} has {', '.join(known) or 'nothing'}.{hint} "
        f"A new one is a file thinkscore/{folders[0]}/{name or 'NAME'}.py, or give the path of your own .py file"
    )


def _user_file(path: str) -> ModuleType:
    """Import a user's file, again if it was changed; its file name is its id, as for a packaged one."""
    file = Path(path).resolve()
    if not file.is_file():
        raise BadInput(f"got {path!r}; there is no such file")
    name = f"thinkscore_user.{content_hash([str(file), file.read_text()])}.{file.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None  # it is a .py file
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise BadInput(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module

"""Errors that a user can act on. Anything else that escapes is a bug.

    ThinkscoreError            exit code 2: what was got, what is accepted, what to do
    ├── BadInput               a file, row, flag or argument
    ├── EngineUnavailable      an engine that cannot start, or that fails in the same way again and again
    └── MissingExtra           an optional dependency is not installed

Failures of single items are never raised: they are data (`types.Completion.error`, `types.Failure`).
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["BadInput", "EngineUnavailable", "MissingExtra", "ThinkscoreError", "require"]


class ThinkscoreError(Exception):
    """Base of all errors that are meant for the user; the message is one readable paragraph."""


class BadInput(ThinkscoreError, ValueError):
    """A file, row, flag or argument that cannot be used."""


class EngineUnavailable(ThinkscoreError, RuntimeError):
    """An engine that cannot be opened or that keeps failing in the same way."""


class MissingExtra(ThinkscoreError, ImportError):
    """An optional dependency is missing; the message holds the pip command."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or raise `MissingExtra` with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f"this needs {module}: pip install 'thinkscore[{extra}]'") from error

"""Reward models that reason before they score.

from thinkscore import Judge

with Judge("rm_r1", engine="embedded", strategy="vote:k=8") as judge:
    print(judge.compare(question, first, second).winner)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import BadInput, EngineUnavailable, MissingExtra, ThinkscoreError
    from .judge import Judge
    from .types import Case, Judgment, Message, Tally, Verdict

__all__ = [
    "BadInput",
    "Case",
    "EngineUnavailable",
    "Judge",
    "Judgment",
    "Message",
    "MissingExtra",
    "Tally",
    "ThinkscoreError",
    "Verdict",
]
_PLACES = {
    "errors": ("BadInput", "EngineUnavailable", "MissingExtra", "ThinkscoreError"),
    "judge": ("Judge",),
    "types": ("Case", "Judgment", "Message", "Tally", "Verdict"),
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package costs nothing."""
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

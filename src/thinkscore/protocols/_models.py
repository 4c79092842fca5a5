"""Released checkpoints by name: how each was trained to be asked, from the tables beside the protocols.

One `PROTOCOL.toml` per family; `rm_r1.toml` explains the fields. A name is matched exactly, in full or as an alias:
finding the prompt by a part of the path is how the authors' own script silently picks another one.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..errors import BadInput

__all__ = ["Model", "find_model", "models"]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A released checkpoint. None: nobody published it."""

    id: str
    """Its name on Hugging Face."""
    aliases: tuple[str, ...] = ()
    """Short names."""
    kind: Literal["judge", "values"] = "judge"
    """Judges cases, or gives numbers to a judge's texts."""
    protocol: str | None = None
    """How to ask."""
    template: str | None = None
    """The text to ask with."""
    parser: str = "strict"
    """How to read."""
    temperature: float | None = None
    """The authors' sampling."""
    top_p: float | None = None
    """The authors' sampling."""
    max_tokens: int | None = None
    """The authors' limit per answer."""
    context: int | None = None
    """Tokens of prompt and answer together."""
    licence: str | None = None
    """As the model card names it."""
    base: str | None = None
    """What it was trained from."""
    notes: tuple[str, ...] = ()
    """What a user should know, unknown facts too."""
    sources: dict[str, str] = {}
    """Where each fact is from, by field."""


@cache
def models() -> dict[str, Model]:
    """Return every known checkpoint by its full name, family by family."""
    tables = sorted(file for file in Path(__file__).parent.glob("*.toml") if not file.name.startswith("_"))
    return {model.id: model for file in tables for model in _read(file)}


def _read(file: Path) -> list[Model]:
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return [msgspec.convert(_joined(table.get("shared", {}), row), Model) for row in table["model"]]


def _joined(shared: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """Lay a row over what its family shares; notes and sources add up."""
    return {
        **shared,
        **row,
        "notes": [*row.get("notes", ()), *shared.get("notes", ())],
        "sources": {**shared.get("sources", {}), **row.get("sources", {})},
    }


def find_model(name: str) -> Model:
    """Find a checkpoint by its exact name or alias. Raises `BadInput` with the closest names."""
    named = {known: model for model in models().values() for known in (model.id, *model.aliases)}
    if name in named:
        return named[name]
    close = get_close_matches(name, named, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else "`thinkscore models` lists all."
    raise BadInput(
        f"got the model {name!r}, which is in no table; {hint} "
        "For a checkpoint of your own: --protocol P --template FILE --engine hf:DIR"
    )

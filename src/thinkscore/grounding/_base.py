"""One finding about a trace."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Finding", "Kind"]

Kind = Literal["follows", "quotes", "numbers", "covers", "truth"]


class Finding(msgspec.Struct, frozen=True):
    """What one check found."""

    kind: Kind
    """Which check; "truth" only where a world is known (the lab)."""
    ok: bool | None
    """Whether it holds; None if the trace does not state what could be checked."""
    candidate: int | None = None
    """The candidate it is about, in the order of the case; None if it is about none in particular."""
    span: tuple[int, int] = (0, 0)
    """Where in the completion's text; (0, 0) if it is about what is not there."""
    detail: str = ""
    """What is wrong, in a few words; empty if nothing is."""

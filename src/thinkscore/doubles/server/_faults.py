"""Faults of a server on purpose: which request gets which one is decided by a hash, so that a run can be repeated.

What an attempt gets depends only on (seed of the server, key of the request, number of the attempt); what no retry
helps against (400 and its like) on seed and key alone. The key is a hash of the request's body.
"""

from __future__ import annotations

import math
from email.utils import formatdate
from time import time

import msgspec

from ...errors import BadInput
from ...seeds import derive_seed

__all__ = ["KINDS", "Faults", "Record", "spread"]

KINDS = {
    "reset": "the connection is reset, no answer",
    "cut": "the connection is reset in the middle of the answer",
    "truncated": "the answer is half of its JSON",
    "empty": "status 200 without a body",
    "no_choices": "status 200 with an empty list of choices",
    "no_content": "status 200 with choices that say nothing",
    "stall": "no answer, and after `stall` seconds the connection is closed",
    "slow": "the right answer, a few bytes at a time over `slow` seconds",
}
"""Kinds of faults beside status codes from 400 to 599."""
PASSING = {"408", "409", "425", "429"}
"""Client errors that a retry may help against."""
SCALE = 2**63


class Faults(msgspec.Struct, frozen=True):
    """How often what goes wrong."""

    rates: dict[str, float] = {}
    """Kind or status code -> share of the attempts (of the requests, for what is permanent)."""
    stall: float = 600.0
    """Seconds until a stalled request is dropped."""
    slow: float = 2.0
    """Seconds that a slow answer takes."""
    retry_after: int = 1
    """Seconds in Retry-After of 429 and 503, half of them as an HTTP date; negative: no such header."""

    def __post_init__(self) -> None:
        for kind, rate in self.rates.items():
            if kind not in KINDS and not (kind.isdecimal() and 400 <= int(kind) < 600):
                raise BadInput(f"got the fault {kind!r}; known are status codes 400 to 599 and {', '.join(KINDS)}")
            if not 0 <= rate <= 1:
                raise BadInput(f"got {kind}={rate}; a rate is a share from 0 to 1")
        if sum(self.rates.values()) > 1 + 1e-9:
            raise BadInput(f"the rates of the faults add up to {sum(self.rates.values()):g}; at most 1 is left to give")

    @classmethod
    def parse(cls, text: str, stall: float = 600.0, slow: float = 2.0, retry_after: int = 1) -> Faults:
        """Read "429=0.05,reset=0.05". Raises `BadInput`."""
        try:
            pairs = [part.split("=") for part in text.split(",") if part.strip()]
            rates = {kind.strip(): float(rate) for kind, rate in pairs}
        except ValueError:
            raise BadInput(f"got the faults {text!r}; write them as 429=0.05,reset=0.05") from None
        return cls(rates, stall, slow, retry_after)

    def pick(self, seed: int, key: str, attempt: int) -> str | None:
        """Say what goes wrong with an attempt (from 0); None for nothing."""
        lasting = {kind: rate for kind, rate in self.rates.items() if _lasts(kind)}
        passing = {kind: rate for kind, rate in self.rates.items() if kind not in lasting}
        # the shares of passing faults are of what the lasting ones leave
        left = 1 - sum(lasting.values())
        return _drawn(lasting, 1, seed, "lasting", key) or _drawn(passing, left, seed, "passing", key, attempt)

    def headers(self, kind: str, seed: int, key: str, attempt: int) -> dict[str, str]:
        """Return Retry-After where the fault is a status that carries it, in one of its two forms."""
        if kind not in ("429", "503") or self.retry_after < 0:
            return {}
        if derive_seed(seed, "form", key, attempt) % 2:
            return {"Retry-After": str(self.retry_after)}
        return {"Retry-After": formatdate(math.ceil(time()) + self.retry_after, usegmt=True)}


class Record(msgspec.Struct):
    """What happened to the requests with one body."""

    attempts: int = 0
    """How often it came."""
    answered: int = 0
    """How often it got its whole right answer."""
    refused: int = 0
    """How often it was turned away for what it is (wrong key or model, too long)."""
    faults: list[str] = []
    """What went wrong on purpose, in order."""


def spread(latency: float | tuple[float, float], seed: int, key: str, attempt: int) -> float:
    """Return the seconds that an attempt waits: fixed, or drawn between two bounds."""
    if isinstance(latency, tuple):
        low, high = latency
        return low + (high - low) * derive_seed(seed, "latency", key, attempt) / SCALE
    return latency


def _lasts(kind: str) -> bool:
    return kind.startswith("4") and kind not in PASSING


def _drawn(rates: dict[str, float], whole: float, seed: int, *names: str | int) -> str | None:
    if not rates:
        return None
    place = derive_seed(seed, *names) / SCALE * whole
    for kind, rate in rates.items():
        place -= rate
        if place < 0:
            return kind
    return None

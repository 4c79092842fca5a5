"""One seed per run; every other seed derives from it and from names, never from position or `hash()`."""

from __future__ import annotations

import hashlib

__all__ = ["derive_seed"]


def derive_seed(*parts: str | int) -> int:
    """Derive a seed, 0 <= seed < 2**63, from a run seed and the names of what it is for."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1

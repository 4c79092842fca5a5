"""How fast a server is asked: as many requests at a time as it bears, and not more per minute than it allows.

The number at a time adapts as in TCP: it grows with every success until a share of the answers says "overloaded",
then shrinks. One overloaded answer among many changes nothing: it is retried.
"""

from __future__ import annotations

__all__ = ["Rate", "Throttle"]

START = 32
"""Requests at a time before anything is known."""
MEMORY = 0.03
"""Weight of the newest answer in the running share of overloaded ones."""
TOO_MANY, FEW = 0.25, 0.12
"""Shares of overloaded answers at which to shrink, and below which to grow."""
SHRINK = 0.6


class Throttle:
    """Requests under way at one server. Time does not matter, answers do."""

    def __init__(self, most: int) -> None:
        self.limit, self.active = float(min(most, START)), 0
        self._most, self._share = most, 0.0
        self._probing = True

    def free(self) -> bool:
        """Tell whether one more request may be sent."""
        return self.active < int(self.limit)

    def load(self) -> float:
        """Return the share of the limit that is under way."""
        return self.active / self.limit

    def start(self) -> None:
        self.active += 1

    def end(self, overloaded: bool) -> None:
        """Note an answer and adapt."""
        self.active -= 1
        self._share += MEMORY * (overloaded - self._share)
        if self._share > TOO_MANY:
            self.limit, self._share, self._probing = max(1.0, self.limit * SHRINK), 0.0, False
        elif not overloaded and self._share < FEW:
            self.limit = min(self._most, self.limit + (1.0 if self._probing else 1.0 / self.limit))


class Rate:
    """Units per minute, with a burst of one second's worth (at least one request). 0 is no limit."""

    def __init__(self, per_minute: float) -> None:
        self._second = per_minute / 60
        self._due = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until something may be sent."""
        return max(0.0, self._due - now - 1.0) if self._second else 0.0

    def take(self, units: float, now: float) -> None:
        """Count units; negative ones give back what was counted too high."""
        if self._second:
            self._due = max(self._due, now) + units / self._second

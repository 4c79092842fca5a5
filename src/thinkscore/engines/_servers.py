"""One server of a pool: its requests, its pace and its health. Every failure is a `Problem`, never an exception."""

from __future__ import annotations

import email.utils
import re
from datetime import UTC, datetime

import aiohttp
import msgspec
from yarl import URL

from ._chat import Problem
from ._pace import Throttle

__all__ = ["Server", "explain"]

RETRY = {408, 409, 425, 429}
OVERLOAD = {429, 503, 529}
NEVER = 501
"""The one 5xx that says what a server cannot do, not what went wrong."""
FATAL = {401, 402, 403, 404, 405, 410}
DOWN = {502, 503, 504, 522, 524}
PATIENCE = 5
"""Failures in a row after which a server rests."""
REST, LONGEST_REST = 0.5, 30.0
"""Seconds of the first rest, doubled with each, and of the longest."""
SHOWN = 400
"""Characters of a server's message that are passed on."""


class Server:
    """One address."""

    def __init__(self, url: str, concurrency: int) -> None:
        self.url, self.throttle = url, Throttle(concurrency)
        self._urls: dict[str, URL] = {}
        self.asleep_until = 0.0
        self.refused = 0
        """Problems in a row that are about the server or the key (see `Transport`)."""
        self._failures = 0

    def free(self, now: float) -> bool:
        """Tell whether it takes one more request now."""
        return now >= self.asleep_until and self.throttle.free()

    def note(self, problem: Problem | None, now: float) -> None:
        """Learn from an answer: pace, and a rest for a server that seems to be gone."""
        self.throttle.end(problem is not None and problem.overload)
        if problem is None or not problem.down:
            self._failures = 0
        elif now >= self.asleep_until:  # what was sent before a rest says no more than what led to it
            self._failures += 1
            if self._failures >= PATIENCE:
                self.asleep_until = now + min(LONGEST_REST, REST * 2 ** (self._failures - PATIENCE))

    async def post(self, session: aiohttp.ClientSession, path: str, data: bytes) -> bytes | Problem:
        """Send a request; return the body of a good answer, or what went wrong."""
        url = self._urls.get(path) or self._urls.setdefault(path, self._place(path))
        try:
            async with session.post(url, data=data, allow_redirects=False) as reply:
                content = await reply.read()
                if reply.status == 200:
                    return content
                return _refused(reply.status, reply.headers.get("Retry-After"), reply.headers.get("Location"), content)
        except aiohttp.ConnectionTimeoutError:
            return Problem(f"no connection in time to {self.url}", retry=True, down=True, fatal=True)
        except TimeoutError:
            return Problem(f"no answer in time from {self.url}", retry=True)
        except aiohttp.ClientPayloadError as error:
            return Problem(f"the answer of {self.url} breaks off ({_named(error)})", retry=True)
        except (aiohttp.ClientError, OSError) as error:
            return Problem(f"no answer from {self.url}: {_named(error)}", retry=True, down=True, fatal=True)

    def _place(self, path: str) -> URL:
        """Return the address below the base, or, for a path with a slash in front, at the root."""
        return URL(f"{self.url.removesuffix('/v1')}{path}" if path.startswith("/") else f"{self.url}/{path}")


def _named(error: Exception) -> str:
    return str(error) or type(error).__name__


def _refused(status: int, after: str | None, place: str | None, content: bytes) -> Problem:
    moved = f" (moved to {place}; give that address)" if place else ""
    return Problem(
        f"HTTP {status}: {explain(content)}{moved}",
        retry=status in RETRY or (status >= 500 and status != NEVER),
        overload=status in OVERLOAD,
        down=status in DOWN,
        fatal=status in FATAL or status < 400,
        after=_seconds(after),
    )


def explain(content: bytes) -> str:
    """Return the message inside an error body, whatever its shape."""
    try:
        said = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = None
    for name in ("error", "message", "detail"):
        if isinstance(said, dict) and said.get(name):
            said = said[name]
    text = said if isinstance(said, str) else content.decode(errors="replace") if said is None else str(said)
    if text.lstrip()[:1] == "<":
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = f"an HTML page{f' titled {title[1].strip()!r}' if title else ''}"
    return " ".join(text.split())[:SHOWN] or "no message"


def _seconds(after: str | None) -> float:
    """Read Retry-After: seconds, or a date."""
    if not after:
        return 0.0
    try:
        return max(0.0, float(after))
    except ValueError:
        pass
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0

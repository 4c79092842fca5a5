"""A request with one JSON answer that somebody awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from ..errors import BadInput
from ._chat import Problem
from ._transport import Request, Transport

__all__ = ["ask"]

T = TypeVar("T")
LETTERS = 4


async def ask(transport: Transport, path: str, said: object, read: Callable[[object], T]) -> T | Problem:
    """Send a body and return what `read` makes of the answer; `BadInput` from it, and what no attempt got over, is a
    `Problem`.
    """
    asked = _Asked(path, msgspec.json.encode(said), read)
    transport.submit([asked])
    return await asked.answer


class _Asked(Request, Generic[T]):
    def __init__(self, path: str, data: bytes, read: Callable[[object], T]) -> None:
        self.path, self._data, self._read = path, data, read
        self.tokens = len(data) / LETTERS
        self.answer: asyncio.Future[T | Problem] = asyncio.get_running_loop().create_future()

    def data(self) -> bytes:
        return self._data

    def read(self, content: bytes) -> T | Problem:
        try:
            return self._read(msgspec.json.decode(content))
        except (BadInput, msgspec.ValidationError) as error:
            return Problem(str(error))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return Problem(f"the server's answer is no JSON ({error})", retry=True)

    def wanted(self) -> bool:
        return not self.answer.done()

    def end(self, result: T | Problem | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(result, Exception):
            self.answer.set_exception(result)
        else:
            self.answer.set_result(result)

"""Reading a journal back, without writing to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..errors import BadInput
from ..types import Completion, Message
from ._calls import Record, Request
from ._file import connect, guarded

__all__ = ["completion", "read_journal"]

_ANSWERED = """
SELECT calls.id, case_id, protocol, "order", CAST(text AS BLOB), CAST(request AS BLOB), CAST(answer AS BLOB)
FROM answers JOIN calls USING (id) LEFT JOIN texts ON texts.id = system ORDER BY calls.id
"""

_request = msgspec.json.Decoder(Request).decode
completion = msgspec.json.Decoder(Completion).decode


def read_journal(path: str | Path) -> Iterator[Record]:
    """Yield every answered call of a journal, in the order asked, without writing to it.

    Raises `BadInput` if the file is not a journal, or names the row that is damaged.
    """
    connection = connect(Path(path), read_only=True)
    try:
        for row, case_id, protocol, order, system, request, answer in guarded(path, connection, _ANSWERED):
            try:
                places = msgspec.json.decode(order, type=tuple[int, ...])
                record = Record(case_id, protocol, places, _whole(request, system), completion(answer))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise BadInput(f"{path}: row {row} (case {case_id!r}) is damaged: {error}") from error
            yield record
    finally:
        connection.close()


def _whole(request: bytes, system: bytes | None) -> Request:
    """Read a request with the system message that it shares with others."""
    read = _request(request)
    if system is None:
        return read
    return msgspec.structs.replace(read, messages=(Message("system", system.decode()), *read.messages))

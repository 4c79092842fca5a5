"""The journal: one SQLite file that holds every call of a run; cache, crash recovery and audit log at once.

It sits between prompt and completion: what was paid for is never asked again. A call is announced, on disk, before
it is sent, and filled when its answer comes; so after `kill -9` the rows without an answer are exactly the calls
that will be paid again. Answers are committed within `WINDOW` seconds, with the next announcement or by a thread.
Errors go to a table of their own and are never served. Keys hold the model's identity but no address, and the derived
seed but no position: a journal survives a move to another machine and another batch size.
"""

from __future__ import annotations

from ._calls import Call, Record, Request
from ._file import is_journal
from ._manifest import write_manifest
from ._read import read_journal
from ._write import CHECKPOINT, WINDOW, FileJournal, Journal, open_journal

__all__ = [
    "CHECKPOINT",
    "WINDOW",
    "Call",
    "FileJournal",
    "Journal",
    "Record",
    "Request",
    "is_journal",
    "open_journal",
    "read_journal",
    "write_manifest",
]

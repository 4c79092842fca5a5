"""The SQLite file of a journal: its tables, its lock, and what is said of a damaged one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import BadInput

__all__ = ["connect", "guarded", "is_journal", "lock"]

APPLICATION, VERSION = 0x7468736A, 2  # "thsj"

_SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE calls (
    id INTEGER PRIMARY KEY, key BLOB,
    case_id TEXT, protocol TEXT, "order" TEXT, sample INTEGER, system INTEGER, request TEXT
);
CREATE TABLE answers (id INTEGER PRIMARY KEY, answer TEXT);
CREATE TABLE errors (id INTEGER PRIMARY KEY, error TEXT);
COMMIT;
"""
_PRAGMAS = ("application_id", "user_version")


def is_journal(path: str | Path) -> bool:
    """Tell whether a file is an SQLite file; raises `OSError` if it cannot be read."""
    with Path(path).open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def lock(path: Path) -> sqlite3.Connection:
    """Hold an exclusive lock on FILE.lock through SQLite: portable, not inherited by workers, freed by a kill."""
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"{path}: a journal is a file in a folder that exists")
    if path.exists() and path.stat().st_size and not is_journal(path):
        raise BadInput(f"{path}: is not a journal and stays as it is; give a journal or a new file name")
    connection: sqlite3.Connection | None = None
    try:
        name = f"{path.resolve()}.lock"
        connection = sqlite3.connect(name, isolation_level=None, timeout=0, check_same_thread=False)
        connection.executescript("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        busy = error.sqlite_errorname == "SQLITE_BUSY"
        cause = "another run is writing this journal; give each run its own" if busy else f"cannot be written ({error})"
        raise BadInput(f"{path}: {cause}") from error
    return connection


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a journal, creating it if there is none and writing is allowed."""
    if read_only and not path.is_file():
        raise BadInput(f"{path}: no such journal")
    # A finished journal in a folder that cannot be written opens only as immutable.
    place = path.resolve()  # the log lies beside the file, not beside a link to it
    immutable = "&immutable=1" if not place.with_name(f"{place.name}-wal").exists() else ""
    uri = f"{place.as_uri()}?mode={f'ro{immutable}' if read_only else 'rwc'}"
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    try:
        application, version = (connection.execute(f"PRAGMA {p}").fetchone()[0] for p in _PRAGMAS)
        if not application and not read_only and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            connection.executescript(_SCHEMA)
        elif (application, version) != (APPLICATION, VERSION):
            raise BadInput(f"{path}: an SQLite file, but not a journal of this version; give a new file name")
        if not read_only:
            connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
    except sqlite3.Error as error:
        connection.close()
        raise BadInput(f"{path}: cannot be read as a journal ({error}); give a journal or a new file name") from error
    except BadInput:
        connection.close()
        raise
    return connection


def guarded(
    path: str | Path, connection: sqlite3.Connection, query: str, values: Sequence[int] = ()
) -> Iterator[tuple[Any, ...]]:
    """Run a query; a file that is damaged below the level of rows is named."""
    try:
        yield from connection.execute(query, values)
    except sqlite3.Error as error:
        raise BadInput(f"{path}: the journal is damaged ({error})") from error

"""The journal: one SQLite file that holds every call of a run; cache, crash recovery and audit log at once.

It sits between prompt and completion: what was paid for is never asked again. A call is announced, on disk, before
it is sent, and filled when its answer comes; so after `kill -9` the rows without an answer are exactly the calls
that will be paid again. Answers are committed within `WINDOW` seconds, with the next announcement or by a thread.
Errors go to a table of their own and are never served. Keys hold the model's identity but no address, and the derived
seed but no position: a journal survives a move to another machine and another batch size.
"""

from __future__ import annotations

import platform
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .errors import BadInput, ThinkscoreError
from .types import Completion, Message, Prompt, Sampling, content_hash

_Column = str | int | bytes | None

__all__ = [
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

WINDOW = 0.03  # seconds that an answer may wait for its commit
CHECKPOINT = 10_000  # rows written before the log is moved into the file
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
# Rows are only ever added, at the end: no page is written twice, and keys, which are random, are no index in the file.
_TEXT = "INSERT INTO texts VALUES (?, ?)"
_ANNOUNCE = "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ANSWER = "INSERT INTO answers VALUES (?, ?)"
_FAIL = "INSERT INTO errors VALUES (?, ?)"
_FORGET = "DELETE FROM answers WHERE id = ?"
_INTERRUPTED = """
INSERT INTO errors SELECT id, 'interrupted before its answer was kept' FROM calls
WHERE id NOT IN (SELECT id FROM answers) AND id NOT IN (SELECT id FROM errors)
"""
_KEYS = "SELECT key, id FROM calls JOIN answers USING (id)"
_LOOKUP = "SELECT id, key, case_id, sample, CAST(answer AS BLOB) FROM answers JOIN calls USING (id) WHERE id IN"
_ANSWERED = """
SELECT calls.id, case_id, protocol, "order", CAST(text AS BLOB), CAST(request AS BLOB), CAST(answer AS BLOB)
FROM answers JOIN calls USING (id) LEFT JOIN texts ON texts.id = system ORDER BY calls.id
"""


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was sent, as far as it can change the answer."""

    kind: str
    """What was asked for: "generate", "values" or "logprobs"."""
    model: str
    """The engine's identity."""
    messages: tuple[Message, ...]
    """What the model read."""
    prefill: str
    """What its answer starts with."""
    sampling: Sampling
    """How tokens were drawn."""
    seed: int
    """The derived seed."""
    sample: int
    """Which of several completions for the case."""
    conversations: tuple[tuple[Message, ...], ...] = ()
    """What a scalar head read."""
    continuations: tuple[str, ...] = ()
    """What was scored after the prefill."""


class Call(NamedTuple):
    """One call with its key."""

    key: str
    request: Request
    prompt: Prompt

    @classmethod
    def of(cls, prompt: Prompt, model: str) -> Call:
        """Key a prompt for a model; equal keys mean equal answers. Only what is generated is drawn."""
        p = prompt
        if p.conversations:
            request = Request("values", model, (), "", Sampling(), 0, 0, p.conversations)
        elif p.continuations:
            request = Request("logprobs", model, p.messages, p.prefill, Sampling(), 0, 0, (), p.continuations)
        else:
            request = Request("generate", model, p.messages, p.prefill, p.sampling, p.seed, p.sample)
        return cls(content_hash(request), request, prompt)


class Record(NamedTuple):
    """One answered call, as read back."""

    case_id: str
    protocol: str
    order: tuple[int, ...]
    request: Request
    completion: Completion


class Journal:
    """A journal that keeps nothing, for runs without a file; `open_journal` gives one that does."""

    interrupted: int = 0
    """Calls that an earlier run had sent when it was killed: they are paid again."""
    path: Path | None = None
    """The file, if there is one."""
    notes: Sequence[str] = ()
    """What a reader should know, one sentence each (damaged rows that are asked again)."""

    def lookup(self, keys: Sequence[str]) -> dict[str, Completion]:
        """Return the recorded answers; a key without one is left out."""
        return {}

    def announce(self, calls: Sequence[Call]) -> None:
        """Note, on disk, that calls are about to be sent."""

    def record(self, calls: Sequence[Call], completions: Sequence[Completion]) -> None:
        """Keep the answers of announced calls; on disk within `WINDOW` seconds."""

    def close(self) -> None:
        """Write what is waiting and release the file."""


class FileJournal(Journal):
    """A journal in a file. One process at a time writes it; the kernel frees the lock of a killed one.

    Announcements are written where they are made, with the answers that have waited; what no announcement takes along
    is committed by one thread of the journal's own, which also moves old pages into the file. Any thread may call.
    Raises `BadInput` if the file is not a journal or in use; never overwrites a file that is not ours.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self.notes: list[str] = []
        self._lock = _lock(self.path)
        try:
            self._db = _connect(self.path)
            self._db.execute("PRAGMA wal_autocheckpoint = 0")  # a commit must not wait for the disk
            with self._db:
                self.interrupted = self._db.execute(_INTERRUPTED).rowcount
            self._ids = dict(_guarded(self.path, self._db, _KEYS))
            self._texts = {text: id_ for id_, text in _guarded(self.path, self._db, "SELECT id, text FROM texts")}
            (self._last,) = self._db.execute("SELECT ifnull(max(id), 0) FROM calls").fetchone()
        except sqlite3.Error as error:
            self._lock.close()
            raise BadInput(f"{path}: the journal is damaged or cannot be written ({error})") from error
        except BaseException:
            self._lock.close()
            raise
        self._kept: dict[int, tuple[str, Completion]] = {}
        self._failed: list[tuple[int, str]] = []
        self._sent: dict[str, int] = {}
        self._turn = threading.Lock()
        self._due, self._closing = threading.Event(), threading.Event()
        self._written, self._committed = 0, 0.0
        self._broken: ThinkscoreError | None = None
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def lookup(self, keys: Sequence[str]) -> dict[str, Completion]:
        known = [id_ for key in keys if (id_ := self._ids.get(bytes.fromhex(key)))]
        if not known:
            return {}
        with self._turn:
            found = dict(self._kept[id_] for id_ in known if id_ in self._kept)
            stored = [id_ for id_ in known if id_ not in self._kept]
            rows = list(_guarded(self.path, self._db, f"{_LOOKUP} ({','.join('?' * len(stored))})", stored))
            for id_, key, case_id, sample, answer in rows:
                try:
                    found[key.hex()] = _completion(answer)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    self._commit([(_FORGET, [(id_,)]), (_FAIL, [(id_, f"damaged: {error}")])])
                    del self._ids[key]
                    note = f"{self.path}: case {case_id!r} sample {sample}: damaged ({error}); asked again"
                    self.notes.append(note)
        return found

    def announce(self, calls: Sequence[Call]) -> None:
        with self._turn:
            texts: list[tuple[int, str]] = []
            rows = [self._row(call, texts) for call in calls]
            # Answers that are young wait for others: a commit costs by the pages it touches, not by its rows.
            old = time.monotonic() - self._committed >= WINDOW / 2
            (self._commit if old else self._execute)([(_TEXT, texts), (_ANNOUNCE, rows)])

    def record(self, calls: Sequence[Call], completions: Sequence[Completion]) -> None:
        with self._turn:
            self._check()
            for call, done in zip(calls, completions, strict=True):
                id_ = self._sent.pop(call.key, None)
                if id_ is None:
                    continue  # it was sent twice, since an error ended a run before the first answer was there
                if done.finish == "error":
                    self._failed.append((id_, done.error or ""))
                else:
                    self._kept[id_] = call.key, done
                    self._ids[bytes.fromhex(call.key)] = id_
        if not self._due.is_set():
            self._due.set()

    def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        self._due.set()
        self._writer.join()
        try:
            with self._turn:
                self._commit([])
        finally:
            for connection in (self._db, self._lock):
                connection.close()

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _row(self, call: Call, texts: list[tuple[int, str]]) -> tuple[_Column, ...]:
        """Write a call as a row; a system message, which many calls share, is kept once (and added to `texts`)."""
        self._last += 1
        self._sent[call.key] = self._last
        p, request = call.prompt, call.request
        system = None
        if request.messages and request.messages[0].role == "system":
            text = request.messages[0].content
            if text not in self._texts:
                self._texts[text] = len(self._texts) + 1
                texts.append((self._texts[text], text))
            system = self._texts[text]
            request = msgspec.structs.replace(request, messages=request.messages[1:])
        key = bytes.fromhex(call.key)
        return (self._last, key, p.case.id, p.protocol, _json(p.order), p.sample, system, _json(request))

    def _write(self) -> None:
        """Commit what waits, a window after it came; the body of the writer thread."""
        while not self._closing.is_set():
            self._due.wait()
            self._closing.wait(WINDOW / 2)
            # Else an announcement took everything along, or what waits is young.
            if time.monotonic() - self._committed >= WINDOW / 2:
                self._due.clear()
                with self._turn, suppress(ThinkscoreError):  # told to the next caller
                    self._commit([])
            if self._written >= CHECKPOINT:
                self._checkpoint()

    def _commit(self, writes: Sequence[tuple[str, Sequence[tuple[_Column, ...]]]]) -> None:
        """Write and commit, with the answers and errors that wait; whoever calls has the turn."""
        self._check()
        answers = [(id_, _json(done)) for id_, (_, done) in self._kept.items()]
        self._execute([(_ANSWER, answers), (_FAIL, self._failed), *writes])
        self._kept.clear()
        self._failed.clear()
        self._committed = time.monotonic()

    def _execute(self, writes: Sequence[tuple[str, Sequence[tuple[_Column, ...]]]]) -> None:
        try:
            with self._db:
                for statement, rows in writes:
                    if rows:
                        self._db.executemany(statement, rows)
                        self._written += len(rows)
        except sqlite3.Error as error:
            self._broken = ThinkscoreError(f"cannot write the journal {self.path}: {error}")
            raise self._broken from error

    def _checkpoint(self) -> None:
        """Move the log into the file, beside the writes, which go on but for the end, so that the log starts anew."""
        self._written = 0
        with suppress(sqlite3.Error, BadInput), closing(_connect(self.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            with self._turn:  # a log that writes were added to meanwhile would go on growing
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def open_journal(path: str | Path | None) -> Journal:
    """Open or create the journal in a file; without a path, one that keeps nothing."""
    return Journal() if path is None else FileJournal(path)


def is_journal(path: str | Path) -> bool:
    """Tell whether a file is an SQLite file; raises `OSError` if it cannot be read."""
    with Path(path).open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def read_journal(path: str | Path) -> Iterator[Record]:
    """Yield every answered call of a journal, in the order asked, without writing to it.

    Raises `BadInput` if the file is not a journal, or names the row that is damaged.
    """
    connection = _connect(Path(path), read_only=True)
    try:
        for row, case_id, protocol, order, system, request, answer in _guarded(path, connection, _ANSWERED):
            try:
                places = msgspec.json.decode(order, type=tuple[int, ...])
                record = Record(case_id, protocol, places, _whole(request, system), _completion(answer))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise BadInput(f"{path}: row {row} (case {case_id!r}) is damaged: {error}") from error
            yield record
    finally:
        connection.close()


def write_manifest(journal: str | Path, config: dict[str, object]) -> Path:
    """Write FILE.manifest.json beside a journal, whole or not at all: the run's config and the versions it ran with."""
    path = Path(f"{journal}.manifest.json")
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    manifest = {**config, "versions": versions | {name: _version(name) for name in _PACKAGES}, "commit": _commit()}
    partial = Path(f"{path}.partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    partial.replace(path)
    return path


_PACKAGES = ("thinkscore", "numpy", "msgspec")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the git commit of the source that runs, if it runs from a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


_request = msgspec.json.Decoder(Request).decode
_completion = msgspec.json.Decoder(Completion).decode


def _whole(request: bytes, system: bytes | None) -> Request:
    """Read a request with the system message that it shares with others."""
    read = _request(request)
    if system is None:
        return read
    return msgspec.structs.replace(read, messages=(Message("system", system.decode()), *read.messages))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _lock(path: Path) -> sqlite3.Connection:
    """Hold an exclusive lock on FILE.lock through SQLite: portable, not inherited by workers, freed by a kill."""
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"{path}: a journal is a file in a folder that exists")
    if path.exists() and path.stat().st_size and not is_journal(path):
        raise BadInput(f"{path}: is not a journal and stays as it is; give a journal or a new file name")
    connection: sqlite3.Connection | None = None
    try:
        lock = f"{path.resolve()}.lock"
        connection = sqlite3.connect(lock, isolation_level=None, timeout=0, check_same_thread=False)
        connection.executescript("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        busy = error.sqlite_errorname == "SQLITE_BUSY"
        cause = "another run is writing this journal; give each run its own" if busy else f"cannot be written ({error})"
        raise BadInput(f"{path}: {cause}") from error
    return connection


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
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


_PRAGMAS = ("application_id", "user_version")


def _guarded(
    path: str | Path, connection: sqlite3.Connection, query: str, values: Sequence[int] = ()
) -> Iterator[tuple[Any, ...]]:
    """Run a query; a file that is damaged below the level of rows is named."""
    try:
        yield from connection.execute(query, values)
    except sqlite3.Error as error:
        raise BadInput(f"{path}: the journal is damaged ({error})") from error

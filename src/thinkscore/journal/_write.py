"""Writing a journal: calls are announced before they are sent, answers are committed with the next announcement."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from ..errors import BadInput, ThinkscoreError
from ..types import Completion
from ._calls import Call
from ._file import connect, guarded, lock
from ._read import completion

__all__ = ["CHECKPOINT", "WINDOW", "FileJournal", "Journal", "open_journal"]

_Column = str | int | bytes | None

WINDOW = 0.03  # seconds that an answer may wait for its commit
CHECKPOINT = 10_000  # rows written before the log is moved into the file
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
        self._lock = lock(self.path)
        try:
            self._db = connect(self.path)
            self._db.execute("PRAGMA wal_autocheckpoint = 0")  # a commit must not wait for the disk
            with self._db:
                self.interrupted = self._db.execute(_INTERRUPTED).rowcount
            self._ids = dict(guarded(self.path, self._db, _KEYS))
            self._texts = {text: id_ for id_, text in guarded(self.path, self._db, "SELECT id, text FROM texts")}
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
            rows = list(guarded(self.path, self._db, f"{_LOOKUP} ({','.join('?' * len(stored))})", stored))
            for id_, key, case_id, sample, answer in rows:
                try:
                    found[key.hex()] = completion(answer)
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
        with suppress(sqlite3.Error, BadInput), closing(connect(self.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            with self._turn:  # a log that writes were added to meanwhile would go on growing
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def open_journal(path: str | Path | None) -> Journal:
    """Open or create the journal in a file; without a path, one that keeps nothing."""
    return Journal() if path is None else FileJournal(path)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()

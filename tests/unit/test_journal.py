"""The journal keeps answers, announces calls, files errors apart, and never touches a file that is not its own."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from thinkscore.errors import BadInput, ThinkscoreError
from thinkscore.journal import (
    CHECKPOINT,
    WINDOW,
    Call,
    FileJournal,
    is_journal,
    open_journal,
    read_journal,
    write_manifest,
)
from thinkscore.types import Case, Completion, Message, Prompt, Sampling, Usage

SRC = Path(__file__).parents[2] / "src"
CASE = Case("c1", (Message("user", "?"),), ("a", "b"))


def call(sample: int = 0, **changes: object) -> Call:
    prompt = Prompt(CASE, "rm_r1", CASE.messages, (1, 0), seed=5, sample=sample)
    return Call.of(msgspec.structs.replace(prompt, **changes), "model")


def keep(journal: FileJournal, *pairs: tuple[Call, Completion]) -> None:
    journal.announce([call for call, _ in pairs])
    journal.record([call for call, _ in pairs], [completion for _, completion in pairs])


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "run.journal"


def reopened(path: Path) -> FileJournal:
    journal = open_journal(path)
    assert isinstance(journal, FileJournal)
    return journal


ANSWER = Completion("text", "thought", "length", Usage(1, 2, 3), (-0.5, -1.25), (0, 1))


def test_an_answer_comes_back_whole(path: Path) -> None:
    journal = reopened(path)
    keep(journal, (call(0), ANSWER))
    journal.close()
    journal = reopened(path)
    assert journal.lookup([call(0).key, call(1).key]) == {call(0).key: ANSWER}
    assert journal.interrupted == 0
    journal.close()


DIFFERENT = {
    "messages": {"messages": (Message("user", "??"),)},
    "prefill": {"prefill": "<"},
    "sampling": {"sampling": Sampling(temperature=0.5)},
    "seed": {"seed": 6},
    "sample": {"sample": 1},
}


@pytest.mark.parametrize("changes", DIFFERENT.values(), ids=DIFFERENT)
def test_the_key_holds_all_that_can_change_an_answer(changes: dict[str, object]) -> None:
    assert call(**changes).key != call().key  # type: ignore[arg-type]
    assert Call.of(call().prompt, "other").key != call().key
    assert call(conversations=(CASE.messages,)).key != call().key


def test_the_key_holds_nothing_else() -> None:
    scored = {"conversations": (CASE.messages,)}
    assert call(1, seed=9, **scored).key == call(0, **scored).key  # a scalar head draws nothing
    assert call(order=(0, 1), verdicts=("x",), case=CASE.reorder((1, 0))).key == call().key


def test_many_keys_are_looked_up_at_once(path: Path) -> None:
    journal = reopened(path)
    calls = [call(i) for i in range(2000)]
    keep(journal, *((one, Completion(str(one.request.sample))) for one in calls))
    journal.announce([call(9999)])  # commits what came before
    assert [c.text for c in journal.lookup([one.key for one in calls]).values()].count("7") == 1
    assert len(journal.lookup([one.key for one in calls])) == 2000
    assert journal.lookup([]) == {}
    journal.close()


def test_answers_are_on_disk_within_the_window(path: Path) -> None:
    journal = reopened(path)
    keep(journal, (call(), ANSWER))
    assert WINDOW <= 0.05
    time.sleep(WINDOW + 0.2)
    assert [record.completion for record in read_journal(path)] == [ANSWER]  # while it is open
    journal.close()


def test_errors_are_kept_but_never_served(path: Path) -> None:
    journal = reopened(path)
    keep(journal, (call(0), Completion(finish="error", error="no luck")), (call(1), ANSWER))
    journal.close()
    journal = reopened(path)
    assert journal.interrupted == 0
    assert list(journal.lookup([call(0).key, call(1).key])) == [call(1).key]
    keep(journal, (call(0), ANSWER))
    journal.close()
    assert len(list(read_journal(path))) == 2
    with sqlite3.connect(path) as db:
        query = 'SELECT case_id, protocol, "order", sample, error FROM errors JOIN calls USING (id)'
        assert db.execute(query).fetchall() == [("c1", "rm_r1", "[1,0]", 0, "no luck")]
    db.close()


def test_calls_without_an_answer_are_counted_once_and_filed(path: Path) -> None:
    journal = reopened(path)
    keep(journal, (call(0), ANSWER))
    journal.announce([call(1), call(2)])
    journal.close()
    for expected in (2, 0):
        journal = reopened(path)
        assert journal.interrupted == expected
        journal.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT sample, error FROM errors JOIN calls USING (id)").fetchall() == [
            (1, "interrupted before its answer was kept"),
            (2, "interrupted before its answer was kept"),
        ]
    db.close()


def test_what_is_read_back_is_enough_to_replay(path: Path) -> None:
    journal = reopened(path)
    keep(journal, (call(3), ANSWER))
    journal.close()
    (record,) = read_journal(path)
    assert record[:3] == ("c1", "rm_r1", (1, 0))
    assert record.request == call(3).request
    assert record.completion == ANSWER


def test_a_journal_can_be_read_where_nothing_can_be_written(path: Path) -> None:
    journal = reopened(path)
    keep(journal, (call(), ANSWER))
    journal.close()
    path.chmod(0o400)
    before = sorted(os.listdir(path.parent))
    assert len(list(read_journal(path))) == 1
    assert sorted(os.listdir(path.parent)) == before


FOREIGN = {
    "text": (b"precious rows\n" * 100, "is not a journal and stays as it is"),
    "another database": (None, "not a journal of this version"),
    "half a header": (b"SQLite format 3\0", "cannot be read as a journal"),
}


@pytest.mark.parametrize(("content", "message"), FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_named_and_stays(path: Path, content: bytes | None, message: str) -> None:
    if content is None:
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE t (x)")
        db.close()
        content = path.read_bytes()
    else:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        open_journal(path)
    with pytest.raises(BadInput):
        list(read_journal(path))
    assert path.read_bytes() == content


def test_a_missing_folder_and_a_folder_are_named(tmp_path: Path) -> None:
    for place in (tmp_path / "gone" / "j", tmp_path):
        with pytest.raises(BadInput, match="a file in a folder that exists"):
            open_journal(place)
    with pytest.raises(BadInput, match="no such journal"):
        list(read_journal(tmp_path / "gone"))


def damage(path: Path, column: str, value: bytes) -> None:
    with sqlite3.connect(path) as db:
        table = "answers" if column == "answer" else "calls"
        db.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE id = 1", (value,))
    db.close()


@pytest.mark.parametrize("value", [b'{"text": "cut', b'{"text": "\xff"}', b"[]", b""])
def test_a_damaged_answer_is_named_and_asked_again(path: Path, value: bytes) -> None:
    journal = reopened(path)
    keep(journal, (call(0), ANSWER), (call(1), ANSWER))
    journal.close()
    damage(path, "answer", value)
    with pytest.raises(BadInput, match=r"row 1 \(case 'c1'\) is damaged"):
        list(read_journal(path))
    journal = reopened(path)
    assert list(journal.lookup([call(0).key, call(1).key])) == [call(1).key]
    assert len(journal.notes) == 1
    assert "case 'c1' sample 0: damaged" in journal.notes[0]
    keep(journal, (call(0), ANSWER))
    journal.close()
    assert len(list(read_journal(path))) == 2


def test_a_damaged_file_is_named(path: Path) -> None:
    journal = reopened(path)
    keep(journal, *((call(i), Completion("x" * 500)) for i in range(500)))
    journal.close()
    content = bytearray(path.read_bytes())
    content[8192:] = b"\x55" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(BadInput, match="damaged"):
        list(read_journal(path))
    with pytest.raises(BadInput, match="damaged"):
        open_journal(path)


def test_the_log_does_not_grow_with_a_run_that_never_pauses(path: Path) -> None:
    journal = reopened(path)
    for start in range(0, 4 * CHECKPOINT, 40):
        keep(journal, *((call(i, prefill="x" * 200), ANSWER) for i in range(start, start + 40)))
        time.sleep(0.0005)  # less than the journal's thread waits for
    log = path.with_name(f"{path.name}-wal").stat().st_size
    journal.close()
    assert log < path.stat().st_size / 2


def test_an_answer_to_a_call_that_was_sent_twice_is_kept_once(path: Path) -> None:
    journal = reopened(path)
    journal.announce([call(0)])
    keep(journal, (call(0), ANSWER))
    journal.record([call(0)], [Completion("second")])
    journal.close()
    assert [record.completion for record in read_journal(path)] == [ANSWER]


def test_a_link_to_a_journal_is_the_journal(path: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    link = tmp_path / "other" / "link"
    link.symlink_to(path)
    journal = reopened(path)
    keep(journal, (call(0), ANSWER))
    time.sleep(WINDOW + 0.2)
    assert len(list(read_journal(link))) == 1
    with pytest.raises(BadInput, match="another run"):
        open_journal(link)
    journal.close()


def test_a_full_disk_ends_the_run_with_the_file_named(path: Path) -> None:
    journal = reopened(path)
    journal._db.execute("PRAGMA max_page_count = 8")
    for calls in ([call(i, prefill="x" * 4000) for i in range(40)], [call()]):
        with pytest.raises(ThinkscoreError, match=r"cannot write the journal .*full"):
            journal.announce(calls)
    with pytest.raises(Exception, match="full"):
        journal.close()


HOLD = """
    import sys, time
    from thinkscore.journal import open_journal
    journal = open_journal(sys.argv[1])
    print("open", flush=True)
    time.sleep(60)
"""


def test_one_process_at_a_time_and_a_kill_frees_it(path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(HOLD), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": str(SRC)}) as other:
        assert other.stdout is not None and other.stdout.readline() == b"open\n"
        with pytest.raises(BadInput, match="another run is writing this journal"):
            open_journal(path)
        other.send_signal(signal.SIGKILL)
    open_journal(path).close()


def test_one_judge_at_a_time_in_one_process(path: Path) -> None:
    journal = open_journal(path)
    with pytest.raises(BadInput, match="another run"):
        open_journal(path)
    journal.close()
    journal.close()  # twice is fine
    open_journal(path).close()


def test_without_a_file_nothing_is_kept() -> None:
    journal = open_journal(None)
    journal.announce([call()])
    journal.record([call()], [ANSWER])
    assert journal.lookup([call().key]) == {}
    journal.close()


def test_journals_are_told_from_rows(path: Path) -> None:
    open_journal(path).close()
    assert is_journal(path)
    path.write_text("{}")
    assert not is_journal(path)


def test_the_manifest_says_what_ran(path: Path) -> None:
    manifest = write_manifest(path, {"seed": 3})
    assert manifest == path.with_name("run.journal.manifest.json")
    written = msgspec.json.decode(manifest.read_bytes())
    assert written["seed"] == 3
    assert set(written["versions"]) == {"python", "platform", "thinkscore", "numpy", "msgspec"}
    assert "commit" in written

"""Data in and out by command: forms of rows, bad rows, dry runs, exports, rescoring, differences."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CODE = "from thinkscore.cli import main; main()"


def thinkscore(*arguments: object, cwd: Path, check: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, input=stdin, check=False)
    assert done.returncode == check, done.stderr
    return done


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with lab cases and a run over them, by an engine that lets the first place win."""
    folder = tmp_path_factory.mktemp("run")
    thinkscore("lab", "make", "--seed", 5, "--n", 20, "--out", "cases.jsonl", cwd=folder)
    how = ["--protocol", "rm_r1", "--engine", "scripted:", "--strategy", "vote:k=2", "--seed", 4]
    thinkscore("judge", "cases.jsonl", *how, "--journal", "run.journal", "--out", "rows.jsonl", cwd=folder)
    return folder


PAIRS = [{"prompt": f"{i} + 1?", "chosen": str(i + 1), "rejected": "<think>hm</think>0"} for i in range(4)]
JUDGE = ["--protocol", "rm_r1", "--engine", "scripted:", "--json"]


def test_other_forms_are_judged_and_bad_rows_counted(tmp_path: Path) -> None:
    text = "".join(json.dumps(row) + "\n" for row in PAIRS) + "broken\n"
    (tmp_path / "pairs.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    refused = thinkscore("judge", "pairs.jsonl.gz", *JUDGE, cwd=tmp_path, check=2)
    assert "pairs.jsonl.gz:5: JSON is malformed" in refused.stderr
    done = thinkscore("judge", "pairs.jsonl.gz", *JUDGE, "--skip-bad", cwd=tmp_path)
    assert "bad rows left out: 1; the first:" in done.stderr
    assert (result(done)["cases"], result(done)["skipped"]) == (4, 1)
    assert result(done)["tally"]["n"] == 4


def test_standard_input_can_be_judged(tmp_path: Path) -> None:
    text = "".join(json.dumps(row) + "\n" for row in PAIRS)
    done = thinkscore("judge", "-", *JUDGE, "--format", "trl", "--thoughts", "strip", cwd=tmp_path, stdin=text)
    assert result(done)["cases"] == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--format", "trll"], "Did you mean trl?"), (["--thoughts", "some"], "--thoughts is keep or strip; got 'some'")],
)
def test_bad_options_are_named(tmp_path: Path, options: list[str], said: str) -> None:
    (tmp_path / "pairs.jsonl").write_text(json.dumps(PAIRS[0]))
    assert said in thinkscore("judge", "pairs.jsonl", *JUDGE, *options, cwd=tmp_path, check=2).stderr


def test_a_dry_run_counts_and_makes_nothing(run: Path, tmp_path: Path) -> None:
    how = ["--protocol", "rm_r1", "--strategy", "vote:k=3", "--seed", 4, "--dry-run", "--json"]
    new = thinkscore("judge", run / "cases.jsonl", *how, "--engine", "http://127.0.0.1:9/v1?model=x", cwd=tmp_path)
    assert (result(new)["calls"], result(new)["recorded"]) == (60, 0)
    journal = ["--engine", "scripted:", "--journal", run / "run.journal"]
    more = thinkscore("judge", run / "cases.jsonl", *how, *journal, cwd=tmp_path)
    assert (result(more)["calls"], result(more)["recorded"]) == (20, 40)
    assert list(tmp_path.iterdir()) == []


def test_pairs_that_were_exported_are_judged_like_their_cases(run: Path, tmp_path: Path) -> None:
    how = ["--to", "trl-pairs", "--by", "gold", "--cases", run / "cases.jsonl", "--out", "pairs.jsonl", "--json"]
    done = thinkscore("export", run / "run.journal", *how, cwd=tmp_path)
    assert result(done) == {"written": 20, "left_out": {}, "out": "pairs.jsonl"}
    judged = thinkscore("judge", "pairs.jsonl", "--protocol", "rm_r1", "--engine", "oracle:", "--json", cwd=tmp_path)
    assert result(judged)["tally"]["right"] == 20


def test_rows_and_journal_export_the_same_traces(run: Path, tmp_path: Path) -> None:
    cases = ["--to", "sft", "--cases", run / "cases.jsonl", "--json"]
    of_journal = thinkscore("export", run / "run.journal", *cases, "--out", "a.jsonl", cwd=tmp_path)
    how = ["--protocol", "rm_r1", "--out", "b.jsonl"]
    of_rows = thinkscore("export", run / "rows.jsonl", *cases, *how, cwd=tmp_path)
    assert result(of_journal)["written"] == result(of_rows)["written"] == 20
    assert result(of_rows)["left_out"] == {"verdict against gold": 20}
    assert sorted(map(str, rows(tmp_path / "a.jsonl"))) == sorted(map(str, rows(tmp_path / "b.jsonl")))


def test_calls_are_exported_to_standard_output(run: Path, tmp_path: Path) -> None:
    done = thinkscore("export", run / "run.journal", "--to", "jsonl", "--out", "-", cwd=tmp_path)
    calls = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(calls) == 40
    assert {"case_id", "messages", "text", "order", "sampling", "seed", "usage"} <= set(calls[0])
    assert "40 rows" in done.stderr


MISSING = [
    (["run.journal", "--to", "sft"], "sft needs the case file; add --cases FILE"),
    (["run.journal", "--to", "trl-pairs", "--cases", "gone.jsonl"], "cannot read gone.jsonl"),
    (["rows.jsonl", "--to", "jsonl"], "the calls of output rows, which hold no prompts, needs the case file"),
    (["rows.jsonl", "--to", "sft", "--cases", "cases.jsonl"], "do not name their protocol; add --protocol"),
    (["rows.jsonl", "--to", "csv"], "--to is one of jsonl, parquet, trl-pairs, sft"),
    (["cases.jsonl", "--to", "trl-pairs", "--cases", "cases.jsonl"], "is no output row; give what judge --out wrote"),
]


@pytest.mark.parametrize(("arguments", "said"), MISSING)
def test_what_an_export_needs_is_said(run: Path, arguments: list[str], said: str) -> None:
    done = thinkscore("export", *arguments, "--out", run / "never", cwd=run, check=2)
    assert said in done.stderr
    assert not (run / "never").exists()


def test_a_run_can_be_rescored_and_compared(run: Path, tmp_path: Path) -> None:
    how = ["--cases", run / "cases.jsonl", "--json"]
    again = thinkscore("rescore", run / "run.journal", *how, "--out", "again.jsonl", cwd=tmp_path)
    assert result(again)["rescored"] == {"verdicts": 40, "changed": 0, "by_kind": {}}
    assert [row["winner"] for row in rows(tmp_path / "again.jsonl")] == [
        row["winner"] for row in rows(run / "rows.jsonl")
    ]
    other = [*how, "--strategy", "vote:k=1", "--out", "one.jsonl"]
    thinkscore("rescore", run / "run.journal", *other, cwd=tmp_path)
    done = thinkscore("diff", run / "rows.jsonl", "one.jsonl", "--json", cwd=tmp_path)
    compared = result(done)
    assert compared["winners_changed"] == 20  # two votes for the first place of both orders are a tie
    assert compared["usage"]["second"]["calls"] == 20
    assert "20 winners changed, 0 failures appeared, 0 gone" in done.stderr
    assert "... and 10 more" in done.stderr
    same = thinkscore("diff", run / "rows.jsonl", run / "run.journal", *how, cwd=tmp_path)
    assert result(same)["changed"] == []


def test_a_journal_of_another_protocol_is_named(run: Path, tmp_path: Path) -> None:
    how = ["--cases", run / "cases.jsonl", "--protocol", "rrm"]
    done = thinkscore("rescore", run / "run.journal", *how, cwd=tmp_path, check=2)
    assert "holds no completion for these cases in rrm" in done.stderr
    compared = thinkscore("diff", run / "run.journal", run / "rows.jsonl", cwd=tmp_path, check=2)
    assert "is a journal, which holds no candidates; add --cases FILE" in compared.stderr


def test_packed_rows_are_shown(run: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress((run / "rows.jsonl").read_bytes()))
    done = thinkscore("show", "rows.jsonl.gz", "--cases", run / "cases.jsonl", cwd=tmp_path)
    assert "<answer>[[A]]</answer>" in done.stdout

"""The commands as a person types them: results, messages, exit codes, second runs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def thinkscore(*arguments, cwd, check=None):
    command = [sys.executable, "-W", "error", "-c", "from thinkscore.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    if check is not None:
        assert done.returncode == check, done.stderr
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    thinkscore("lab", "make", "--seed", 5, "--n", 40, "--out", "cases.jsonl", cwd=folder, check=0)
    return folder / "cases.jsonl"


@pytest.fixture
def cases(tmp_path, made):
    return Path(shutil.copy(made, tmp_path))


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lab_make_writes_the_same_cases_for_the_same_seed(tmp_path, cases):
    again = thinkscore("lab", "make", "--seed", 5, "--n", 40, "--out", "-", cwd=tmp_path, check=0)
    assert again.stdout == cases.read_text()
    assert {"id", "prompt", "candidates", "gold", "tags"} <= set(rows(cases)[0])


@pytest.mark.parametrize("protocol", ["rm_r1", "rrm", "deepseek_grm", "verdict_only"])
def test_the_oracle_is_right_in_every_protocol(tmp_path, cases, protocol):
    options = ["--protocol", protocol, "--engine", "oracle:", "--strategy", "vote:k=2", "--out", "rows.jsonl", "--json"]
    done = thinkscore("judge", cases, *options, cwd=tmp_path, check=0)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["tally"]["right"] == result["tally"]["n"] == 40
    assert [row["id"] for row in rows(tmp_path / "rows.jsonl")] == [row["id"] for row in rows(cases)]
    assert all(row["correct"] for row in rows(tmp_path / "rows.jsonl"))


def test_a_second_run_reads_the_journal_and_writes_the_same_rows(tmp_path, cases):
    options = ["--protocol", "rm_r1", "--strategy", "vote:k=2", "--journal", "run.journal", "--seed", 3, "--limit", 12]
    thinkscore("judge", cases, *options, "--out", "first.jsonl", cwd=tmp_path, check=0)
    thinkscore("judge", cases, *options, "--out", "second.jsonl", cwd=tmp_path, check=0)
    assert (tmp_path / "first.jsonl").read_bytes() == (tmp_path / "second.jsonl").read_bytes()
    manifest = json.loads((tmp_path / "run.journal.manifest.json").read_text())
    assert manifest["seed"] == 3
    assert manifest["protocol"] == "rm_r1"


def test_a_journal_replays_to_the_same_judgments(tmp_path, cases):
    options = ["--protocol", "rm_r1", "--strategy", "vote:k=2", "--limit", 12]
    thinkscore("judge", cases, *options, "--journal", "run.journal", "--out", "live.jsonl", cwd=tmp_path, check=0)
    thinkscore(
        "judge", cases, *options, "--engine", "replay:run.journal", "--out", "again.jsonl", cwd=tmp_path, check=0
    )
    live, again = rows(tmp_path / "live.jsonl"), rows(tmp_path / "again.jsonl")
    assert [row["winner"] for row in live] == [row["winner"] for row in again]


def test_show_prints_case_votes_and_trace(tmp_path, cases):
    thinkscore(
        "judge", cases, "--protocol", "rm_r1", "--engine", "oracle:", "--out", "rows.jsonl", cwd=tmp_path, check=0
    )
    wanted = rows(cases)[3]
    done = thinkscore("show", "rows.jsonl", "--cases", cases, "--id", wanted["id"], cwd=tmp_path, check=0)
    assert wanted["id"] in done.stdout
    assert "<answer>" in done.stdout
    assert "judged best" in done.stdout
    missing = thinkscore("show", "rows.jsonl", "--id", "nobody", cwd=tmp_path, check=2)
    assert "nobody" in missing.stderr


def test_free_text_is_refused_by_the_embedded_judge_in_plain_words(tmp_path):
    case = {"id": "x", "prompt": "Who wrote Faust?", "candidates": ["Goethe", "Schiller"], "gold": [1, 0]}
    (tmp_path / "free.jsonl").write_text(json.dumps(case) + "\n")
    options = ["--protocol", "rm_r1", "--out", "rows.jsonl"]
    thinkscore("judge", "free.jsonl", *options, cwd=tmp_path, check=1)
    row = rows(tmp_path / "rows.jsonl")[0]
    assert row["winner"] is None
    assert row["scores"] is None
    assert row["failure"]["kind"] == "engine_error"
    assert "point --engine at a model" in row["verdicts"][0]["failure"]["detail"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["judge", "missing.jsonl", "--protocol", "rm_r1"], "missing.jsonl"),
        (["judge", "cases.jsonl", "--protocol", "rm_r2"], "rm_r1"),
        (["judge", "cases.jsonl", "--protocol", "rm_r1", "--engine", "nowhere:"], "embedded"),
        (["judge", "cases.jsonl", "--protocol", "rm_r1", "--engine", "embedded:nowhere"], "nowhere"),
        (["judge", "cases.jsonl", "--protocol", "rm_r1", "--engine", "replay:nowhere.jsonl"], "nowhere.jsonl"),
        (["judge", "cases.jsonl", "--protocol", "rm_r1", "--strategy", "vote:n=2"], "k"),
        (["judge", "cases.jsonl", "--protocol", "rm_r1", "--guard", "some"], "escape or none"),
        (["judge", "cases.jsonl"], "--protocol"),
        (["lab", "make", "--split", "valid", "--out", "x.jsonl"], "train, dev, test, ood"),
        (["lab", "make", "--candidates", "40", "--out", "x.jsonl"], "1 to 32"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(tmp_path, cases, arguments, said):
    done = thinkscore(*arguments, cwd=tmp_path, check=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_rows_are_named_before_any_call_is_made(tmp_path, cases):
    with cases.open("a") as file:
        file.write('{"id": "half", "prompt": "x", "candidates": \n')
    options = ["--protocol", "rm_r1", "--journal", "run.journal", "--out", "rows.jsonl"]
    done = thinkscore("judge", cases, *options, cwd=tmp_path, check=2)
    assert ":41:" in done.stderr
    assert not (tmp_path / "rows.jsonl").exists()
    assert not (tmp_path / "run.journal").exists()

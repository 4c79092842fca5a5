"""Servers on the command line: the mistakes of a first day, one message and exit code each; budgets; checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from thinkscore.doubles.server import Server, serve_in_thread

CASES = [
    {"id": f"c{i}", "prompt": f"Which is better, {i}?", "candidates": ["one way", "another way"], "gold": 0, "tags": {}}
    for i in range(30)
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve_in_thread() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in CASES))
    (tmp_path / "one.jsonl").write_text(json.dumps({"prompt": "Which?", "candidates": ["only one"]}) + "\n")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "prices.json").write_text('{"judge": {"prompt": 1.0, "completion": 2.0}}')
    return tmp_path


def thinkscore(*arguments: object, cwd: Path, code: int) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("API_KEY")}
    command = [sys.executable, "-W", "error", "-m", "thinkscore", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def judge(uri: str, *more: object, cwd: Path, code: int = 2, cases: str = "cases.jsonl") -> str:
    done = thinkscore("judge", cases, "--protocol", "rm_r1", "--engine", uri, *more, cwd=cwd, code=code)
    return done.stderr if code == 2 else done.stdout


def test_cases_are_judged_by_a_server_and_a_second_run_asks_nothing(folder: Path, server: Server) -> None:
    options = ["--strategy", "vote:k=4", "--journal", "run.journal", "--json"]
    judge(server.uri, *options, "--out", "a.jsonl", cwd=folder, code=0)
    asked = sum(record.attempts for record in server.requests.values())
    judge(server.uri, *options, "--out", "b.jsonl", cwd=folder, code=0)
    assert sum(record.attempts for record in server.requests.values()) == asked
    assert (folder / "a.jsonl").read_bytes() == (folder / "b.jsonl").read_bytes()


def test_a_wrong_address(folder: Path) -> None:
    assert "no server answers at http://127.0.0.1:9/v1" in judge("http://127.0.0.1:9/v1", cwd=folder)


def test_a_wrong_model(folder: Path, server: Server) -> None:
    assert "has no model 'gpt-9'; it serves judge" in judge(server.url + "?model=gpt-9", cwd=folder)


def test_no_key(folder: Path) -> None:
    with serve_in_thread(api_key="k") as guarded:
        assert "put it in the environment as THINKSCORE_API_KEY" in judge(guarded.url, cwd=folder)
        assert "the environment has no MY_API_KEY" in judge(guarded.url + "?key=MY_API_KEY", cwd=folder)


def test_a_server_that_answers_with_a_web_page(folder: Path) -> None:
    with serve_in_thread(html=True) as page:
        assert "HTML page" in judge(page.url, cwd=folder)


def test_a_prompt_that_is_too_long(folder: Path) -> None:
    with serve_in_thread(max_model_len=50) as small:
        said = judge(small.uri, "--json", cwd=folder, code=1)
    result = json.loads(said.splitlines()[-1])
    assert result["failures"] == {"too_long": len(CASES)}
    assert result["tally"]["errored"] == len(CASES)


def test_a_row_with_one_candidate(folder: Path, server: Server) -> None:
    said = judge(server.uri, "--json", cwd=folder, code=1, cases="one.jsonl")
    assert json.loads(said.splitlines()[-1])["failures"] == {"wrong_arity": 1}


def test_an_empty_file(folder: Path, server: Server) -> None:
    assert "empty.jsonl: holds no rows" in judge(server.uri, cwd=folder, cases="empty.jsonl")


def test_a_budget_of_tokens_and_of_money(folder: Path, server: Server) -> None:
    limits = ["--max-tokens", 100, "--max-cost", "0.01", "--prices", "prices.json"]
    result = json.loads(judge(server.uri, *limits, "--json", cwd=folder, code=1).splitlines()[-1])
    assert 0 < result["usage"]["cost"] <= 0.01
    assert 0 < result["failures"]["engine_error"] < len(CASES)
    assert "give a price file" in judge(server.uri, "--max-cost", "1", cwd=folder)
    assert "got 0" in judge(server.uri, "--max-total-tokens", 0, cwd=folder)
    assert "--too-long is fail or middle; got 'cut'" in judge(server.uri, "--too-long", "cut", cwd=folder)


def test_an_engine_is_checked(folder: Path, server: Server) -> None:
    found = json.loads(thinkscore("engines", "check", server.uri, "--json", cwd=folder, code=0).stdout)
    assert (found["identity"], found["generates"], found["values"]) == ("http:judge", "yes", "yes")
    assert "no server answers" in thinkscore("engines", "check", "http://127.0.0.1:9/v1", cwd=folder, code=2).stderr
    listed = thinkscore("engines", "list", cwd=folder, code=0).stdout
    assert {"embedded", "hf", "http", "replay", "scripted"} <= {line.split()[0] for line in listed.splitlines()}


def test_an_input_is_never_replaced_by_an_output(folder: Path, server: Server) -> None:
    before = (folder / "cases.jsonl").read_bytes()
    for flag in ("--out", "--journal"):
        assert "cases.jsonl is an input of this run" in judge(server.uri, flag, "cases.jsonl", cwd=folder)
    assert "same.x is an input of this run" in judge(server.uri, "--journal", "same.x", "--out", "same.x", cwd=folder)
    assert (folder / "cases.jsonl").read_bytes() == before


def test_the_reason_of_failures_and_what_was_cut_are_told(folder: Path) -> None:
    with serve_in_thread(faults="400=1") as bad:
        assert "engine_error, mostly: HTTP 400" in judge(bad.uri, "--limit", 3, cwd=folder, code=1)
    row = {"prompt": "Which?", "candidates": ["many words " * 4000, "few"], "gold": 0}
    (folder / "long.jsonl").write_text(json.dumps(row) + "\n")
    with serve_in_thread(max_model_len=1500) as small:
        options = ["--too-long", "middle", "--out", "rows.jsonl"]
        said = judge(small.uri, *options, cwd=folder, code=0, cases="long.jsonl")
    assert "1 cases were too long and lost their middles" in said
    assert json.loads((folder / "rows.jsonl").read_text())["verdicts"][0]["cut"] > 10_000

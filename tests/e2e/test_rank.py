"""`thinkscore rank` as a person types it: figures, rows, limits, messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def thinkscore(*arguments: object, cwd: Path, check: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", "from thinkscore.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == check, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rank")
    thinkscore("lab", "make", "--seed", 5, "--n", 12, "--candidates", 6, "--out", "cases.jsonl", cwd=place)
    return place


def ranked(folder: Path, *options: object) -> dict[str, Any]:
    done = thinkscore("rank", "cases.jsonl", *options, "--engine", "oracle:", "--json", cwd=folder)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize("strategy", ["knockout:r=3", "double_elim", "round_robin:rating=elo"])
def test_the_oracle_finds_the_best(folder: Path, strategy: str) -> None:
    result = ranked(folder, "--protocol", "rm_r1", "--strategy", strategy)
    assert {"cases", "tally", "by", "failures", "usage", "seconds", "manifest", "skipped", "rank"} <= set(result)
    rank = result["rank"]
    assert (rank["n"], rank["top1"], rank["regret"], rank["failures"]) == (12, 1.0, 0.0, 0)
    assert rank["comparisons"] > 4
    assert result["tally"]["right"] == 12


def test_a_best_of_three_knockout_is_the_default_and_rows_are_those_of_judge(folder: Path) -> None:
    ranked(folder, "--protocol", "rm_r1", "--out", "ranked.jsonl", "--journal", "j")
    options = ["--protocol", "rm_r1", "--engine", "oracle:", "--strategy", "knockout:r=3", "--out", "judged.jsonl"]
    thinkscore("judge", "cases.jsonl", *options, cwd=folder)
    assert (folder / "ranked.jsonl").read_bytes() == (folder / "judged.jsonl").read_bytes()
    row = json.loads((folder / "ranked.jsonl").read_text().splitlines()[0])
    assert {"comparisons", "undecided"} <= set(row["notes"])
    assert len(row["scores"]) == 6
    manifest = json.loads((folder / "j.manifest.json").read_text())
    assert manifest["strategy"] == "knockout:r=3"


def test_lists_for_a_judge_with_scores(folder: Path) -> None:
    rank = ranked(folder, "--protocol", "deepseek_grm", "--strategy", "listwise")["rank"]
    assert (rank["top1"], rank["comparisons"], rank["cyclic_triads"]) == (1.0, 1.0, None)


def test_a_limit_of_calls_is_kept(folder: Path) -> None:
    options = ["--protocol", "rm_r1", "--max-calls-per-case", 5]
    rank = ranked(folder, *options)["rank"]
    assert rank["comparisons"] <= 5
    planned = thinkscore("rank", "cases.jsonl", *options, "--engine", "oracle:", "--dry-run", cwd=folder).stdout
    assert "calls             60" in planned


def test_figures_are_written_for_people(folder: Path) -> None:
    said = thinkscore("rank", "cases.jsonl", "--protocol", "rm_r1", "--engine", "oracle:", cwd=folder).stdout
    assert "best candidate found  100.0 % (76-100)" in said
    assert "in the unit of gold" in said
    assert "comparisons" in said


def test_bad_options_are_refused(folder: Path) -> None:
    options = ["--protocol", "rm_r1", "--engine", "oracle:"]
    done = thinkscore("rank", "cases.jsonl", *options, "--strategy", "knockout:k=3", cwd=folder, check=2)
    assert "knockout accepts (with defaults) r=3" in done.stderr
    thinkscore("rank", "cases.jsonl", *options, "--max-calls-per-case", 0, cwd=folder, check=2)
    lists = thinkscore("rank", "cases.jsonl", *options, "--strategy", "listwise", cwd=folder, check=1)
    assert "rm_r1 judges exactly 2 candidates at a time" in lists.stdout


def test_a_run_with_a_limit_per_case_is_read_again_as_it_was(folder: Path) -> None:
    options = ["--protocol", "rm_r1", "--max-calls-per-case", 4, "--max-failures", 1]
    ranked(folder, *options, "--out", "few.jsonl", "--journal", "few.journal")
    thinkscore("rescore", "few.journal", "--cases", "cases.jsonl", "--out", "again.jsonl", cwd=folder)
    few, again = (
        [json.loads(line) for line in (folder / name).read_text().splitlines()] for name in ("few.jsonl", "again.jsonl")
    )
    assert [row["scores"] for row in again] == [row["scores"] for row in few]
    assert {len(row["verdicts"]) for row in again} == {4}

"""Rows of a run with anchors are read by everything that reads rows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
HOW = ("--protocol", "rm_r1", "--engine", "oracle:", "--strategy", "anchored:anchors=3,slope=2")


def thinkscore(*arguments, cwd, code=0):
    command = [sys.executable, "-W", "error", "-c", "from thinkscore.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, env={"PYTHONPATH": str(SRC), "PATH": ""}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stderr
    return done


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Judge eight lab cases of two candidates against four anchors each."""
    folder = tmp_path_factory.mktemp("anchored")
    thinkscore("lab", "make", "--seed", 6, "--n", 8, "--candidates", 6, "--out", "all.jsonl", cwd=folder)
    with open(folder / "cases.jsonl", "w") as cases, open(folder / "anchors.jsonl", "w") as anchors:
        for row in rows(folder / "all.jsonl"):
            texts, gold = row["candidates"], row["gold"]
            cases.write(json.dumps(row | {"candidates": texts[:2], "gold": gold[:2], "reference": texts[-1]}) + "\n")
            anchors.write(json.dumps({"prompt": row["prompt"], "candidates": texts[2:], "gold": gold[2:]}) + "\n")
    options = ("--anchors", "anchors.jsonl", "--journal", "journal", "--out", "rows.jsonl", "--json")
    done = thinkscore("judge", "cases.jsonl", *HOW, *options, cwd=folder)
    (folder / "summary.json").write_text(done.stdout.splitlines()[-1])
    return folder


def test_a_row_holds_scores_errors_and_the_gold_of_its_anchors(folder):
    for row, anchors in zip(rows(folder / "rows.jsonl"), rows(folder / "anchors.jsonl"), strict=True):
        assert len(row["scores"]) == len(row["standard_errors"]) == len(row["gold"]) == 2
        assert row["anchors"] == list(dict(zip(anchors["candidates"], anchors["gold"], strict=True)).values())
        assert all(min(vote["order"]) < 2 <= max(vote["order"]) for vote in row["verdicts"])
        assert len(row["verdicts"]) == 12
    assert json.loads((folder / "summary.json").read_text())["tally"]["n"] == 8


def test_a_dry_run_counts_the_comparisons(folder):
    done = thinkscore("judge", "cases.jsonl", *HOW, "--anchors", "anchors.jsonl", "--dry-run", "--json", cwd=folder)
    assert json.loads(done.stdout.splitlines()[-1])["calls"] == 8 * 12


def test_rows_are_shown_and_reported(folder):
    shown = thinkscore("show", "rows.jsonl", "--cases", "cases.jsonl", cwd=folder).stdout
    assert "candidate 1" in shown and "scores" in shown
    thinkscore("report", "rows.jsonl", "--cases", "cases.jsonl", "--out", "report.html", cwd=folder)
    assert "lab-test-6-7" in (folder / "report.html").read_text()


def test_the_journal_is_read_again_with_the_same_anchors(folder):
    options = ("--cases", "cases.jsonl", "--anchors", "anchors.jsonl", "--out", "again.jsonl")
    done = thinkscore("rescore", "journal", *options, cwd=folder)
    assert "0 of" in done.stdout and "read differently" in done.stdout
    scores = [[row["scores"] for row in rows(folder / name)] for name in ("rows.jsonl", "again.jsonl")]
    assert scores[0] == scores[1]


def test_scores_are_calibrated(folder):
    thinkscore("calibrate", "rows.jsonl", "--out", "map.json", "--test", "rows.jsonl", cwd=folder)
    options = ("--anchors", "anchors.jsonl", "--calibration", "map.json", "--out", "calibrated.jsonl")
    thinkscore("judge", "cases.jsonl", *HOW, *options, cwd=folder)
    points = json.loads((folder / "map.json").read_text())
    for raw, row in zip(rows(folder / "rows.jsonl"), rows(folder / "calibrated.jsonl"), strict=True):
        assert (row["winner"], row["verdicts"]) == (raw["winner"], raw["verdicts"])
        assert all(min(points["gold"]) <= score <= max(points["gold"]) for score in row["scores"])


def test_a_reference_is_an_anchor(folder):
    options = ("--anchors", "reference", "--out", "reference.jsonl", "--max-failures", 1)  # the oracle calls no ties
    thinkscore("judge", "cases.jsonl", *HOW, *options, cwd=folder)
    assert all(row["anchors"] == [None] and len(row["verdicts"]) == 4 for row in rows(folder / "reference.jsonl"))


def test_what_is_missing_is_named(folder):
    done = thinkscore("judge", "cases.jsonl", *HOW, "--anchors", "gone.jsonl", cwd=folder, code=2)
    assert "gone.jsonl" in done.stderr and len(done.stderr.splitlines()) == 1
    (folder / "bad.json").write_text("{}")
    done = thinkscore("judge", "cases.jsonl", *HOW, "--calibration", "bad.json", cwd=folder, code=2)
    assert "thinkscore calibrate" in done.stderr

"""`thinkscore report` as a person types it: from cases to a page, and one message for what cannot be used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def thinkscore(folder: Path, *arguments: str, check: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", "from thinkscore.cli import main; main()", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == check, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    thinkscore(folder, "lab", "make", "--seed", "5", "--split", "ood", "--n", "12", "--out", "cases.jsonl")
    options = ["--protocol", "rm_r1", "--engine", "oracle:", "--strategy", "vote:k=2", "--out", "rows.jsonl"]
    thinkscore(folder, "judge", "cases.jsonl", *options)
    return folder


def test_a_run_becomes_a_page_with_cases_and_labels(folder: Path) -> None:
    ids = [json.loads(line)["id"] for line in (folder / "cases.jsonl").read_text().splitlines()]
    labels = [f"{name},{case},{i % 2}\n" for i, case in enumerate(ids) for name in ("ann", "bob")]
    (folder / "labels.csv").write_text("annotator,id,label\n" + "".join(labels))
    done = thinkscore(
        folder, "report", "rows.jsonl", "--cases", "cases.jsonl", "--labels", "labels.csv", "--browse", "5"
    )
    assert done.stdout.startswith("report: report.html (12 cases, 5 of them in full, ")
    page = (folder / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.count('<details class="case"') == 5
    assert "12 labelled cases; 2 annotators" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cases.jsonl"], "judge --out"),
        (["rows.jsonl", "--cases", "rows.jsonl"], "rows.jsonl"),
        (["rows.jsonl", "--label-kind", "sides"], "winner, score or category"),
        (["rows.jsonl", "--labels", "cases.jsonl"], "annotator"),
        (["rows.jsonl", "--cases", "cases.jsonl", "--label-tags", "family"], "--label-kind winner"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(folder: Path, arguments: list[str], said: str) -> None:
    assert said in thinkscore(folder, "report", *arguments, check=2).stderr

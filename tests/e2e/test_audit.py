"""`thinkscore audit`: card, journal, resume, compare, recorded verdicts, and rows with grounding."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CODE = "import sys; from thinkscore.cli import main\ntry: main()\nfinally: assert 'torch' not in sys.modules"


def run(*arguments: object, cwd: Path, check: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == check, done.stderr
    return done


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    probes = [part for name in ("rerun", "position", "length", "quotes", "implied") for part in ("--only", name)]
    how = ["--protocol", "rm_r1", *probes, "--limit", 60, "--json"]
    for name, judge in (("good", "clean"), ("bad", "length")):
        done = run("audit", *how, "--engine", f"planted:{judge}", "--out", name, cwd=folder)
        (folder / f"{name}.json").write_text(done.stdout)
    return folder


def test_a_card_has_figures_for_machines_and_for_people(audited: Path) -> None:
    card = json.loads((audited / "bad.json").read_text())
    assert card == json.loads((audited / "bad" / "audit.json").read_text())
    probe = card["probes"]["length"]
    assert probe["status"] == "fail" and probe["value"] > 0.3 and probe["n"] == 60 and probe["threshold"] == 0.03
    assert probe["interval"][0] < probe["value"] < probe["interval"][1]
    assert set(card["probes"]) == {"rerun", "position", "length", "quotes", "implied"}
    page = (audited / "bad" / "card.html").read_text()
    assert "<mark>" in page and "is not moved by length" in page and "<script" not in page
    table = (audited / "bad" / "card.md").read_text()
    assert "| robust | **fail** | is not moved by length |" in table


def test_the_same_command_goes_on_from_its_journal_and_other_audits_do_not_use_it(audited: Path) -> None:
    journal = audited / "good" / "audit.journal"
    before = journal.stat().st_size
    how = ["--protocol", "rm_r1", "--engine", "planted:clean", "--only", "rerun", "--limit", 60, "--out", "good"]
    run("audit", *how, cwd=audited)
    assert journal.stat().st_size == before, "nothing was asked anew"


def test_two_audits_stand_side_by_side(audited: Path) -> None:
    done = run("audit", "compare", "bad", "bad/audit.json", "--json", cwd=audited)
    assert all(not row["apart"] for row in json.loads(done.stdout).values())
    run("audit", "compare", "bad", cwd=audited, check=2)
    assert "is no audit" in run("audit", "compare", "bad", "bad.json.not", cwd=audited, check=2).stderr


def test_the_cost_comes_first_and_nonsense_is_refused(tmp_path: Path) -> None:
    done = run("audit", "--protocol", "rm_r1", "--engine", "embedded", "--dry-run", "--json", cwd=tmp_path)
    plan = json.loads(done.stdout)
    assert plan["cases"] == 100 and plan["calls"] > 5000 and "calls" in done.stderr
    assert not list(tmp_path.iterdir()), "nothing was written"
    how = ["--protocol", "rm_r1", "--engine", "planted:clean"]
    assert "quick or full" in run("audit", *how, "--profile", "huge", cwd=tmp_path, check=2).stderr
    assert "no probe is called" in run("audit", *how, "--only", "lenght", cwd=tmp_path, check=2).stderr
    (tmp_path / "few.jsonl").write_text('{"prompt": "?", "candidates": ["a", "b"]}\n')
    assert "got 1 pairs" in run("audit", "few.jsonl", *how, cwd=tmp_path, check=2).stderr


def test_verdicts_that_are_there_are_audited_without_a_judge(tmp_path: Path) -> None:
    run("lab", "make", "--split", "test", "--n", 60, "--seed", 5, "--out", "pairs.jsonl", cwd=tmp_path)
    how = ["--protocol", "rm_r1", "--engine", "planted:position", "--strategy", "vote:k=4"]
    run("judge", "pairs.jsonl", *how, "--out", "rows.jsonl", "--ground", cwd=tmp_path)
    row = json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[0])
    found = row["verdicts"][0]["grounding"]
    assert found["implied"] is True and found["quotes"]["fails"] == 0 and found["faults"] == []
    card = json.loads(run("audit", "--recorded", "rows.jsonl", "--json", cwd=tmp_path).stdout)
    assert set(card["probes"]) == {"rerun", "position", "calibration"}
    assert card["probes"]["position"]["status"] == "fail"
    assert card["probes"]["rerun"]["value"] == 1.0
    (tmp_path / "mixed.jsonl").write_text(
        (tmp_path / "rows.jsonl").read_text() + '{"id": "x", "verdicts": [{"order": [0, 1, 2], "winner": 2}]}\n'
    )
    mixed = json.loads(run("audit", "--recorded", "mixed.jsonl", "--json", cwd=tmp_path).stdout)
    assert mixed["cases"] == card["cases"] == 60 and "1 rows are not about pairs" in mixed["why"]
    assert "give --out" in run("judge", "pairs.jsonl", *how, "--ground", cwd=tmp_path, check=2).stderr

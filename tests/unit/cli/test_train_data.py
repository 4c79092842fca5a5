"""`train data`: a folder from files, the report on the screen and as one object, and no torch for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CODE = "import sys; from thinkscore.cli import main\ntry: main()\nfinally: assert 'torch' not in sys.modules"


def run(*arguments: object, cwd: Path, check: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", CODE, "train", "data", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == check, done.stderr
    return done


def test_files_become_a_folder(tmp_path: Path) -> None:
    rows = [{"prompt": f"{i} + 1?", "chosen": f"{i + 1}", "rejected": "0", "source": "abc"[i % 3]} for i in range(60)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    (tmp_path / "bench.txt").write_text("7 + 1?\n")
    how = ["pairs.jsonl", "--rules", "rm_r1", "--exclude", "c", "--held-out", 4, "--decontaminate", "bench.txt"]
    done = run(*how, "--out", "out", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["settings"]["exclude"] == ["magpie_ultra", "c"]
    assert found["dropped"] == {"duplicate": 1, "excluded source": 20, "in a benchmark": 1}
    assert found["written"] == {"distill": 4, "rl": 31, "held_out": 4}
    assert "dropped: 1 in a benchmark" in done.stderr
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "distill.jsonl",
        "held_out.jsonl",
        "report.json",
        "rl.jsonl",
    ]
    again = run(*how, "--out", "out", cwd=tmp_path)
    assert "pairs/c 20 0 0 0 20" in " ".join(again.stdout.split())
    assert again.stdout.endswith("out: was there already, nothing changed\n")
    assert "made with other settings" in run(*how, "--out", "out", "--seed", 1, cwd=tmp_path, check=2).stderr


def test_unknown_rules_and_orders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "1?", "chosen": "1", "rejected": "0"}\n')
    refused = run("pairs.jsonl", "--out", "out", "--rules", "rrm", cwd=tmp_path, check=2)
    assert "--rules is none or one of rm_r1; got 'rrm'" in refused.stderr
    refused = run("pairs.jsonl", "--out", "out", "--orders", "both", cwd=tmp_path, check=2)
    assert "--orders is balanced, alternate or as_is" in refused.stderr

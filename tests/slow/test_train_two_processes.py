"""Training in two processes on the CPU (gloo): the same command under a launcher, the same result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from safetensors.numpy import load_file

from thinkscore.data import case_row, write_rows
from thinkscore.engines.embedded import PACKAGED
from thinkscore.lab import world
from thinkscore.train import _lab_rows

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LAUNCHERS = {
    "torchrun": ["-m", "torch.distributed.run", "--nproc_per_node", "2"],
    "accelerate": ["-m", "accelerate.commands.launch", "--config_file", str(ROOT / "configs/cpu_2.yaml")],
}
CLOSE = 1e-6
"""Of a weight: sums over two halves of a batch may round otherwise."""


def launched(launcher: str | None, *command: str | Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, *LAUNCHERS.get(launcher or "", []), "-m", "thinkscore", "train", *map(str, command)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-4000:]
    return done.stdout


def log(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("traces") / "traces.jsonl"
    with write_rows(file) as write:
        for row in _lab_rows.traces(0, 64):
            write(msgspec.to_builtins(row))
    return file


@pytest.fixture(scope="module")
def alone(traces: Path) -> Path:
    out = traces.parent / "alone"
    distilled(None, traces, out)
    return out


def distilled(launcher: str | None, traces: Path, out: Path) -> None:
    how = ["--batch-size", "16", "--micro-batch", "8", "--lr", "1e-3", "--threads", "1"]
    launched(launcher, "distill", "--traces", traces, "--model", PACKAGED, "--out", out, *how)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_distil_what_one_does(launcher: str, traces: Path, alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "two"
    distilled(launcher, traces, out)
    before, one, two = (load_file(folder / "model.safetensors") for folder in (PACKAGED, alone, out))
    assert max(abs(one[name] - before[name]).max() for name in one) > 100 * CLOSE, "nothing was learned"
    assert max(abs(one[name] - two[name]).max() for name in one) < CLOSE
    assert [row["num_tokens"] for row in log(out)[:-1]] == [row["num_tokens"] for row in log(alone)[:-1]]
    assert not (out / "trainer").exists()


def test_two_processes_share_the_rollouts(tmp_path: Path) -> None:
    cases, out = tmp_path / "cases.jsonl", tmp_path / "rl"
    with write_rows(cases) as write:
        for seed in range(16):
            write(case_row(world.make_case(seed, "train", 0, 2)))
    how = ["--preset", "lab", "--prompts", "4", "--group", "4", "--batch-size", "16", "--micro-batch", "8",
           "--steps", "2", "--rounds", "0", "--rollouts", "transformers", "--threads", "1"]  # fmt: skip
    launched("torchrun", "rl", cases, "--model", PACKAGED, "--out", out, *how)
    rows = log(out)
    assert rows[-1]["step"] == 2
    assert rows[0]["judge/first_place"] == pytest.approx(0.5, abs=0.2), "balanced over both processes"
    assert rows[1]["num_tokens"] > rows[0]["num_tokens"] > 0
    assert (out / "model.safetensors").is_file()

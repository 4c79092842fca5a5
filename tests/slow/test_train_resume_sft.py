"""A training that is killed between two saves and resumed ends with the weights of one that was never killed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thinkscore.train import lab_judge

pytestmark = pytest.mark.slow

SRC = Path(__file__).parents[2] / "src"
SAVES = 6
TINY = lab_judge.Recipe(
    seed=3, threads=1, documents=40, hidden=32, layers=1, heads=2, feed_forward=48, batch_tokens=1024
)

RUN = f"""
import sys
from pathlib import Path
from thinkscore.train import _lab_rows, distill
from thinkscore.train._run import Settings
model, out, mode = sys.argv[1:]
settings = Settings(learning_rate=5e-3, batch_size=4, epochs=3, schedule="cosine", warmup=0.1, seed=7, threads=1,
                    save_steps={SAVES}, progress=False)
how = {{"muon_lr": 0.02, "batch_tokens": 300}} if mode == "muon" else {{}}
distill.distill(model, list(_lab_rows.traces(8, 60)), Path(out), settings, **how)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    out = tmp_path_factory.mktemp("base")
    lab_judge.pretrain(out, TINY)
    return out


def start(base: Path, out: Path, mode: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(SRC), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", RUN, str(base), str(out), mode]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said.decode()


def kill_between_saves(process: subprocess.Popen[bytes], out: Path, step: int) -> None:
    """Wait until a checkpoint is whole and more updates were made, then kill."""
    state = out / "trainer" / f"checkpoint-{step}" / "trainer_state.json"
    while not state.exists():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def weights(out: Path) -> str:
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize("mode", ["adamw", "muon"])
def test_a_killed_training_ends_with_the_same_weights(base, tmp_path, mode):
    finish(start(base, tmp_path / "whole", mode))
    out = tmp_path / "killed"
    kill_between_saves(start(base, out, mode), out, 2 * SAVES)
    assert not (out / "log.jsonl").exists()
    # What a kill in the middle of a save leaves behind is not taken for a checkpoint.
    (out / "trainer" / "checkpoint-999").mkdir()
    finish(start(base, out, mode))
    assert weights(out) == weights(tmp_path / "whole")
    assert weights(out) != weights(base)
    assert not (out / "trainer").exists()

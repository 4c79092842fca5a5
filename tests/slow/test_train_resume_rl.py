"""Kill reinforcement learning between saves: the same command goes on and ends with the same weights."""

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

RUN = """
import sys
from pathlib import Path
from thinkscore.lab import world
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.train._run import Settings
from thinkscore.train.rl import Rl, train_rl
settings = Settings(learning_rate=1e-3, batch_size=8, micro_batch=4, steps=24, seed=1, threads=1, save_steps=3,
                    schedule="linear", final=0.1, warmup=2, lora=int(sys.argv[4]), progress=False)
plan = Rl(prompts=4, group=4, max_tokens=24, rounds=1, rollouts=sys.argv[3])
cases = [world.make_case(2, "train", i) for i in range(30)]
train_rl(sys.argv[1], cases, RmR1(), Path(sys.argv[2]), settings, plan)
"""


def start(base: Path, out: Path, rollouts: str, lora: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", RUN, str(base), str(out), rollouts, str(lora)]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, start_new_session=True)


def weights(out: Path) -> str:
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(("rollouts", "lora"), [("decoder", 0), ("transformers", 0), ("transformers", 4)])
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(tmp_path, rollouts, lora):
    base = tmp_path / "base"
    lab_judge.pretrain(
        base, lab_judge.Recipe(seed=1, threads=1, documents=30, hidden=32, layers=1, heads=2, feed_forward=48)
    )
    assert start(base, tmp_path / "whole", rollouts, lora).wait() == 0
    killed = tmp_path / "killed"
    for checkpoint in ("checkpoint-4", "checkpoint-8"):  # saves fall on the ends of rollouts: every 4 updates
        process = start(base, killed, rollouts, lora)
        while not (killed / "trainer" / checkpoint / "trainer_state.json").is_file():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.02)
        time.sleep(0.2)  # into the next updates, far from the last
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (killed / "log.jsonl").exists()
    assert start(base, killed, rollouts, lora).wait() == 0
    assert weights(killed) == weights(tmp_path / "whole")

"""Worker processes come and go with their parent, whatever its script looks like and however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[3] / "src"

SCRIPT = """\
import asyncio, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell starts in the background
from thinkscore.engines.embedded import Embedded
from thinkscore.types import Case, Message, Prompt, Sampling

turns = (Message("user", "the sum is one"),)
sampling = [Sampling(max_tokens=9 + i) for i in range(4)]  # unlike ones share no group: there is work for two workers
prompts = [Prompt(Case(str(i), turns, ("A",)), "test", turns, (0,), sampling=sampling[i]) for i in range(4)]
async def run():
    engine = Embedded(sys.argv[1])
    await engine.open()
    print(len(await engine.generate(prompts)), flush=True)
    %s
asyncio.run(run())
"""


def script(folder: Path, path: Path, then: str = "") -> subprocess.Popen[str]:
    """Run the engine in a script without a main guard and without a close."""
    path.write_text(SCRIPT % then)
    env = {**os.environ, "PYTHONPATH": str(SOURCES), "THINKSCORE_WORKERS": "2"}
    command = [sys.executable, "-W", "error", str(path), str(folder)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(pid: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 20 seconds")


def test_a_script_without_main_guard_or_close_ends_cleanly(folder: Path, tmp_path: Path) -> None:
    out, err = script(folder, tmp_path / "script.py").communicate(timeout=30)
    assert (out, err) == ("4\n", "")


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(folder: Path, tmp_path: Path, kill: signal.Signals) -> None:
    parent = script(folder, tmp_path / "script.py", "await asyncio.sleep(60)")
    assert parent.stdout is not None and parent.stdout.readline() == "4\n"
    workers = children(parent.pid)
    assert len(workers) == 2
    parent.send_signal(kill)
    parent.communicate(timeout=30)
    wait_until(lambda: not any(map(running, workers)))

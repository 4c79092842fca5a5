"""A real third-party server over the packaged judge: vLLM on the CPU, started for the tests and stopped after them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest

from thinkscore.engines.embedded import PACKAGED

PYTHON = Path(os.environ.get("PEER_PYTHON", Path(__file__).parents[2] / ".venv-peer/bin/python"))
NAME, KEY = "packaged-judge", "a-key-of-the-test"
START, LIFE = 600, 3600
"""Seconds until it must be ready, and after which it ends whatever happens to the tests."""
# Chunked prefill is off because the CPU build cannot read a prompt in two pieces when the request has a seed
# ("CPU Generator does not use offset"): its engine dies, and takes all requests with it.
FLAGS = {
    "--dtype": "float32",
    "--max-num-seqs": "64",
    "--max-num-batched-tokens": "8192",
    "--max-logprobs": "20",
}
SWITCHES = ("--enforce-eager", "--no-enable-chunked-prefill")
SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


class Server(NamedTuple):
    """Where it listens, what it calls the model, and the key that it wants."""

    url: str
    model: str
    key: str


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not PYTHON.is_file():
        pytest.fail(f"{PYTHON} does not exist; `make test-peer` makes it")
    folder, port = tmp_path_factory.mktemp("vllm"), free_port()
    command = ["timeout", "--kill-after=10", str(LIFE), str(PYTHON), "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(PACKAGED), "--served-model-name", NAME, "--api-key", KEY]
    command += ["--host", "127.0.0.1", "--port", str(port), *chain(*FLAGS.items()), *SWITCHES]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}/health", folder / "log")
        yield Server(f"http://127.0.0.1:{port}/v1", NAME, KEY)
    finally:
        stop(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(folder: Path) -> Mapping[str, str]:
    """Nothing of ours reaches its interpreter, and what it keeps goes into the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VLLM_"))}
    return {**kept, **SETTINGS, "VLLM_CACHE_ROOT": str(folder / "cache"), "VLLM_CONFIG_ROOT": str(folder / "config")}


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + START
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.5)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
    pytest.fail(f"the server was not ready in {START} s (exit status {process.poll()}); the end of its log:\n{tail}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it with all its workers: `timeout` leads a process group of its own."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

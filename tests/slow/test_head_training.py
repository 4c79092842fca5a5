"""Scalar heads: killed between saves and resumed they are the same, they learn what they are shown, adapters merge."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from thinkscore.cli._app import app
from thinkscore.engines.hf import Hf
from thinkscore.lab import world
from thinkscore.train import _head, scalar
from thinkscore.types import Message

from ..unit.train.tiny import SETTINGS, save_base, values_of

pytestmark = pytest.mark.slow

SRC = Path(__file__).parents[2] / "src"
CASES = list(world.make(3, "train", 40))
HELD = list(world.make(4, "test", 20))
TALKS = [(*case.messages, Message("assistant", reply)) for case in HELD for reply in case.candidates]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, cases, and a journal of traces on them."""
    path = tmp_path_factory.mktemp("heads")
    save_base(path / "base")
    app(f"lab make --split train --n 40 --out {path}/cases.jsonl".split(), standalone_mode=False)
    judged = f"judge {path}/cases.jsonl --protocol rm_r1 --engine teacher --strategy vote:k=4 --journal {path}/journal"
    app(judged.split(), standalone_mode=False)
    return path


def command(folder: Path, out: Path, recipe: str) -> list[str]:
    rows = {
        "meta": "journal --cases cases.jsonl --held-out 0.3 --balanced",
        "scalar": "cases.jsonl --held-out cases.jsonl",
    }
    more = "--model base --lr 1e-2 --batch-size 8 --micro-batch 4 --epochs 8 --schedule cosine --threads 1"
    optimizer = "" if recipe == "meta" else "--muon-lr 0.01 --keep-best"
    arguments = f"train {recipe} {rows[recipe]} {more} {optimizer} --save-steps 7 --out {out}".split()
    return [sys.executable, "-m", "thinkscore", *arguments]


def result(out: Path) -> tuple[str, list[dict[str, float]]]:
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    measured = [row for row in rows if any(name.startswith("held_out") for name in row)]
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest(), measured


def started(folder: Path, out: Path, recipe: str, processes: int) -> list[subprocess.Popen[bytes]]:
    """Start what a launcher would: each process is ours to kill."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1", "PATH": ""}
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    ranks = [{"RANK": str(k), "LOCAL_RANK": str(k), **shared} if processes > 1 else {} for k in range(processes)]
    words, quiet = command(folder, out, recipe), subprocess.DEVNULL
    return [subprocess.Popen(words, cwd=folder, env=common | rank, stdout=quiet, stderr=quiet) for rank in ranks]


@pytest.mark.parametrize(("recipe", "processes", "saves"), [("scalar", 1, (7, 28)), ("meta", 1, (7, 28)),
                                                            ("scalar", 2, (7,))])  # fmt: skip
def test_a_killed_training_goes_on_to_the_same_weights(
    folder: Path, tmp_path: Path, recipe: str, processes: int, saves: tuple[int, ...]
) -> None:
    """The saves are within an epoch, whose order must be met again."""
    assert [process.wait() for process in started(folder, tmp_path / "whole", recipe, processes)] == [0] * processes
    out = tmp_path / "killed"
    for saved in saves:
        running = started(folder, out, recipe, processes)
        deadline = time.monotonic() + 120
        while not (out / f"trainer/checkpoint-{saved}/trainer_state.json").is_file():  # its last file
            assert {process.poll() for process in running} == {None}
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(0.03)  # somewhere between two saves
        for process in running:
            process.kill()
        for process in running:
            process.wait()
        assert not (out / "log.jsonl").exists()
    assert [process.wait() for process in started(folder, out, recipe, processes)] == [0] * processes
    assert result(out) == result(tmp_path / "whole")
    assert not (out / "trainer").exists()


def test_training_prefers_what_it_was_shown(folder: Path, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SETTINGS, learning_rate=1e-2, batch_size=8, steps=40)
    rows = scalar.train_scalar(folder / "base", CASES[:8], tmp_path / "out", settings, held_out=CASES[:8])
    assert rows[-1]["held_out_accuracy"] == 1


def test_the_best_epoch_is_kept_if_wanted(folder: Path, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SETTINGS, learning_rate=3e-2, batch_size=8, epochs=6)
    rows = scalar.train_scalar(folder / "base", CASES, tmp_path / "out", settings, scalar.Options(keep_best=True), HELD)
    reached = [row["held_out_accuracy"] for row in rows]
    assert reached[-1] < max(reached)
    values = iter(values_of(Hf(str(tmp_path / "out")), TALKS))
    right = 0
    for case in HELD:
        row = [next(values) for _ in case.candidates]
        assert case.gold is not None
        right += row.index(max(row)) == case.gold.index(max(case.gold))  # type: ignore[type-var]
    assert right / len(HELD) == pytest.approx(max(reached))


def test_an_adapter_is_merged_with_its_head(folder: Path, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SETTINGS, learning_rate=1e-2, batch_size=8, lora=4, steps=40)
    rows = scalar.train_scalar(folder / "base", CASES[:8], tmp_path / "out", settings, held_out=CASES[:8])
    assert rows[-1]["held_out_accuracy"] > 0.8
    reader = _head.Reader(tmp_path / "out")
    settings = msgspec.structs.replace(SETTINGS, lora=0)
    network = _head.load_head(tmp_path / "out", settings)
    own = _head.values(network, [reader.ids(talk) for talk in TALKS], reader.tokenizer.pad_token_id)  # type: ignore[misc]
    assert values_of(Hf(str(tmp_path / "out")), TALKS) == pytest.approx(own, abs=1e-5)

"""Scalar heads: killed between saves and resumed they are the same, they learn what they are shown, adapters merge."""

from __future__ import annotations

import hashlib
import json
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
    return [sys.executable, "-c", "from thinkscore.cli import main; main()", *arguments]


def result(out: Path) -> tuple[str, list[dict[str, float]]]:
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    measured = [row for row in rows if any(name.startswith("held_out") for name in row)]
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest(), measured


@pytest.mark.parametrize("recipe", ["scalar", "meta"])
def test_a_killed_training_goes_on_to_the_same_weights(folder: Path, tmp_path: Path, recipe: str) -> None:
    env = {"PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1", "PATH": ""}
    started = {"cwd": folder, "env": env, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command(folder, tmp_path / "whole", recipe), check=True, **started)  # type: ignore[call-overload]
    out = tmp_path / "killed"
    for saved in (7, 28):
        with subprocess.Popen(command(folder, out, recipe), **started) as process:  # type: ignore[call-overload]
            deadline = time.monotonic() + 120
            while not (out / f"trainer/checkpoint-{saved}").is_dir():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.005)
            time.sleep(0.03)  # somewhere between two saves
            process.kill()
        assert not (out / "log.jsonl").exists()
    subprocess.run(command(folder, out, recipe), check=True, **started)  # type: ignore[call-overload]
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

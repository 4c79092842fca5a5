"""The commands that learn from traces: one command from a preference file to a judge that runs, and once is enough."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from thinkscore.errors import BadInput
from thinkscore.journal import read_journal
from thinkscore.lab import world
from thinkscore.train import _lab_rows, lab_judge
from thinkscore.train._run import Settings
from thinkscore.train._synthesis import Synthesis
from thinkscore.train.rft import rft
from thinkscore.types import Sampling

pytestmark = pytest.mark.slow

SRC = Path(__file__).parents[2] / "src"
LOOP = ["--batch-size", "4", "--lr", "5e-3", "--threads", "1", "--schedule", "constant"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    out = tmp_path_factory.mktemp("base")
    recipe = lab_judge.Recipe(
        seed=3, threads=1, documents=40, hidden=32, layers=1, heads=2, feed_forward=48, batch_tokens=1024
    )
    lab_judge.pretrain(out, recipe)
    return out


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A preference file in TRL's form: the better reply is always the first."""
    rows = [
        {"prompt": case.messages[0].content, "chosen": case.candidates[best], "rejected": case.candidates[1 - best]}
        for case in world.make(3, "train", 24)
        for best in [case.gold.index(max(case.gold))]
        if case.gold[0] != case.gold[1]
    ]
    file = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def thinkscore(*command: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SRC), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "thinkscore", *map(str, command)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_one_command_makes_a_judge_of_a_preference_file_and_a_model(base, pairs, tmp_path):
    out = tmp_path / "judge"
    command = ["train", "distill", pairs, "--model", base, "--teacher", "oracle:", "--out", out, *LOOP]
    done = thinkscore(*command)
    assert done.returncode == 0, done.stderr
    assert "kept 24 traces: 24 zero_shot" in done.stderr
    assert "trained on 24 traces, 6 updates" in done.stdout
    rows = [json.loads(line) for line in (out / "traces.jsonl").read_text().splitlines()]
    assert {tuple(row["order"]) for row in rows} == {(0, 1), (1, 0)}
    assert len(list(read_journal(out / "teacher.journal"))) == 24
    again = thinkscore(*command)
    assert "it was done before" in again.stdout
    judged = thinkscore("judge", pairs, "--protocol", "rm_r1", "--engine", f"hf:{out}", "--max-tokens", 8, "--limit", 2,
                        "--max-failures", 1)  # fmt: skip
    assert judged.returncode == 0, judged.stderr

    given = ["train", "distill", "--traces", out / "traces.jsonl", "--model", base, "--out", tmp_path / "given", *LOOP]
    assert "trained on 24 traces" in thinkscore(*given).stdout
    assert (tmp_path / "given" / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()

    sided = ["train", "distill", pairs, "--model", base, "--teacher", "labels", "--out", tmp_path / "sided"]
    refused = thinkscore(*sided, "--orders", "as_is")
    assert refused.returncode == 2
    assert "in all 24 cases the best candidate is number 1" in refused.stderr


def test_traces_can_be_made_first_and_trained_on_later(base, pairs, tmp_path):
    command = ["train", "distill", pairs, "--model", base, "--teacher", "labels", "--protocol", "verdict_only",
               "--out", tmp_path / "out", *LOOP]  # fmt: skip
    assert not (thinkscore(*command, "--only-traces").stdout.count("trained"))
    assert (tmp_path / "out" / "traces.jsonl").exists()
    assert not (tmp_path / "out" / "model.safetensors").exists()
    assert "trained on 24 traces" in thinkscore(*command).stdout


def test_a_base_without_a_chat_template_is_refused_before_anything_is_asked(base, pairs, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in base.iterdir():
        if file.is_file() and file.name != "chat_template.jinja":
            text = file.read_bytes()
            (bare / file.name).write_bytes(text)
    out = tmp_path / "out"
    done = thinkscore("train", "distill", pairs, "--model", bare, "--teacher", "oracle:", "--out", out, *LOOP)
    assert done.returncode == 2
    assert "has no chat template" in done.stderr
    assert not out.exists()


SETTINGS = Settings(learning_rate=5e-3, batch_size=4, save_steps=0, threads=1, progress=False)
GENERAL = list(_lab_rows.traces(9, 3))


def test_rounds_learn_from_the_generator_then_from_the_model_itself_and_are_not_done_twice(base, tmp_path):
    cases = list(world.make(4, "train", 10, 2))
    how = Synthesis(
        method="rejection",
        teacher="oracle:",
        samples=2,
        hinted=False,
        drop_easy=False,
        sampling=Sampling(max_tokens=90),
    )
    told: list[str] = []

    def run(out, rounds):
        more = {"protocol": "verdict_only", "general": GENERAL, "rounds": rounds, "sampler": "hf?batch=8"}
        return rft(base, cases, out, SETTINGS, how, tell=told.append, muon_lr=0.02, **more)

    ((report, done),) = run(tmp_path / "one", 1)
    assert (report.samples, report.kept, done.rows) == (20, {"sampled": 20}, 23)
    try:
        results = run(tmp_path / "two", 2)
    except BadInput as error:  # a model that learned for six updates may get nothing right
        assert "no trace was kept" in str(error)
    else:
        assert [report.samples for report, _ in results] == [20, 20]
    first = tmp_path / "two" / "round-1"
    assert (first / "model.safetensors").read_bytes() == (tmp_path / "one" / "model.safetensors").read_bytes()
    assert any(line == f"round 2 of 2: samples by hf:{first}?batch=8" for line in told)
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    calls = len(list(read_journal(tmp_path / "two" / "teacher.journal")))
    assert calls == 20
    if (tmp_path / "two" / "log.jsonl").exists():
        assert run(tmp_path / "two", 2)[1][1].seconds == 0
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp

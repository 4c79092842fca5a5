"""The commands that learn from traces: what a preset brings along, what is told, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from thinkscore.cli.train import train
from thinkscore.data import case_row, write_rows
from thinkscore.engines.embedded import PACKAGED
from thinkscore.errors import BadInput
from thinkscore.lab import world

Run = Callable[..., Result]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    with write_rows(tmp_path / "pairs.jsonl") as write:
        for i in range(8):
            write(case_row(world.make_case(3, "train", i)))
    return tmp_path / "pairs.jsonl"


@pytest.fixture
def run(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("THINKSCORE_CACHE", str(tmp_path / "cache"))  # where no template was imported

    def invoke(recipe: str, *flags: str) -> Result:
        words = [recipe, str(pairs), "--model", str(PACKAGED), "--out", str(tmp_path / "out"), *flags]
        return CliRunner().invoke(train, words)

    return invoke


@pytest.mark.parametrize(("recipe", "preset"), [("distill", "rm_r1_7b"), ("rft", "grm_27b")])
def test_a_preset_brings_its_protocol_and_template(run: Run, recipe: str, preset: str, tmp_path: Path) -> None:
    done = run(recipe, "--preset", preset)
    assert isinstance(done.exception, BadInput)
    wanted = {"rm_r1_7b": "rm_r1_instruct", "grm_27b": "deepseek_grm_default"}[preset]
    assert f"run: thinkscore templates import {wanted}" in str(done.exception)
    assert "--template own" in str(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "protocol"),
    [
        (("--preset", "rm_r1_7b", "--template", "own"), "rm_r1"),
        (("--preset", "rm_r1_7b", "--protocol", "verdict_only"), "verdict_only"),
        ((), "rm_r1"),
    ],
    ids=["the preset's", "given", "none"],
)
def test_what_is_given_wins_and_our_own_wording_is_the_default(
    run: Run, flags: tuple[str, ...], protocol: str, tmp_path: Path
) -> None:
    done = run("distill", "--teacher", "labels", "--only-traces", "--orders", "as_is", *flags)
    assert done.exit_code == 0, done.exception
    kept = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert (kept["protocol"]["id"], kept["protocol"]["template"]) == (protocol, None)
    assert kept["synthesis"]["orders"] == "as_is"


def test_who_draws_the_samples_is_told_where_a_generator_is_published(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")  # stops before the training
    said = "the published samples are by DeepSeek-V2.5-0905; without --generator URI the model draws its own"
    own = run("rft", "--preset", "grm_27b", "--template", "own")
    assert said in own.stderr
    assert said not in run("rft", "--preset", "grm_27b", "--template", "own", "--generator", "oracle:").stderr
    assert said not in run("rft", "--preset", "lab", "--template", "own").stderr
    assert "only_traces" not in str(own.exception) and isinstance(own.exception, BadInput)


@pytest.mark.parametrize("recipe", ["distill", "rft", "rl", "scalar"])
def test_a_folder_that_cannot_be_is_told(run: Run, recipe: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "deeper"):
        done = run(recipe, "--out", str(out))
        assert isinstance(done.exception, BadInput)
        assert f"--out {out}: {tmp_path / 'file'} is a file; give a folder" in str(done.exception)


def test_a_wording_without_scores_is_noted_where_the_faithful_reward_needs_them(run: Run) -> None:
    done = run("rl", "--faithful", "--lr", "1e-5", "--prompts", "1000")
    assert "asks for no scores" in done.stderr and "own:scored, or --lenient" in done.stderr
    assert "asks for no scores" not in run("rl", "--faithful", "--lenient", "--prompts", "1000").stderr


def test_a_loss_that_is_unknown_is_told_those_that_are(run: Run) -> None:
    assert "--loss is one of grpo, bnpo, dapo, dr_grpo" in str(run("rl", "--loss", "grpoo").exception)


def test_the_name_of_an_order_is_the_same_everywhere(run: Run) -> None:
    for recipe in ("distill", "rft"):
        with pytest.raises(BadInput, match="--orders is balanced or as_is; got 'file'"):
            raise run(recipe, "--orders", "file").exception or AssertionError

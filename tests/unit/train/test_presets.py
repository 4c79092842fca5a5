"""The presets: complete, sourced, and with the published numbers."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from thinkscore import plugins
from thinkscore.cli.train import train
from thinkscore.errors import BadInput
from thinkscore.protocols._base import Protocol
from thinkscore.train._presets import LOOP, RL, STAGES, preset, presets

NAMES = ["rm_r1_7b", "rm_r1_14b", "rm_r1_32b", "rrm_7b", "rrm_32b", "grm_16b", "grm_27b", "lab"]


def test_every_model_of_the_papers_is_there() -> None:
    assert list(presets()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_value_says_how_it_is_known(name: str) -> None:
    shown = preset(name)
    for part in (shown.model, *shown.stages.values()):
        for value in part.values():
            assert value.source
            assert (value.standing == "unknown") == (value.source == "nowhere stated")
            assert (value.standing == "ours") == (name == "lab")


@pytest.mark.parametrize("name", NAMES)
def test_the_way_to_ask_and_read_exists(name: str) -> None:
    model = preset(name).model
    protocol = plugins.load("protocols", model["protocol"].value, Protocol)
    assert model["parser"].value in protocol.parsers


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_is_complete(name: str) -> None:
    for stage in preset(name).stages:
        values = preset(name).values(stage)
        assert {"learning_rate", "batch_size", "micro_batch"} <= set(values)
        assert "steps" in values or "epochs" in values
        assert stage in STAGES


@pytest.mark.parametrize("name", NAMES)
def test_the_values_suit_the_recipes(name: str) -> None:
    from thinkscore.train._run import Settings
    from thinkscore.train.rl import Rl

    assert set(LOOP) <= set(Settings.__struct_fields__)
    assert set(RL) <= set(Rl.__struct_fields__)
    loop, rl = preset(name).rl()
    rounds = Rl(**rl).updates(Settings(**loop))
    values = preset(name).values("rl")
    assert rounds == values["batch_size"] // values["mini_batch"]


# From the papers' own tables, by hand.
SPOTS = {
    ("rm_r1_7b", "distill"): {"learning_rate": 5e-6, "batch_size": 128, "max_length": 12288, "header_loss": True},
    ("rm_r1_14b", "distill"): {"learning_rate": 3e-6},
    ("rm_r1_32b", "distill"): {"learning_rate": 2e-6},
    ("rm_r1_7b", "rl"): {"learning_rate": 1e-6, "micro_batch": 4, "save_steps": 100},
    ("rm_r1_14b", "rl"): {"learning_rate": 7e-7, "gpus": 16},
    ("rm_r1_32b", "rl"): {"learning_rate": 5e-7, "batch_size": 1024, "mini_batch": 128, "group": 7, "beta": 1e-3,
                          "clip_low": 0.2, "max_prompt": 4096, "max_tokens": 8192, "temperature": 1.0, "gpus": 32,
                          "loss": "grpo", "rows": 64226},
    ("rrm_32b", "rl"): {"learning_rate": 1e-6, "group": 16, "temperature": 0.8, "steps": 440},
    ("grm_27b", "rft"): {"learning_rate": 5e-6, "batch_size": 1024, "steps": 900, "samples": 3},
    ("grm_27b", "rl"): {"learning_rate": 4e-7, "beta": 0.08, "group": 4, "steps": 900},
    ("grm_16b", "rl"): {"beta": 0.002},
    ("grm_27b", "meta"): {"learning_rate": 1e-5, "batch_size": 512},
    ("lab", "meta"): {"learning_rate": 1e-3, "muon_lr": 0.01, "batch_size": 32, "epochs": 2, "drop": True},
    ("lab", "rl"): {"learning_rate": 3e-4, "batch_size": 64, "group": 8, "betas": (0.9, 0.99), "beta": 0.02,
                    "max_tokens": 160, "final": 0.1},
}  # fmt: skip


@pytest.mark.parametrize(
    ("where", "expected"), SPOTS.items(), ids=lambda x: "-".join(x) if isinstance(x, tuple) else ""
)
def test_published_numbers(where: tuple[str, str], expected: dict[str, object]) -> None:
    name, stage = where
    values = preset(name).values(stage)
    assert {key: values[key] for key in expected} == expected


def test_the_unknown_is_said() -> None:
    notes = preset("rrm_32b").notes("rl")
    assert notes[0].startswith("rrm_32b, rl: unknown, our defaults are used: batch_size 128; mini_batch 64;")
    assert any("inferred from the name of the 32B run" in note and "temperature 0.8" in note for note in notes)
    assert not any("learning_rate" in note for note in preset("rm_r1_32b").notes("rl"))


def test_what_was_published_and_is_not_done_here_is_said() -> None:
    assert preset("rm_r1_7b").notes("distill")[-1] == "rm_r1_7b, distill: not done here: packing True"
    for name, stage in (("rm_r1_7b", "rl"), ("grm_27b", "rft"), ("lab", "distill")):
        assert not any("not done here" in note for note in preset(name).notes(stage))


def test_completions_and_updates_are_counted_for_the_trainer() -> None:
    loop, rl = preset("rm_r1_32b").rl()
    assert (rl["prompts"], loop["batch_size"], loop["save_steps"]) == (1024, 128 * 7, 45 * 8)


def test_names_that_are_not_there() -> None:
    with pytest.raises(BadInput, match="did you mean rm_r1_32b"):
        preset("rmr1_32b")
    with pytest.raises(BadInput, match="has no stage 'rft'; it has distill, rl"):
        preset("rm_r1_7b").stage("rft")


def test_the_command_prints_values_with_their_sources() -> None:
    shown = CliRunner().invoke(train, ["presets", "rm_r1_32b"])
    assert shown.exit_code == 0
    (line,) = [
        line for line in shown.output.splitlines() if line.strip().startswith("learning_rate") and "5e-07" in line
    ]
    assert "published" in line and "appendix E" in line
    listed = CliRunner().invoke(train, ["presets", "--json"])
    assert [one["name"] for one in json.loads(listed.output)] == NAMES

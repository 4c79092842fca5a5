"""The training options of every recipe: flags over defaults, and what is missing or does not go together."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from thinkscore.cli.train._settings import Given, Model, Out, settings_of, with_settings
from thinkscore.errors import BadInput

DEFAULTS = {"learning_rate": 1e-5, "batch_size": 8, "steps": 900, "schedule": "cosine", "final": 0.1, "bf16": True}


def test_flags_reach_a_command_as_what_was_given():
    app, seen = typer.Typer(), []

    @app.command()
    @with_settings
    def recipe(model: Model, out: Out, given: Given, extra: int = 3) -> None:
        seen.append((model, str(out), dict(given), extra))

    command = ["--model", "m", "--out", "o", "--lr", "0.1", "--no-bf16", "--report-to", "wandb", "--report-to", "x"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert seen == [("m", "o", {"learning_rate": 0.1, "bf16": False, "report_to": ["wandb", "x"]}, 3)]


def test_flags_win_over_defaults_and_take_along_what_belongs_to_them():
    kept = settings_of({}, DEFAULTS)
    assert (kept.learning_rate, kept.steps, kept.final, kept.bf16) == (1e-5, 900, 0.1, True)
    made = settings_of({"epochs": 2.0, "schedule": "constant", "bf16": False, "report_to": ["wandb"]}, DEFAULTS)
    assert (made.epochs, made.steps, made.schedule, made.final, made.bf16) == (2.0, -1, "constant", 0.0, False)
    assert made.report_to == ("wandb",)


def test_no_epochs_at_all_are_refused():
    with pytest.raises(BadInput, match=r"--epochs 0 would train on nothing"):
        settings_of({"epochs": 0.0}, DEFAULTS)


@pytest.mark.parametrize(("name", "flag"), [("learning_rate", "--lr"), ("batch_size", "--batch-size")])
def test_what_no_recipe_can_do_without_is_asked_for(name, flag):
    with pytest.raises(BadInput, match=f"no default for {flag}"):
        settings_of({}, {key: value for key, value in DEFAULTS.items() if key != name})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"learning_rate": -1.0}, "a learning rate is 0 or more; got -1"),
        ({"schedule": "cosin"}, "the schedule is one of .*cosine.*; got 'cosin'"),
        ({"dtype": "float33"}, "the number format is one of float32, bfloat16, float16; got 'float33'"),
        ({"report_to": ["tensorbord"]}, "there is no tracker 'tensorbord'; try tensorboard"),
    ],
)
def test_what_no_trainer_takes_is_refused_before_anything_is_done(given, said):
    with pytest.raises(BadInput, match=said):
        settings_of(given, DEFAULTS)

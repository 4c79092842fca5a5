"""Released checkpoints and official templates on the command line."""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from thinkscore.cli import main

WIRE = Path(__file__).parents[3] / "shared" / "wire"
TEMPLATE = "=== system ===\nPick one.\n=== user ===\n[Q]\n{question}\n[1]\n{answer_a}\n[2]\n{answer_b}\n"


class Done(NamedTuple):
    stdout: str
    stderr: str


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder with an empty cache and nothing to download from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THINKSCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("THINKSCORE_MIRROR", "http://127.0.0.1:9")

    def thinkscore(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["thinkscore", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        done = Done(*capsys.readouterr())
        assert (ended.value.code or 0) == code, done.stderr
        assert code != 2 or len(done.stderr.splitlines()) == 1
        return done

    thinkscore("lab", "make", "--n", 4, "--out", "cases.jsonl")
    return thinkscore


def test_models_are_listed_and_shown(run):
    assert "rm-r1-qwen-7b" in run("models").stdout
    shown = run("models", "rrm-7b").stdout
    assert "Reward-Reasoning/RRM-7B" in shown and "licence      unknown" in shown and "temperature  0.6" in shown
    rows = json.loads(run("models", "--json").stdout)
    assert {"id", "protocol", "template", "sources", "notes"} <= set(rows[0])
    assert json.loads(run("models", "rrm-7b", "--json").stdout)["aliases"] == ["rrm-7b"]
    assert "did you mean" in run("models", "rrm-70b", code=2).stderr


def test_a_model_without_its_template_says_how_to_get_it(run):
    judge = ["judge", "cases.jsonl", "--model", "rm-r1-qwen-7b", "--engine", "oracle:"]
    assert "run: thinkscore templates import rm_r1_instruct" in run(*judge, code=2).stderr
    assert "cannot fetch http://127.0.0.1:9" in run("templates", "import", "rm_r1_instruct", code=2).stderr
    done = run(*judge, "--template", "own", "--journal", "run.journal")
    assert "was not trained on our wording" in done.stderr


def test_flags_win_over_the_table_and_the_table_over_defaults(run, tmp_path):
    judge = ["judge", "cases.jsonl", "--engine", "oracle:", "--template", "own", "--journal"]
    run(*judge, "plain.journal", "--model", "rrm-7b")
    run(*judge, "flags.journal", "--model", "rrm-7b", "--temperature", 0.5, "--parser", "official_eval", code=1)
    run(*judge, "none.journal", "--protocol", "rrm")
    read = {
        name: json.loads((tmp_path / f"{name}.journal.manifest.json").read_text())
        for name in ("plain", "flags", "none")
    }
    assert [read[name]["sampling"] for name in read] == [
        {"temperature": 0.6, "top_p": 1.0, "max_tokens": 8192},
        {"temperature": 0.5, "top_p": 1.0, "max_tokens": 8192},
        {"temperature": 1.0, "top_p": 1.0, "max_tokens": 8192},
    ]
    assert [read[name]["parser"] for name in read] == ["strict", "official_eval", "strict"]
    assert {manifest["protocol"] for manifest in read.values()} == {"rrm"}


def test_a_local_checkpoint_is_asked_with_a_file_of_the_users(run, tmp_path):
    (tmp_path / "mine.txt").write_text(TEMPLATE)
    judge = ["judge", "cases.jsonl", "--protocol", "rm_r1", "--engine", "oracle:", "--template", "mine.txt"]
    run(*judge, "--journal", "run.journal")
    manifest = json.loads((tmp_path / "run.journal.manifest.json").read_text())
    assert manifest["template"]["name"] == "mine.txt"
    assert set(manifest["template"]["sha256"]) == {"system", "user"}
    assert manifest["guard"] == "escape"
    (tmp_path / "mine.txt").write_text(TEMPLATE.replace("{answer_b}", "{anwser_b}"))
    assert "did you mean {answer_b}?" in run(*judge, code=2).stderr


WRONG = {
    "nothing": ([], "--protocol NAME, or --model NAME"),
    "unknown model": (["--model", "RM-R1"], "in no table"),
    "a model that judges nothing": (["--model", "deepseek-grm-27b-metarm"], "judges no cases itself"),
    "unknown parser": (["--protocol", "rm_r1", "--parser", "lenient"], "strict, official_eval, official_reward"),
    "unknown template": (["--protocol", "rm_r1", "--template", "rm_r1"], "known are own, rm_r1_instruct"),
    "a template of another protocol": (
        ["--protocol", "rm_r1", "--template", "rrm_eval"],
        "is for rrm; got protocol rm_r1",
    ),
    "unknown guard": (["--protocol", "rm_r1", "--guard", "off"], "escape or none"),
}


@pytest.mark.parametrize(("flags", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_choice_is_one_message(run, flags, message):
    assert message in run("judge", "cases.jsonl", "--engine", "oracle:", *flags, code=2).stderr


def test_templates_are_listed_and_shown_before_they_are_there(run):
    rows = json.loads(run("templates", "list", "--json").stdout)
    assert len(rows) == 12 and not any(row["imported"] for row in rows)
    assert "rm_r1_instruct" in run("templates", "list").stdout
    shown = run("templates", "show", "rrm_eval").stdout
    assert "slot answer_a: {answer1}" in shown and "run: thinkscore templates import rrm_eval" in shown
    assert "print only" in run("templates", "show", "deepseek_grm_default").stdout
    assert "Did you mean rrm_eval" in run("templates", "show", "rrm_evl", code=2).stderr


@pytest.mark.skipif(not WIRE.is_dir(), reason="no official texts beside the checkout")
def test_imported_templates_are_used_and_named(run, tmp_path):
    names = [row["name"] for row in json.loads(run("templates", "list", "--json").stdout)]
    assert len(run("templates", "import", *names, "--from", WIRE).stdout.splitlines()) == 16
    assert "--- system" in run("templates", "show", "rrm_eval").stdout
    for model in ("rm-r1-qwen-7b", "rm-r1-deepseek-7b", "rrm-7b", "deepseek-grm-27b"):
        run("judge", "cases.jsonl", "--model", model, "--engine", "oracle:", "--journal", f"{model}.journal")
        manifest = json.loads((tmp_path / f"{model}.journal.manifest.json").read_text())
        assert manifest["template"]["name"] in names
        assert manifest["guard"] == "none"

"""`thinkscore scale` as a person types it: table, families, advice, picture, messages."""

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from thinkscore.cli import main


def thinkscore(*arguments, cwd, check=0):
    command = [sys.executable, "-W", "error", "-c", "from thinkscore.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == check, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pool of 4 verdicts for 60 cases, by a judge that likes the first place, and by one that is right."""
    place = tmp_path_factory.mktemp("scale")
    thinkscore("lab", "make", "--seed", 5, "--split", "test", "--n", 60, "--out", "cases.jsonl", cwd=place)
    options = ["--protocol", "rm_r1", "--strategy", "vote:k=4", "--seed", 1]
    for engine in ("scripted:", "oracle:"):
        thinkscore(
            "judge", "cases.jsonl", *options, "--engine", engine, "--journal", f"{engine[:-1]}.journal", cwd=place
        )
    return place


def test_a_judge_that_likes_a_place_ties_with_every_even_vote(folder):
    done = thinkscore("scale", "scripted.journal", "--cases", "cases.jsonl", "--json", cwd=folder)
    found = json.loads(done.stdout)
    rows = {row["strategy"]: row for row in found["strategies"]}
    assert (found["cases"], found["verdicts"], found["reference"]) == (60, 4, "vote:k=4")
    assert rows["vote:k=2"]["tied"] == rows["vote:k=4"]["tied"] == 1
    assert rows["vote:k=4"]["accuracy"] == 0.5
    assert rows["vote:k=4,stop=lock"]["difference"] == {"mean": 0, "interval": [0, 0]}
    assert rows["vote:k=1"]["tied"] == 0
    assert [row["frontier"] for row in found["strategies"]].count(True) >= 1


def test_everything_at_once(folder):
    done = thinkscore(
        "scale", "oracle.journal", "--cases", "cases.jsonl", "--strategies", "vote:k=1 vote:k=2", "--strategies",
        "adaptive:m=2,k=4", "--by", "family", "--want", 0.9, "--picture", "scale.svg", "--out", "scale.json",
        cwd=folder,
    )  # fmt: skip
    assert "60 cases, 4 recorded verdicts each" in done.stdout
    assert "accuracy by family" in done.stdout
    assert "for an accuracy of 90.0 % take vote:k=1" in done.stdout
    found = json.loads((folder / "scale.json").read_text())
    assert [row["strategy"] for row in found["strategies"]] == ["vote:k=1", "vote:k=2", "adaptive:m=2,k=4"]
    assert found["recommended"]["strategy"] == "vote:k=1"
    assert found["recommended"]["chosen_on"] + found["recommended"]["reported_on"] == 60
    assert set(found["by"]["cases"]) == {"chat", "reasoning", "safety"}
    assert ElementTree.parse(folder / "scale.svg").getroot().get("role") == "img"


def test_where_nothing_does_it_says_so(folder):
    done = thinkscore("scale", "scripted.journal", "--cases", "cases.jsonl", "--want", 0.9, cwd=folder)
    assert "no setting gives an accuracy of 90.0 %; closest is" in done.stdout


BAD = {
    "too many": (["scripted.journal", "--strategies", "vote:k=8"], "needs verdict 5 of case .* larger k"),
    "no manifest": (["bare.journal"], "manifest.json is not there; name the protocol"),
    "no such strategy": (["scripted.journal", "--strategies", "votes"], "got 'votes'; scaling has .* vote"),
    "a percentage": (["scripted.journal", "--want", "90"], "--want is a share .* got 90"),
    "an input": (["scripted.journal", "--out", "cases.jsonl"], "cases.jsonl is an input .* another file"),
    "no grouping": (["scripted.journal", "--by", "colour"], "--by colour: 0 values; .* difficulty, family, level"),
    "wrong cases": (["scripted.journal", "--cases", "others.jsonl"], "no completion for these cases"),
    "no such folder": (["scripted.journal", "--picture", "gone/x.svg"], "cannot write gone/x.svg: gone is no folder"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_one_message(folder, monkeypatch, capsys, arguments, message):
    (folder / "bare.journal").write_bytes((folder / "scripted.journal").read_bytes())
    (folder / "others.jsonl").write_text('{"id": "x", "prompt": "?", "candidates": ["a", "b"], "gold": [1, 0]}\n')
    cases = [] if "--cases" in arguments else ["--cases", "cases.jsonl"]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["thinkscore", "scale", *arguments, *cases])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("thinkscore: ")
    assert re.search(message, said), said

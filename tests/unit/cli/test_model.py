"""What `--model` sets, and what wins over it."""

import pytest

from thinkscore.cli._model import chosen
from thinkscore.types import Sampling

NOTHING = {"model": None, "protocol": None, "engine": None, "parser": None, "template": None}
NOTHING |= {"temperature": None, "top_p": None, "max_tokens": None}
RRM = "Reward-Reasoning/RRM-7B"
ENGINES = {
    None: f"hf:{RRM}" + "?context=131072",
    "hf:folder": "hf:folder",
    "replay:x": "replay:x",
    "http://h/v1": f"http://h/v1?model={RRM}",
    "http://h/v1?n=4": f"http://h/v1?n=4&model={RRM}",
    "https://a/v1,https://b/v1": f"https://a/v1,https://b/v1?model={RRM}",
    "http://h/v1?model=mine": "http://h/v1?model=mine",
    "http://h/v1?n=4&model=mine": "http://h/v1?n=4&model=mine",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_is_run_in_process_or_named_to_a_server(engine):
    assert chosen(**{**NOTHING, "model": "rrm-7b", "engine": engine}).engine == ENGINES[engine]


def test_what_is_not_given_is_as_published_and_else_as_usual():
    assert chosen(**{**NOTHING, "model": "rrm-7b"}).sampling == Sampling(0.6, 1.0, 8192)
    assert chosen(**{**NOTHING, "model": "rrm-7b", "temperature": 0.0}).sampling == Sampling(0.0, 1.0, 8192)
    assert chosen(**{**NOTHING, "model": "deepseek-grm-27b", "top_p": 0.9}).sampling == Sampling(0.0, 0.9, 2048)
    assert chosen(**{**NOTHING, "protocol": "rrm"}).sampling == Sampling()


def test_without_a_model_the_packaged_judge_is_asked():
    choice = chosen(**{**NOTHING, "protocol": "rrm"})
    assert (choice.engine, choice.parser, choice.template) == ("embedded", "strict", None)


def test_a_model_can_be_asked_in_our_wording(capsys):
    assert chosen(**{**NOTHING, "model": "rrm-7b", "template": "own"}).template == "own"
    assert "not trained on our wording" in capsys.readouterr().err

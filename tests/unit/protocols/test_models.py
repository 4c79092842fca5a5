"""Tables of released checkpoints: whole, exact, and honest about what is unknown."""

import pytest

from thinkscore.errors import BadInput
from thinkscore.judge import make_protocol
from thinkscore.plugins import names
from thinkscore.protocols._models import find_model, models
from thinkscore.protocols._published import published

MODELS = models().values()
KNOWN = {
    "rm-r1-qwen-7b": ("gaotang/RM-R1-Qwen2.5-Instruct-7B", "rm_r1", "rm_r1_instruct", 0.0),
    "rm-r1-qwen-14b": ("gaotang/RM-R1-Qwen2.5-Instruct-14B", "rm_r1", "rm_r1_instruct", 0.0),
    "rm-r1-qwen-32b": ("gaotang/RM-R1-Qwen2.5-Instruct-32B", "rm_r1", "rm_r1_instruct", 0.0),
    "rm-r1-deepseek-7b": ("gaotang/RM-R1-DeepSeek-Distilled-Qwen-7B", "rm_r1_think", "rm_r1_reasoning", 0.0),
    "rm-r1-deepseek-14b": ("gaotang/RM-R1-DeepSeek-Distilled-Qwen-14B", "rm_r1_think", "rm_r1_reasoning", 0.0),
    "rm-r1-deepseek-32b": ("gaotang/RM-R1-DeepSeek-Distilled-Qwen-32B", "rm_r1_think", "rm_r1_reasoning", 0.0),
    "rrm-7b": ("Reward-Reasoning/RRM-7B", "rrm", "rrm_eval", 0.6),
    "rrm-32b": ("Reward-Reasoning/RRM-32B", "rrm", "rrm_eval", 0.6),
    "deepseek-grm-27b": ("BBQGOD/DeepSeek-GRM-27B", "deepseek_grm", "deepseek_grm_default", 0.0),
    "deepseek-grm-16b": ("BBQGOD/DeepSeek-GRM-16B", "deepseek_grm", "deepseek_grm_default", 0.0),
}


@pytest.mark.parametrize("alias", KNOWN)
def test_a_checkpoint_is_found_by_name_and_alias(alias):
    found = find_model(alias)
    assert (found.id, found.protocol, found.template, found.temperature) == KNOWN[alias]
    assert find_model(found.id) is found


@pytest.mark.parametrize(
    "name", ["RM-R1", "rm-r1-qwen", "RM-R1-Qwen2.5-Instruct-7B", "x/RM-R1-Qwen2.5-Instruct-7B", ""]
)
def test_a_part_of_a_name_is_no_name(name):
    with pytest.raises(BadInput, match="in no table"):
        find_model(name)


def test_close_names_are_offered():
    with pytest.raises(BadInput, match="rrm-32b"):
        find_model("rrm-32")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_a_table_can_be_used(model):
    assert model.protocol in names("protocols")
    assert model.template is None or model.template in published()
    if model.kind == "judge":
        assert make_protocol(model.protocol, parser=model.parser).parser == model.parser
        assert model.template is None or model.protocol in published()[model.template].protocols


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_facts_have_sources_and_gaps_are_named(model):
    facts = {"template", "temperature", "context", "licence"}
    stated = {field for field in facts if getattr(model, field) is not None}
    assert stated <= set(model.sources), stated - set(model.sources)
    for field in {"context", "licence"} - stated:
        assert any(field in note for note in model.notes), f"{field} is unknown, and no note says so"
    assert model.max_tokens is None or model.context is None or model.max_tokens < model.context


def test_no_two_checkpoints_share_a_name():
    named = [name for model in MODELS for name in (model.id, *model.aliases)]
    assert len(named) == len(set(named))

"""The plan against published sizes and hand-worked numbers."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from thinkscore.cli.train import train
from thinkscore.engines.embedded import PACKAGED
from thinkscore.errors import BadInput
from thinkscore.train._presets import preset
from thinkscore.train._sizes import Shape, shape_of
from thinkscore.train.plan import GPUS, Assumptions, Plan, assumed, find_gpu, plan

GIB = 2**30
# Of the models' own cards, in billions; active ones of a mixture too.
PUBLISHED = {
    "Qwen/Qwen2.5-7B-Instruct": 7.61,
    "Qwen/Qwen2.5-14B-Instruct": 14.77,
    "Qwen/Qwen2.5-32B-Instruct": 32.76,
    "google/gemma-2-27b": 27.23,
    "deepseek-ai/DeepSeek-V2-Lite": 15.71,
}
# 2 layers, width 8, 2 heads, 1 key head of 4, 16 inside, 10 words.
TINY = Shape(layers=2, hidden=8, heads=2, kv_heads=1, feed_forward=16, vocab=10)


@pytest.mark.parametrize(("model", "billions"), PUBLISHED.items())
def test_sizes_are_the_published_ones(model: str, billions: float) -> None:
    assert shape_of(model).parameters / 1e9 == pytest.approx(billions, rel=0.002)


def test_the_active_part_of_a_mixture_is_the_published_one() -> None:
    assert shape_of("deepseek-ai/DeepSeek-V2-Lite").active / 1e9 == pytest.approx(2.4, rel=0.03)


def test_a_tiny_model_by_hand() -> None:
    attention = 8 * 8 + 2 * 8 * 4 + 8 * 8
    layer = attention + 3 * 8 * 16 + 2 * 8
    assert TINY.parameters == 2 * layer + 8 + 2 * 10 * 8
    assert TINY.active == TINY.parameters - 10 * 8
    assert TINY.cached == 8
    assert TINY.forward(5, 6) == 5 * (2 * TINY.active + 2 * 2 * 8 * 6)
    assert TINY.adapter(1) == 2 * ((8 + 8) + (8 + 4) + (8 + 4) + (8 + 8) + 3 * (8 + 16))


def test_the_folder_of_a_model_is_counted_like_its_weights() -> None:
    from safetensors import safe_open

    with safe_open(PACKAGED / "model.safetensors", "np") as file:
        weights = sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118 - no mapping
    # Qwen3 norms queries and keys as well: a few hundred weights.
    assert shape_of(str(PACKAGED)).parameters == pytest.approx(weights, rel=0.001)


def planned(name: str, stage: str, gpus: int, **how: object) -> Plan:
    one = preset(name)
    model = one.base or str(PACKAGED)
    return plan(one, stage, model, shape_of(model), gpus=gpus, gpu=GPUS["h100"], **how)  # type: ignore[arg-type]


def test_the_published_run_of_32b_is_planned_as_it_was() -> None:
    found = planned("rm_r1_32b", "rl", 32)
    assert (found.rows, found.steps, found.updates) == (64226, 62, 496)
    assert found.fits
    assert found.wall < 72, "the authors' limit"
    assert planned("rm_r1_7b", "rl", 8).fits
    assert planned("rm_r1_14b", "rl", 16).fits


def test_steps_of_distillation_take_the_rest_along() -> None:
    assert planned("rm_r1_7b", "distill", 8).steps == 68  # 8700 / 128 = 67.97
    assert planned("rm_r1_7b", "distill", 8, rows=257).steps == 3


def test_memory_by_hand() -> None:
    size = 32_763_876_352
    found = planned("rm_r1_32b", "rl", 32).memory
    train = found["train"]
    assert train["weights"] == pytest.approx(4 * size / 32 / GIB)
    assert train["gradients"] == train["weights"]
    assert train["Adam's moments"] == 2 * train["weights"]
    assert train["reference model"] == train["weights"] / 2
    assert train["logits"] == pytest.approx(8192 * 152064 * 8 / GIB)
    layer = 2 * (4 * 5120 + 2 * 5120 + 2 * 1024 + 3 * 27648)
    assert train["activations"] == pytest.approx(12288 * (64 * 2 * 5120 + 2 * layer) / GIB)
    assert found["sample"]["sampling engine"] == pytest.approx(0.4 * 78)


def test_operations_by_hand() -> None:
    how = Assumptions(prompt=100, answer=50)
    found = planned("rm_r1_32b", "rl", 32, assumptions=how)
    texts = 62 * 1024 * 7
    shape = shape_of("Qwen/Qwen2.5-32B-Instruct")
    forward = texts * 150 * (2 * shape.active + 2 * 64 * 5120 * 150)
    assert found.operations["update"] == pytest.approx(4 * forward)
    assert found.operations["reference"] == found.operations["old log-probabilities"] == pytest.approx(forward)
    assert found.operations["sample"] == pytest.approx(texts * 50 * (2 * shape.active + 2 * 64 * 5120 * 250))
    assert found.sampled_tokens == texts * 50
    assert found.hours["update"] == pytest.approx(4 * forward / (32 * 989e12 * 0.4) / 3600)


def test_sampling_time_by_hand() -> None:
    how = Assumptions(prompt=100, answer=50, seats=10, sampling=1.0)
    found = planned("rm_r1_32b", "rl", 32, assumptions=how)
    shape = shape_of("Qwen/Qwen2.5-32B-Instruct")
    cache = 2 * 64 * 2048 * 125
    engines = 8
    steps_of_an_engine = 7168 * 50 / (engines * 10)
    seconds = steps_of_an_engine * (2 * shape.active + 10 * cache) / (4 * 3.35e12)
    longest = 8192 * (2 * shape.active + cache) / (4 * 3.35e12)
    assert found.hours["sample"] == pytest.approx(62 * max(seconds, longest) / 3600)


def test_what_does_not_fit_says_what_would() -> None:
    found = planned("rm_r1_32b", "rl", 4)
    assert not found.fits
    assert found.advice == ["16 GPUs", "a LoRA adapter of rank 16"]
    assert planned("rm_r1_32b", "rl", 16).fits
    assert planned("rm_r1_32b", "rl", 4, lora=16).fits


def test_an_adapter_takes_the_room_of_the_weights_that_it_trains() -> None:
    adapter = 40_370_176  # rank 16 on all linear layers of Qwen2.5-7B
    train = planned("rm_r1_7b", "distill", 1, lora=16).memory["train"]
    assert train["Adam's moments"] == pytest.approx(8 * adapter / GIB)
    assert train["weights"] == pytest.approx((2 * 7_615_616_512 + 4 * adapter) / GIB)
    assert planned("rm_r1_7b", "rl", 8, lora=16).memory["train"]["reference model"] == 0


def test_an_adapter_spares_the_gradients_of_the_weights() -> None:
    whole, adapter = (planned("rm_r1_7b", "rl", 8, lora=rank).operations for rank in (0, 16))
    assert adapter["update"] == pytest.approx(whole["update"] * 3 / 4)
    assert adapter["sample"] == whole["sample"]


def test_gpus_by_name_and_by_data_sheet() -> None:
    assert find_gpu("h200").memory == 139
    assert find_gpu("l40s:44:362:0.86").teraflops == 362
    with pytest.raises(BadInput, match="NAME:GIB:TERAFLOPS"):
        find_gpu("l40s")


def test_what_is_not_known_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="give --rows"):
        planned("grm_27b", "meta", 8)
    with pytest.raises(BadInput, match="a folder that holds its config"):
        shape_of("nobody/nothing")
    (tmp_path / "config.json").write_text('{"hidden_size": 8}')
    with pytest.raises(BadInput, match="does not describe"):
        shape_of(str(tmp_path))


def test_mean_lengths_follow_from_the_limits() -> None:
    assert assumed({"max_prompt": 4096, "max_tokens": 8192}) == Assumptions(prompt=1024, answer=1024)


def test_the_command_prints_every_assumption_and_a_price() -> None:
    call = ["plan", "--preset", "rm_r1_32b", "--gpus", "32", "--hours-rate", "2.5"]
    said = CliRunner().invoke(train, call).output
    for part in ("32.76 billion weights", "62 rounds of rollouts, 496 updates", "fits            yes", "at 2.5 each",
                 "prompts of 1,024 and answers of 1,024 tokens", "40% of the peak", "inferred from verl"):  # fmt: skip
        assert part in said
    (first, second) = json.loads(CliRunner().invoke(train, [*call, "--json"]).output)
    assert (first["stage"], second["stage"]) == ("distill", "rl")
    assert second["gpu_hours"] == pytest.approx(second["wall"] * 32)
    assert msgspec.convert({k: v for k, v in second.items() if k not in ("wall", "gpu_hours")}, Plan).fits


def test_a_model_of_the_users_own_is_planned() -> None:
    call = ["plan", "--preset", "lab", "--gpus", "1", "--stage", "rl", "--rows", "1000"]
    assert CliRunner().invoke(train, call).exception is not None
    assert "fits            yes" in CliRunner().invoke(train, [*call, "--model", str(PACKAGED)]).output

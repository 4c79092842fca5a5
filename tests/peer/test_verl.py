"""A written run against the real verl: its configuration, its data set, its reward loop. No GPU and no training."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from thinkscore.engines.embedded import PACKAGED
from thinkscore.judge import make_protocol
from thinkscore.lab import world
from thinkscore.train._presets import preset
from thinkscore.train._rewards import Reward, reward_function
from thinkscore.train._run import Settings
from thinkscore.train.rl import Rl
from thinkscore.train.verl import write_verl

pytestmark = pytest.mark.peer

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("VERL_PYTHON", ROOT / ".venv-verl/bin/python"))
CASES = 1100


def asked(code: str, run: Path, **given: object) -> Any:
    """Run code in verl's environment; `say(x)` in it is the answer, `given` and `run` are there by name."""
    if not PYTHON.is_file():
        pytest.fail(f"{PYTHON} does not exist; `make test-peer` makes it")
    answer = run / "answer.json"
    start = f"""
import json, pathlib
run = pathlib.Path({str(run)!r})
given = json.loads({json.dumps(given)!r})
def say(x): pathlib.Path({str(answer)!r}).write_text(json.dumps(x))
def composed():
    from hydra import compose, initialize_config_module
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=given["overrides"])
"""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = {**kept, "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1", "HF_HOME": str(run / "hf"),
                   "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}  # fmt: skip
    done = subprocess.run(
        [PYTHON, "-c", start + code], cwd=run, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(answer.read_text())


def command(run: Path, **environment: str) -> list[str]:
    """Return what the launcher would submit."""
    say = {**os.environ, "SUBMIT": r"printf %s\n", **environment}
    done = subprocess.run([run / "launch.sh"], env=say, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def written(name: str, out: Path) -> Path:
    """Write the run of a preset over cases of the lab, with our own wording."""
    one = preset(name)
    loop, rl = one.rl()
    protocol = make_protocol(one.model["protocol"].value, None, one.model["parser"].value)
    cases = [world.make_case(seed, "train", 0, 2) for seed in range(CASES)]
    settings = Settings(**loop)
    write_verl(str(PACKAGED), cases, out, settings, Rl(**rl), Reward(protocol), nodes=4, gpus=8, preset=one)
    return out


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written("rm_r1_32b", tmp_path_factory.mktemp("verl") / "run")


COMPOSE = """
from omegaconf import OmegaConf
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import validate_config
config = composed()
validate_config(config, need_reference_policy(config), need_critic(config))
say({name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
     for name in given["names"] for value in [OmegaConf.select(config, name, throw_on_missing=True)]})
"""
ACTOR, ROLLOUT = "actor_rollout_ref.actor.", "actor_rollout_ref.rollout."
RM_R1_32B: Mapping[str, object] = {
    "algorithm.adv_estimator": "grpo",
    "algorithm.norm_adv_by_std_in_grpo": True,
    "algorithm.use_kl_in_reward": False,
    "data.train_batch_size": 1024,
    "data.max_prompt_length": 4096,
    "data.max_response_length": 8192,
    "data.filter_overlong_prompts": True,
    ACTOR + "optim.lr": 5e-7,
    ACTOR + "optim.lr_scheduler_type": "constant",
    ACTOR + "optim.lr_warmup_steps_ratio": 0.0,
    ACTOR + "optim.weight_decay": 0.01,
    ACTOR + "optim.betas": [0.9, 0.999],
    ACTOR + "grad_clip": 1.0,
    ACTOR + "ppo_mini_batch_size": 128,
    ACTOR + "ppo_micro_batch_size_per_gpu": 1,
    ACTOR + "ppo_epochs": 1,
    ACTOR + "use_kl_loss": True,
    ACTOR + "kl_loss_coef": 0.001,
    ACTOR + "kl_loss_type": "low_var_kl",
    ACTOR + "clip_ratio_low": 0.2,
    ACTOR + "clip_ratio_high": 0.2,
    ACTOR + "loss_agg_mode": "seq-mean-token-mean",
    ACTOR + "entropy_coeff": 0,
    ROLLOUT + "n": 7,
    ROLLOUT + "temperature": 1.0,
    ROLLOUT + "top_p": 1.0,
    ROLLOUT + "tensor_model_parallel_size": 4,
    ROLLOUT + "gpu_memory_utilization": 0.4,
    ROLLOUT + "prompt_length": 4096,
    ROLLOUT + "response_length": 8192,
    "trainer.total_epochs": 1,
    "trainer.save_freq": 45,
    "trainer.nnodes": 4,
    "trainer.n_gpus_per_node": 8,
}


def test_the_configuration_is_the_preset(run: Path) -> None:
    words = command(run)
    assert words[:3] == ["python3", "-m", "verl.trainer.main_ppo"]
    found = asked(COMPOSE, run, overrides=words[3:], names=list(RM_R1_32B))
    assert found == RM_R1_32B


@pytest.mark.parametrize("name", ["rm_r1_7b", "rrm_32b", "grm_27b"])
def test_other_presets_are_valid_too(name: str, tmp_path: Path) -> None:
    out = written(name, tmp_path / "run")
    values = preset(name).values("rl")
    names = [ACTOR + "optim.lr", ROLLOUT + "n", ROLLOUT + "temperature", ACTOR + "kl_loss_coef"]
    found = asked(COMPOSE, out, overrides=command(out, NODES="2", MODEL=str(PACKAGED))[3:], names=names)
    assert list(found.values()) == [values[key] for key in ("learning_rate", "group", "temperature", "beta")]


DATA = """
from transformers import AutoTokenizer
from verl.utils.dataset.rl_dataset import RLHFDataset
config = composed()
tokenizer = AutoTokenizer.from_pretrained(config.actor_rollout_ref.model.path)
found = RLHFDataset(config.data.train_files, tokenizer, config.data)
say({"n": len(found), "rows": [{"prompt": row["raw_prompt"], "extra": row["extra_info"],
     "gold": row["reward_model"]["ground_truth"], "source": row["data_source"],
     "text": tokenizer.apply_chat_template(row["raw_prompt"], tokenize=False, add_generation_prompt=True)}
     for row in (found[i] for i in range(16))]})
"""


def test_its_data_set_reads_the_rows(run: Path) -> None:
    found = asked(DATA, run, overrides=command(run)[3:])
    assert found["n"] == CASES
    assert [row["gold"] for row in found["rows"]] == ["0", "1"] * 8, "the place of the better answer is balanced"
    for row in found["rows"]:
        case = json.loads(row["extra"]["case"])
        best = row["extra"]["order"].index(case["gold"].index(max(case["gold"])))
        assert str(best) == row["gold"]
        assert case["candidates"][0] in row["prompt"][-1]["content"]
        assert row["text"].endswith("<|assistant|>")


REWARD = """
import asyncio
import numpy as np, torch
from tensordict import TensorDict
from transformers import AutoTokenizer
from verl import DataProto
from verl.experimental.reward_loop import RewardLoopWorker
from verl.utils.dataset.rl_dataset import RLHFDataset
config = composed()
tokenizer = AutoTokenizer.from_pretrained(config.actor_rollout_ref.model.path)
rows = RLHFDataset(config.data.train_files, tokenizer, config.data)

def answered(index, text, cut):
    row = rows[index]
    prompt = torch.tensor([1, 2, 3])
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = ids + ids[-1:] * (config.data.max_response_length - len(ids)) if cut else [*ids, tokenizer.eos_token_id]
    response = torch.tensor(ids)
    both = torch.cat([prompt, response])
    batch = TensorDict({"prompts": prompt[None], "responses": response[None], "input_ids": both[None],
                        "attention_mask": torch.ones_like(both)[None]}, batch_size=1)
    kept = {key: np.array([row[key]]) for key in ("data_source", "reward_model", "extra_info")}
    return DataProto(batch=batch, non_tensor_batch={**kept, "tool_extra_fields": np.array([{}], dtype=object)})

async def main():
    worker = RewardLoopWorker(config)
    return [await worker.compute_score(answered(*one)) for one in given["answers"]]

say(asyncio.run(main()))
"""


def test_its_reward_loop_pays_what_ours_pays(run: Path) -> None:
    overrides = command(run)[3:]
    rows = asked(DATA, run, overrides=overrides)["rows"]
    protocol = make_protocol("rm_r1", None, "official_reward")
    texts = {
        "A": "<eval> fine </eval>\n<answer>[[A]]</answer>",
        "B": "<eval> fine </eval>\n<answer>[[B]]</answer>",
        "none": "fine",
        "both": "<answer>[[A]]</answer> <answer>[[B]]</answer>",
    }
    answers = [(index, text, False) for index in range(4) for text in texts.values()]
    found = asked(REWARD, run, overrides=overrides, answers=[*answers, (0, texts["A"], True)])
    ours = reward_function(Reward(protocol))(
        completions=[text for _, text, _ in answers],
        case=[rows[index]["extra"]["case"] for index, _, _ in answers],
        order=[rows[index]["extra"]["order"] for index, _, _ in answers],
    )
    assert [paid["reward_score"] for paid in found[:-1]] == ours
    assert ours[:4] == [1.0, -1.0, -1.0, -1.0]
    assert ours[4:8] == [-1.0, 1.0, -1.0, -1.0]
    keys = {"score", "acc", "unreadable", "fault", "cut"}
    assert all(set(paid["reward_extra_info"]) == keys for paid in found)
    assert [paid["reward_extra_info"]["cut"] for paid in found] == [0.0] * len(answers) + [1.0]
    assert found[-1]["reward_score"] == -1.0

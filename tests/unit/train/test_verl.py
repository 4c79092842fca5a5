"""Writing a run of verl: rows, reward, overrides, launcher. verl itself is in the peer lane."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import msgspec
import pyarrow.parquet
import pytest

from thinkscore.engines.embedded import PACKAGED
from thinkscore.errors import BadInput
from thinkscore.judge import make_protocol
from thinkscore.lab import world
from thinkscore.train._presets import preset
from thinkscore.train._rewards import Reward
from thinkscore.train._run import Settings
from thinkscore.train._verl_reward import Rule, load_scorer, scorer
from thinkscore.train.rl import Rl
from thinkscore.train.verl import overrides, write_verl
from thinkscore.types import Case, Message

SETTINGS = Settings(learning_rate=1e-6, batch_size=16, micro_batch=2, schedule="constant", save_steps=4, steps=20)
RL = Rl(group=4, prompts=8, beta=0.001, loss="grpo", rounds=0, max_prompt=500, max_tokens=100)
RULE = Rule("rm_r1", "strict", None, False, ("follows",), 100)
RIGHT = "<eval> fine </eval>\n<answer>[[A]]</answer>"


def cases(n: int) -> list[Case]:
    return [world.make_case(seed, "train", 0, 2) for seed in range(n)]


def reward(**how: object) -> Reward:
    return Reward(make_protocol("rm_r1"), **how)  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    out = tmp_path / "run"
    gold = msgspec.structs.replace(cases(1)[0], id="no-gold", gold=None)
    left = write_verl("org/model", [*cases(16), gold], out, SETTINGS, RL, reward(), nodes=2, gpus=4)
    assert left == {"without gold": 1}
    return out


def test_rows_are_balanced_and_carry_what_the_reward_needs(run: Path) -> None:
    rows = pyarrow.parquet.read_table(run / "train.parquet").to_pylist()
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["0", "1"] * 8
    pay = load_scorer(run / "reward.json")
    for row in rows:
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]
        paid = pay(solution_str=RIGHT, data_source="", ground_truth="", extra_info=row["extra_info"], more=1)
        assert paid["score"] == (1.0 if row["reward_model"]["ground_truth"] == "0" else -1.0)


def test_cases_with_long_prompts_are_left_out_in_both_orders_where_the_tokenizer_is_at_hand(
    run: Path, tmp_path: Path
) -> None:
    talk = (Message("user", f"{cases(1)[0].messages[0].content} " * 60),)
    long = msgspec.structs.replace(cases(1)[0], id="long", messages=talk)
    left = write_verl(str(PACKAGED), [*cases(16), long], tmp_path / "both", SETTINGS,
                      msgspec.structs.replace(RL, orders="both"), reward())  # fmt: skip
    assert left == {"with a prompt of more than 500 tokens": 1}
    rows = pyarrow.parquet.read_table(tmp_path / "both" / "train.parquet").to_pylist()
    places = [row["reward_model"]["ground_truth"] for row in rows]
    assert [{*pair} for pair in zip(places[::2], places[1::2], strict=True)] == [{"0", "1"}] * 16
    told = "tokenizer was not at hand"
    assert told not in (tmp_path / "both" / "README.md").read_text()
    assert told in (run / "README.md").read_text()


def test_a_round_is_cut_as_for_our_own_trainer(run: Path) -> None:
    chosen = dict(line.split("=", 1) for line in (run / "overrides.txt").read_text().splitlines())
    actor = "actor_rollout_ref.actor."
    assert chosen["data.train_batch_size"] == "8"
    assert chosen[actor + "ppo_mini_batch_size"] == "4", "16 completions per update are 4 prompts"
    assert chosen["trainer.total_training_steps"] == "10", "20 updates are 10 rounds"
    assert chosen["trainer.save_freq"] == "2"
    assert chosen[actor + "loss_agg_mode"] == "seq-mean-token-mean"
    assert chosen[actor + "optim.betas"] == "[0.9,0.999]"
    assert chosen["algorithm.filter_groups.enable"] == "false"


def test_the_launcher_knows_no_machine(run: Path) -> None:
    for file in run.iterdir():
        assert str(run).encode() not in file.read_bytes(), file.name
    moved = run.rename(run.with_name("elsewhere"))
    environment = {**os.environ, "SUBMIT": r"printf %s\n", "GPUS": "2"}
    done = subprocess.run([moved / "launch.sh", "x.y=1"], env=environment, capture_output=True, text=True, check=True)
    words = done.stdout.splitlines()
    assert f"data.train_files={moved}/train.parquet" in words
    assert "actor_rollout_ref.model.path=org/model" in words
    assert words[-3:] == ["trainer.nnodes=2", "trainer.n_gpus_per_node=2", "x.y=1"]


def test_an_answer_always_gives_the_same_keys() -> None:
    case = json.dumps({"id": "a", "prompt": "?", "candidates": ["x", "y"], "gold": [1, 0]})
    pay = scorer(RULE)
    found = [
        pay(data_source="", solution_str=text, ground_truth="", extra_info={"case": case, "order": [0, 1], **more})
        for text, more in [
            (RIGHT, {}),
            (RIGHT.replace("A]", "B]"), {}),
            ("", {}),
            ("If <answer>[[A]]</answer> were right, then", {"cut": True}),
        ]
    ]
    assert [paid["score"] for paid in found] == [1, -1, -1, -1]
    assert {tuple(paid) for paid in found} == {("score", "acc", "unreadable", "fault", "cut")}
    assert [paid["unreadable"] for paid in found] == [0, 0, 1, 1]
    assert [paid["cut"] for paid in found] == [0, 0, 0, 1]


def test_a_faithful_reward_stays_one() -> None:
    case = msgspec.json.encode({"id": "a", "prompt": "?", "candidates": ["x", "y"], "gold": [1, 0]}).decode()
    rule = msgspec.structs.replace(RULE, faithful=True)
    paid = scorer(rule)(data_source="", solution_str=RIGHT, ground_truth="", extra_info={"case": case, "order": [0, 1]})
    assert (paid["score"], paid["acc"], paid["fault"]) == (-1, 1, 1)


def test_prompts_of_published_wording_need_it_only_here(tmp_path: Path) -> None:
    template = tmp_path / "mine.md"
    template.write_text(make_protocol("rm_r1").instructions())
    with pytest.raises(BadInput):
        write_verl(
            "m", cases(16), tmp_path / "run", SETTINGS, RL, Reward(make_protocol("rm_r1", template=str(template)))
        )


REFUSED = {
    "linear": ({"schedule": "linear"}, {}, {}, "the schedule linear; it has constant and cosine"),
    "both": ({}, {}, {"both_orders": True}, "join both orders"),
    "cut": ({}, {"mask_cut": True}, {}, "because they were cut"),
    "round": ({}, {"prompts": 6}, {}, "cannot be cut into updates"),
}


@pytest.mark.parametrize(("loop", "rl", "pay", "said"), REFUSED.values(), ids=REFUSED)
def test_what_verl_cannot_do_is_refused(
    loop: dict[str, object], rl: dict[str, object], pay: dict[str, object], said: str
) -> None:
    settings = msgspec.structs.replace(SETTINGS, **loop)
    with pytest.raises(BadInput, match=said):
        overrides("m", settings, msgspec.structs.replace(RL, **rl), reward(**pay))


def test_nothing_is_overwritten_and_few_cases_are_told(run: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not empty"):
        write_verl("m", cases(16), run, SETTINGS, RL, reward())
    with pytest.raises(BadInput, match="7 usable cases do not fill one round of 8 prompts"):
        write_verl("m", cases(7), tmp_path / "other", SETTINGS, RL, reward())


def test_the_page_holds_the_plan_of_the_preset(tmp_path: Path) -> None:
    one = preset("rm_r1_32b")
    loop, rl = one.rl()
    base = str(one.base)
    write_verl(base, cases(1100), tmp_path / "run", Settings(**loop), Rl(**rl), reward(), nodes=4, preset=one)
    page = (tmp_path / "run/README.md").read_text()
    assert "on 32 x h100, an estimate" in page
    assert "1,100 rows, 1 round of rollouts, 8 updates" in page

"""The launch configurations are what accelerate itself reads, and say what their comments promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_multi_gpu_env

CONFIGS = Path(__file__).parents[3] / "configs"
FILES = sorted(file.stem for file in CONFIGS.glob("*.yaml"))


def launched(name: str) -> tuple[Any, dict[str, str]]:
    """Do what `accelerate launch --config_file FILE -m thinkscore` does before it starts processes."""
    command = ["--config_file", str(CONFIGS / f"{name}.yaml"), "-m", "thinkscore", "train"]
    args, *_ = _validate_launch_command(launch_command_parser().parse_args(command))
    return args, prepare_multi_gpu_env(args)


def test_the_files_are_all_there() -> None:
    assert FILES == ["cpu_2", "fsdp2", "fsdp2_nodes", "zero2", "zero3"]


@pytest.mark.parametrize("name", FILES)
def test_accelerate_reads_every_value(name: str) -> None:
    config = load_config_from_file(str(CONFIGS / f"{name}.yaml"))
    assert isinstance(config, ClusterConfig)
    assert config.num_processes == {"cpu_2": 2, "fsdp2_nodes": 16}.get(name, 8)
    assert config.mixed_precision == ("no" if name == "cpu_2" else "bf16")


@pytest.mark.parametrize("name", ["fsdp2", "fsdp2_nodes"])
def test_weights_are_cut_and_saved_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    args, environment = launched(name)
    assert args.use_fsdp
    for key, value in environment.items():
        if key.startswith("FSDP_"):
            monkeypatch.setenv(key, value)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.state_dict_type.name == "FULL_STATE_DICT"
    assert not plugin.activation_checkpointing


@pytest.mark.parametrize(("name", "stage"), [("zero2", 2), ("zero3", 3)])
def test_the_stage_of_deepspeed(name: str, stage: int) -> None:
    args, _ = launched(name)
    assert args.use_deepspeed
    assert int(args.zero_stage) == stage


@pytest.mark.parametrize("name", FILES)
def test_commands_in_comments_are_ones_that_several_processes_take(name: str) -> None:
    text = (CONFIGS / f"{name}.yaml").read_text()
    assert text.count("train distill") == text.count("train distill --traces FILE")
    assert "train rft" not in text


def test_two_processes_are_started_without_a_gpu() -> None:
    args, _ = launched("cpu_2")
    assert args.multi_gpu and not args.cpu, "otherwise accelerate starts one"
    assert args.num_processes == 2

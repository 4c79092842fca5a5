"""What reading a prompt once for its group of completions saves when rollouts are scored for RL.

    python benchmarks/shared_prompts.py [--rounds 5] [--group 8] [--prompts 16]

Draws one round of rollouts from the packaged judge on lab cases, then scores it with and without sharing, in turns, on
one thread: CPU seconds of the pass without gradients (the reference model's) and of the pass with them, medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from thinkscore.engines.embedded import PACKAGED
from thinkscore.lab import world
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.train._grpo import JudgeTrainer
from thinkscore.train._rewards import Reward, reward_function
from thinkscore.train._rl_rows import dataset, shown
from thinkscore.train._run import Settings
from thinkscore.train.rl import Rl, _config


def rollouts(prompts: int, group: int, folder: str) -> tuple[JudgeTrainer, Any, Any, int]:
    """Draw one round; returns the trainer, ids and mask (rows, columns), and the number of completion columns."""
    size = prompts * group
    settings = Settings(learning_rate=1e-4, batch_size=size, micro_batch=size, threads=1, progress=False)
    rl = Rl(prompts=prompts, group=group, max_tokens=160, rounds=0)
    cases = [world.make_case(1, "train", i) for i in range(prompts)]
    trainer = JudgeTrainer(
        model=AutoModelForCausalLM.from_pretrained(PACKAGED),
        reward_funcs=reward_function(Reward(RmR1())),
        args=_config(settings, rl, Path(folder), 1),
        train_dataset=dataset(RmR1(), shown(cases, rl.orders, 1), prompts),
        processing_class=AutoTokenizer.from_pretrained(PACKAGED),
        spare=lambda step, k, block: block,
        decoder_workers=1,
    )
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    drawn = trainer._generate_and_score_completions(next(iter(trainer.get_train_dataloader())))
    mixed = torch.randperm(size, generator=torch.Generator().manual_seed(0))  # as TRL mixes them
    ids, mask = (torch.cat([drawn[f"prompt_{x}"], drawn[f"completion_{x}"]], 1)[mixed] for x in ("ids", "mask"))
    return trainer, ids, mask, drawn["completion_ids"].shape[1]


def main() -> None:
    """Print a line for each way and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--prompts", type=int, default=16)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        trainer, ids, mask, columns = rollouts(given.prompts, given.group, folder)
    times: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for _ in range(given.rounds):
        for shares in times:
            trainer._shares = shares
            start = time.process_time()
            with torch.no_grad():
                trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, columns)
            middle = time.process_time()
            logps, *_ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, columns)
            (logps * mask[:, -columns:]).sum().backward()
            times[shares].append((middle - start, time.process_time() - middle))
    each, once = ([statistics.median(column) for column in zip(*times[shares], strict=True)] for shares in times)
    print(f"{len(ids)} rows, prompts of {ids.shape[1] - columns} columns, completions of {columns}")
    print(f"each row its prompt: {each[0]:.2f} s without gradients, {each[1]:.2f} s with")
    print(f"each prompt once:    {once[0]:.2f} s without gradients, {once[1]:.2f} s with")
    print(f"ratio:               {each[0] / once[0]:.2f}, {each[1] / once[1]:.2f}")


if __name__ == "__main__":
    main()

"""Reinforcement learning of a judge with a verifiable reward: GRPO on pairs (or more) with gold.

Sources: RM-R1 (arXiv 2505.02387, section 4), RRM (arXiv 2505.14674), DeepSeek-GRM (arXiv 2504.02495, section 3.2), J1
(arXiv 2505.10320; both orders in a batch). The trainer is TRL's with `_grpo.py` on top; the rewards are in
`_rewards.py`. We differ: the place of the better answer is balanced exactly in every batch, cases without a signal are
replaced, and a reward may ask that the verdict follows from a sound evaluation (`faithful`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec
import torch
from datasets import Dataset
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import GRPOConfig

from ..errors import BadInput, MissingExtra
from ..protocols._base import Protocol
from ..types import Case, content_hash
from ._grpo import JudgeTrainer
from ._progress import Progress
from ._rewards import Reward, reward_function
from ._rl_rows import Orders, dataset, rows_of, shown, spare, split, usable
from ._rollouts import decodable
from ._run import Settings, arguments, begin, done, finish, load_model, load_tokenizer, lora, start
from ._usable import check_apart

__all__ = ["Rl", "left_out", "train_rl"]

Tell = Callable[[str], object]


class Rl(msgspec.Struct, frozen=True, kw_only=True):
    """What GRPO on judging needs beside `Settings`, whose `batch_size` counts completions per update."""

    group: int = 8
    """Completions per prompt."""
    prompts: int = 64
    """Prompts per round of rollouts; `batch_size / group` of them per update."""
    iterations: int = 1
    """Times that each rollout is trained on."""
    beta: float = 0.02
    """Weight of the KL divergence from the starting model (estimator k3, in the loss)."""
    clip_low: float = 0.2
    """The ratio of new to old probability is cut at 1 - this."""
    clip_high: float = 0.2
    """And at 1 + this; larger than `clip_low` is DAPO's clip-higher."""
    loss: Literal["grpo", "bnpo", "dapo", "dr_grpo"] = "dapo"
    """How token losses are put together, in TRL's names: grpo (mean per completion), bnpo (per token of a pass),
    dapo (per token of the update), dr_grpo."""
    scale: Literal["group", "batch", "none"] = "group"
    """What advantages are divided by: the standard deviation of the group, of the batch, or none."""
    temperature: float = 1.0
    top_p: float = 1.0
    max_prompt: int = 4096
    """Cases with longer prompts (tokens) are left out."""
    max_tokens: int = 8192
    """Limit of a completion; a longer one is cut and, without a verdict, a failure."""
    mask_cut: bool = False
    """Leave cut completions out of the loss (DAPO's over-long filtering)."""
    orders: Orders = "balanced"
    """balanced: the best answer stands at each place equally often in every batch; both: each case in both orders,
    side by side; as_is: as the file has them."""
    rounds: int = 2
    """Times that cases without a signal are replaced in a batch; 0 only reports them."""
    rollouts: Literal["auto", "transformers", "decoder", "vllm"] = "auto"
    """What draws completions: vLLM, transformers, or on a CPU the numpy decoder for small Qwen3 models."""
    vllm_mode: Literal["colocate", "server"] = "colocate"
    vllm_memory: float = 0.4
    """Share of a GPU's memory for vLLM in mode colocate."""
    vllm_parallel: int = 1
    """GPUs that share one vLLM engine (tensor parallel)."""
    check_every: int = 0
    """Updates between measurements on held-out cases; 0 for none."""

    def updates(self, settings: Settings) -> int:
        """Updates per round of rollouts. Raises `BadInput` where a round cannot be cut into whole updates."""
        rows = self.prompts * self.group
        if settings.batch_size % self.group or rows % settings.batch_size:
            raise BadInput(
                f"{self.prompts} prompts of {self.group} completions cannot be cut into updates of "
                f"{settings.batch_size} completions; give a multiple of the group that divides {rows}"
            )
        return rows // settings.batch_size * self.iterations


def train_rl(
    model: str | Path,
    cases: Sequence[Case],
    protocol: Protocol,
    out: Path,
    settings: Settings,
    rl: Rl = Rl(),  # noqa: B008 - frozen
    reward: Reward | None = None,
    held_out: Sequence[Case] = (),
    tell: Tell = lambda line: None,
) -> Counter[str]:
    """Train the model in `model` on cases with gold and save it in `out`; go on where an earlier try was stopped.

    Returns how many cases were left out, by reason, after `tell` was told so and before anything is drawn.

    Raises `BadInput` if no case is usable or the settings do not fit together.
    """
    start(settings)
    pay = reward or Reward(protocol)
    recipe = {
        "recipe": "rl", "model": str(model), "protocol": protocol.identity(), "settings": settings, "rl": rl,
        "reward": pay.settings(), "cases": content_hash([(case.content(), case.gold) for case in cases]),
    }  # fmt: skip
    tokenizer = load_tokenizer(model)
    context = getattr(AutoConfig.from_pretrained(model).get_text_config(), "max_position_embeddings", None)
    if bool(held_out) != bool(rl.check_every):
        raise BadInput("held-out cases and updates between checks go together: --held-out FILE --check-every N")
    read = partial(usable, reward=pay, tokenizer=tokenizer, max_prompt=rl.max_prompt, context=context)
    kept, measured, left = split(cases, held_out, rl.orders, read)
    steps = _steps(len(kept), settings, rl)
    config = _config(settings, rl, out, steps)
    checkpoint = begin(out, recipe)  # what cannot be trained has claimed nothing
    for line in left_out(left):
        tell(line)
    check_apart(kept, measured, tell)
    if done(out):
        return left
    loaded = load_model(model, settings)
    rounds = -(-steps // rl.updates(settings))
    further = spare(kept, rl.orders, settings.seed)
    trainer = JudgeTrainer(
        model=loaded,
        reward_funcs=reward_function(pay, ends=_ends(loaded, tokenizer)),
        args=config,
        train_dataset=dataset(protocol, shown(kept, rl.orders, settings.seed), rounds * rl.prompts),
        eval_dataset=_checked(protocol, measured, rl, settings.seed) if measured else None,
        processing_class=tokenizer,
        peft_config=lora(settings),
        callbacks=[Progress()] if settings.progress else [],
        spare=lambda step, k, block: rows_of(protocol, further(step, k, block[0]["place"])),
        block=_block(rl),
        rounds=rl.rounds,
        decoder_workers=_workers(settings, rl, loaded),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=checkpoint)
    finish(trainer, tokenizer, out)
    return left


def left_out(left: Mapping[str, int]) -> list[str]:
    """Say how many cases were left out, a line for each reason, the most frequent first."""
    return [f"left out: {count:,} cases: {reason}" for reason, count in sorted(left.items(), key=lambda item: -item[1])]


def _steps(cases: int, settings: Settings, rl: Rl) -> int:
    """Return the number of updates. Raises `BadInput` if there are not enough cases for one round."""
    if settings.steps > 0:
        return settings.steps
    rounds = int(settings.epochs * cases * _block(rl) // rl.prompts)
    if not rounds:
        raise BadInput(f"{cases} usable cases do not fill one round of {rl.prompts} prompts; give fewer prompts, more "
                       "epochs, or a number of steps")  # fmt: skip
    return rounds * rl.updates(settings)


def _ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens after which a completion was not cut: those of model and tokenizer."""
    stated = model.generation_config.eos_token_id
    listed = stated if isinstance(stated, list) else [stated]
    return [token for token in (*listed, tokenizer.eos_token_id, tokenizer.pad_token_id) if token is not None]


def _checked(protocol: Protocol, cases: Sequence[Case], rl: Rl, seed: int) -> Dataset:
    """Show each held-out case once, or in both orders where a reward joins them."""
    orders: Orders = "both" if rl.orders == "both" else "balanced"
    return dataset(protocol, shown(cases, orders, seed), len(cases) * _block(rl))


def _block(rl: Rl) -> int:
    return 2 if rl.orders == "both" else 1


def _config(settings: Settings, rl: Rl, out: Path, steps: int) -> GRPOConfig:
    """Say it in TRL's terms.

    Raises `BadInput` if the processes cannot share a round evenly, `MissingExtra` without a package that is asked for.
    """
    if rl.rollouts == "vllm" and not find_spec("vllm"):
        raise MissingExtra("rollouts by vLLM need it: pip install vllm; or take --rollouts transformers")
    world, updates = int(os.environ.get("WORLD_SIZE", "1")), rl.updates(settings)
    if rl.prompts % (world * _block(rl)):
        raise BadInput(f"{rl.prompts} prompts cannot be shared by {world} processes in blocks of {_block(rl)}")
    taken = arguments(settings, out) | {"max_steps": steps, "disable_dropout": True}
    # Only where a round of rollouts ends is everything that the next update needs in a checkpoint.
    taken["save_steps"] = -(-taken["save_steps"] // updates) * updates
    if rl.check_every:
        taken |= {"eval_strategy": "steps", "eval_steps": rl.check_every, "per_device_eval_batch_size": 64}
    if rl.rollouts == "vllm":
        taken |= {
            "use_vllm": True, "vllm_mode": rl.vllm_mode, "vllm_gpu_memory_utilization": rl.vllm_memory,
            "vllm_tensor_parallel_size": rl.vllm_parallel,
        }  # fmt: skip
    return GRPOConfig(
        **taken,
        num_generations=rl.group,
        num_generations_eval=1,
        generation_batch_size=rl.prompts * rl.group,
        num_iterations=rl.iterations,
        shuffle_dataset=False,
        beta=rl.beta,
        use_bias_correction_kl=False,  # the papers' k3 is plain; TRL's default is DeepSeek-V3.2's correction
        epsilon=rl.clip_low,
        epsilon_high=rl.clip_high,
        loss_type=rl.loss,
        scale_rewards=rl.scale,
        temperature=rl.temperature,
        top_p=rl.top_p,
        top_k=0,
        max_completion_length=rl.max_tokens,
        mask_truncated_completions=rl.mask_cut,
    )


def _workers(settings: Settings, rl: Rl, model: PreTrainedModel) -> int:
    """Processes of the numpy decoder, 0 if something else draws. Raises `BadInput` if it cannot run the model."""
    if rl.rollouts == "decoder" and (settings.lora or not decodable(model)):
        raise BadInput("the decoder runs small Qwen3 models without an adapter; use rollouts transformers or vllm")
    plain = not (torch.cuda.is_available() or settings.lora) and decodable(model)
    wanted = rl.rollouts == "decoder" or (rl.rollouts == "auto" and plain)
    return (settings.threads or os.cpu_count() or 1) if wanted else 0

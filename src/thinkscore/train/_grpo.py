"""TRL's GRPO with what it lacks: cases without a signal are replaced, and a prompt is read once for its completions.

A group whose rewards are all equal has no advantage and teaches nothing; on easy and on hopeless cases that is most
of a batch, and the few live rows then carry the whole step. As in DAPO (arXiv 2503.14476, section 3.2) further cases
are drawn in their place; we stop after a fixed number of rounds, and report both shares. Advantages, clipping, KL and
loss are TRL's.

Axes: B rows, W columns (prompt, padded on the left, then completion, padded on the right), K completion columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

import torch
from torch.utils.data import SequentialSampler
from trl import GRPOTrainer

from ..engines._hf_text import Chat
from ..engines._pool import Pool
from ..seeds import derive_seed
from ..types import Message
from ._passes import after_prompts, can_share, passes, together
from ._rollouts import decode, decoder

__all__ = ["Block", "JudgeTrainer", "Row"]

Row = dict[str, Any]
"""What a group of rollouts starts from: `prompt` (messages), `case` (JSON) and `order`."""
Block = list[Row]
"""Rows that are rewarded together: one case in one order, or in both."""

Drawn = tuple[list[list[int]], Any]
"""Completions as tokens, and their log-probabilities where vLLM drew them."""

PASS = 16_384
"""Tokens of one forward pass in a process that is alone."""


class JudgeTrainer(GRPOTrainer):
    """GRPO on judging with one reward function. Rows are taken in the order given: the recipe has balanced them."""

    def __init__(
        self,
        *args: Any,
        spare: Callable[[int, int, Block], Block],
        block: int = 1,
        rounds: int = 0,
        decoder_workers: int = 0,
        **more: Any,
    ) -> None:
        """Take what `GRPOTrainer` takes.

        A block has `block` rows. `spare(step, k, block)` gives the k-th further one at a step, in place of another;
        those without a signal are replaced up to `rounds` times. With `decoder_workers` completions are drawn on the
        numpy decoder.
        """
        super().__init__(*args, **more)
        self.spare, self.block, self.rounds, self.decoder_workers = spare, block, rounds, decoder_workers
        self._drawn: Drawn | None = None
        self._pool: Pool | None = None
        self._drawn_tokens = self._evaluated = 0
        self._sizes: list[int] = []
        self._shares = can_share(self.model) and not self.args.gradient_checkpointing
        self._chat = Chat(copy(self.processing_class))

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        read = [tuple(Message(**turn) for turn in prompt) for prompt in prompts]
        known = {prompt: list(self._chat.ids(prompt)) for prompt in dict.fromkeys(read)}
        return [known[prompt] for prompt in read], None, {}

    def evaluate(self, *args: Any, **more: Any) -> dict[str, float]:
        self._evaluated, self._sizes = 0, []
        with self._decoder():
            found: dict[str, float] = super().evaluate(*args, **more)
        return found

    @contextmanager
    def _decoder(self) -> Iterator[Pool | None]:
        """Hold the numpy decoder, if it is used, with the weights of now: its workers take time to start."""
        if self._pool is not None or not self.decoder_workers:
            yield self._pool
            return
        with decoder(self.accelerator.unwrap_model(self.model), self.decoder_workers) as self._pool:
            try:
                yield self._pool
            finally:
                self._pool = None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Weigh batches of held-out rows by their sizes: the last one may be small. TRL weighs all alike."""
        if not self.model.training:
            for name, means in self._metrics["eval"].items():
                known = [(mean, n) for mean, n in zip(means, self._sizes, strict=False) if not math.isnan(mean)]
                if known and len(means) == len(self._sizes):
                    self._metrics["eval"][name] = [sum(mean * n for mean, n in known) / sum(n for _, n in known)]
        super().log(logs, start_time)

    def _get_eval_sampler(self, eval_dataset: Any) -> SequentialSampler:
        return SequentialSampler(eval_dataset)  # both orders of a case stay in one batch

    def _generate_and_score_completions(self, inputs: list[Row]) -> dict[str, Any]:
        if not self.model.training:
            self._sizes.append(len(inputs))
        elif self.rounds:
            with self._decoder():
                inputs, self._drawn = self._filled(inputs)
        try:
            scored: dict[str, Any] = super()._generate_and_score_completions(inputs)
            return scored
        finally:
            self._drawn = None

    def _filled(self, inputs: list[Row]) -> tuple[list[Row], Drawn]:
        """Draw for each block, then replace those without a signal, as far as the rounds go."""
        rows = inputs[:: self.num_generations]
        blocks = [rows[start : start + self.block] for start in range(0, len(rows), self.block)]
        drawn: list[Drawn] = [([], None) for _ in blocks]
        dead, shares, k = list(range(len(blocks))), [], self.accelerator.process_index
        self._drawn_tokens = 0
        for round_ in range(self.rounds + 1):
            for i in dead if round_ else []:
                blocks[i] = self.spare(self.state.global_step, k, blocks[i])
                k += self.accelerator.num_processes  # no two processes are given the same
            # Every process draws as often as the others, needed or not: sharded models and servers wait for all.
            wanted = self._even(dead) if self.use_vllm else dead or [0]
            for i, completions in zip(dead, self._draw([blocks[i] for i in wanted], round_), strict=False):
                drawn[i] = completions
            paid = {i: self._paid(blocks[i], drawn[i][0]) for i in dead}
            if round_ == 0:
                flat = [reward for group in paid.values() for reward in group]
                self._log_mean("reward_drawn", sum(flat), len(flat))
            dead = [i for i in dead if self._is_dead(paid[i])]
            shares.append(self._log_mean("", len(dead), len(blocks)))
            if not shares[-1]:
                break
        self._metrics["train"]["drawn_tokens"].append(self._drawn_tokens)
        self._metrics["train"]["zero_variance/drawn"].append(shares[0])
        self._metrics["train"]["zero_variance/trained"].append(shares[-1])
        repeated = [row for block in blocks for row in block for _ in range(self.num_generations)]
        logps = None if drawn[0][1] is None else [one for _, block in drawn for one in block or []]
        return repeated, ([ids for block, _ in drawn for ids in block], logps)

    def _even(self, dead: list[int]) -> list[int]:
        """Draw for as many blocks as any other process: vLLM's servers cut what they return into equal parts."""
        most = int(self.accelerator.gather(torch.tensor([max(1, len(dead))], device=self.accelerator.device)).max())
        return [*dead, *[0] * (most - len(dead))]

    def _log_mean(self, name: str, total: float, count: int) -> float:
        """Return total / count over all processes, and log it if it has a name."""
        local = torch.tensor([total, count], dtype=torch.float, device=self.accelerator.device)
        total, count = self.accelerator.reduce(local, reduction="sum").tolist()
        if name:
            self._metrics["train"][name].append(total / count)
        return total / count

    def _draw(self, blocks: Sequence[Block], round_: int) -> Iterator[Drawn]:
        """Draw a group of completions for each row; yields those of a block as one list."""
        size = self.num_generations
        ids, *_ = self._tokenize_prompts([row["prompt"] for block in blocks for row in block for _ in range(size)])
        flat, logps = self._generate_single_turn(ids, None, {}, size, round_=round_)
        self._drawn_tokens += sum(map(len, flat)) + sum(map(len, ids[::size]))
        cuts = [slice(start, start + size * self.block) for start in range(0, len(flat), size * self.block)]
        return ((flat[cut], None if logps is None else logps[cut]) for cut in cuts)

    def _paid(self, block: Block, drawn: list[list[int]]) -> list[float]:
        """Return the rewards of a block's completions, row by row."""
        inputs = [row for row in block for _ in range(self.num_generations)]
        said = self.processing_class.batch_decode(drawn, skip_special_tokens=True)
        paid: list[float] = self.reward_funcs[0](
            completions=[[{"role": "assistant", "content": text}] for text in said],
            completion_ids=drawn,
            prompts=[row["prompt"] for row in inputs],
            **{key: [row[key] for row in inputs] for key in block[0] if key != "prompt"},
        )
        return paid

    def _is_dead(self, paid: Sequence[float]) -> bool:
        """Tell whether all rewards of each group in a block are equal."""
        size = self.num_generations
        groups = [paid[start : start + size] for start in range(0, len(paid), size)]
        return all(max(group) == min(group) for group in groups)

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, fields: Any, number: int, *rest: Any, round_: int = 0
    ) -> tuple[list[list[int]], Any]:
        if self._drawn is not None:
            return self._drawn
        with self._decoder() as pool:
            if pool is None:
                completions: tuple[list[list[int]], Any] = super()._generate_single_turn(
                    prompt_ids, images, fields, number, *rest
                )
                return completions
            mode = "train" if self.model.training else "eval"
            here = (mode, self.args.seed, self.state.global_step, self.accelerator.process_index, round_)
            start = self._evaluated if mode == "eval" else 0
            self._evaluated = start + len(prompt_ids)
            seeds = [derive_seed("rollout", *here, start + place) for place in range(len(prompt_ids))]
            return decode(
                pool, prompt_ids, seeds, self.max_completion_length, self.temperature, self.top_p, self.eos_token_ids,
                self.model.config.max_position_embeddings,
            ), None  # fmt: skip

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, batch_size: Any = None, **more: Any
    ) -> tuple[Any, Any, Any]:
        """Do what TRL does on rows of like length at a time, without the work that they share (see `_passes.py`)."""
        prompt, widths_B = attention_mask.shape[1] - logits_to_keep, attention_mask.sum(1)
        # Sharded models must all make the same passes: there only the padding goes.
        alone = self.accelerator.num_processes == 1
        share = alone and self._shares and not more.get("compute_aux_loss")
        if share:
            widths_B = together(input_ids[:, :prompt], widths_B)
        places = torch.argsort(widths_B, stable=True) if alone else torch.arange(len(widths_B), device=widths_B.device)
        parts, balance = [], []
        for part in passes(places, widths_B, PASS) if alone else [places]:
            used_W = attention_mask[part].any(0).nonzero()[:, 0]
            # One column of the completion stays, where all of them are masked as well.
            left, right = int(used_W[0]), max(int(used_W[-1]) + 1, prompt + 1)
            padding = attention_mask.shape[1] - right
            ids, mask = input_ids[part, left:right], attention_mask[part, left:right]
            with self.accelerator.autocast():
                shared = after_prompts(model, ids, mask, prompt - left) if share else None
            if shared is not None:
                ids, mask = ids[:, prompt - left - 1 :], mask[:, prompt - left - 1 :]
            found = super()._get_per_token_logps_and_entropies(
                shared or model, ids, mask, logits_to_keep - padding, None if shared else batch_size, **more
            )
            parts.append([None if x is None else torch.nn.functional.pad(x, (0, padding)) for x in found[:2]])
            balance.append(found[2])
        back = torch.argsort(places)
        logps, entropies = (
            None if column[0] is None else torch.cat(column)[back] for column in zip(*parts, strict=True)
        )
        return logps, entropies, None if balance[0] is None else torch.stack(balance).mean()

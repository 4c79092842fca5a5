"""What the recipes with a scalar head share: rows as tokens, a trainer with held-out values, and the best epoch.

A conversation becomes the very tokens that `hf:DIR` reads when it gives `values` (`engines/_hf_text.py`), so that the
finished model ranks what it was trained on. Nothing is left out without a word: what cannot be trained on is counted
and refused, or with `drop` counted and left out.

Axes: B rows of a batch, T positions.
"""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import (
    AutoConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from trl.trainer.reward_trainer import suppress_seqcls_warning

from ..engines._hf_text import Chat
from ..errors import BadInput
from ..types import Message
from . import _run, _sft
from ._trainer import OwnTrainer

__all__ = ["ByLength", "Held", "Reader", "Refused", "Sorted", "check", "load_head", "padded", "values"]

Measure = Callable[[list[float]], Mapping[str, float]]
"""Turns the values of all held-out rows into figures for the log."""

CHUNK = 50  # batches among which rows are put with others of like length


class Refused:
    """Counts rows that cannot be trained on, by reason, with the first of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, reason: str, place: str) -> None:
        """Count one row; `place` names it."""
        self.counts[reason] += 1
        self._first.setdefault(reason, place)

    def settle(self, seen: int, what: str, drop: bool, tell: Callable[[str], object] = lambda line: None) -> None:
        """Tell the counts of those that are dropped.

        Raises `BadInput` with all counts if some of those seen were refused and may not be dropped, or all were.
        """
        listed = "; ".join(f"{n} {reason} (first: {self._first[reason]})" for reason, n in self.counts.most_common())
        if self.counts and not drop:
            raise BadInput(f"{self.counts.total()} of {seen} {what} cannot be trained on: "
                           f"{listed}; mend the file, or leave them out with --drop")  # fmt: skip
        if seen == self.counts.total():
            raise BadInput(f"there are no {what} to train on{': ' if listed else ''}{listed}")
        if self.counts:
            tell(f"{self.counts.total()} of {seen} {what} are left out: {listed}")


class Reader:
    """Turns conversations into tokens, as the engine reads them."""

    def __init__(self, model: str | Path, max_length: int = 0) -> None:
        """Load the tokenizer; `max_length` bounds the tokens of a row besides the model's own limit.

        Raises `EngineUnavailable`, or `BadInput` without a chat template.
        """
        self.tokenizer: PreTrainedTokenizerBase = _run.load_tokenizer(model)
        self._chat = Chat(_run.load_tokenizer(model))  # its own: it changes how special tokens in texts are read
        self._unknown = self.tokenizer.unk_token_id
        config = AutoConfig.from_pretrained(model).get_text_config()
        limits = [max_length, getattr(config, "max_position_embeddings", None)]
        self._longest = min((limit for limit in limits if limit), default=None)

    def ids(self, messages: Sequence[Message]) -> array[int] | str:
        """Return the tokens of a conversation (4 bytes each), or why it cannot be trained on."""
        try:
            ids = array("i", self._chat.ids(messages, answer=False))
        except BadInput as error:
            return str(error)
        if self._loses(messages):
            return "whose thinking the model's chat template leaves out; use another chat template"
        if self._unknown is not None and self._unknown in ids:
            return "with words that the model's vocabulary lacks"
        if self._longest is not None and len(ids) > self._longest:
            return f"longer than {self._longest} tokens"
        return ids

    def _loses(self, messages: Sequence[Message]) -> bool:
        """Tell whether the template drops the thinking of the last turn, as some do."""
        if "</think>" not in messages[-1].content:
            return False
        turns = [{"role": message.role, "content": message.content} for message in messages if message.role != "system"]
        text: Any = self.tokenizer.apply_chat_template(turns[-2:], tokenize=False)
        return messages[-1].content.strip() not in text


def load_head(model: str | Path, settings: _run.Settings) -> PreTrainedModel:
    """Load a model under a scalar head that the seed fixes, wrapped in an adapter if the settings say so."""
    _run.start(settings)
    set_seed(settings.seed)
    with suppress_seqcls_warning():
        loaded = _run.load_model(model, settings, scalar=True)
    if loaded.config.num_labels != 1:
        raise BadInput(f"{model} has {loaded.config.num_labels} labels; a reward model has one")
    adapter = _run.lora(settings, "SEQ_CLS")
    if adapter is None:
        return loaded
    from peft import get_peft_model

    return get_peft_model(loaded, adapter)


def check(settings: _run.Settings, muon_lr: float) -> None:
    """Raise `BadInput` for settings that no trainer could start with: to be called before OUT is claimed."""
    if muon_lr and settings.lora:
        raise BadInput("--muon-lr drives whole matrices; with --lora there are none to drive")


class Sorted(Sampler[int]):
    """Draws rows in a new random order each epoch, those of like length together, so that little is padding.

    Orders derive from (seed, epoch): a resumed run meets the same batches. The epoch is asked for when an order begins:
    what accelerate tells a sampler (`set_epoch`) is lost in a run of several processes that is resumed within an epoch.
    """

    epoch: Callable[[], int]
    """Says which epoch it is, from 0."""

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self._lengths, self._batch, self._seed = lengths, batch, seed
        self.epoch = lambda: 0

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = random.Random(f"{self._seed} {self.epoch()}")
        order = rng.sample(range(len(self)), len(self))
        wide = self._batch * CHUNK
        for start in range(0, len(order), wide):
            ranked = sorted(order[start : start + wide], key=self._lengths.__getitem__)
            full = len(ranked) // self._batch * self._batch
            batches = [ranked[k : k + self._batch] for k in range(0, full, self._batch)]
            rng.shuffle(batches)
            for batch in [*batches, ranked[full:]]:
                yield from batch


def values(model: torch.nn.Module, rows: Sequence[array[int]], pad: int, tokens: int = 8192) -> list[float]:
    """Return the head's value of each row, in order, from batches of about `tokens` tokens."""
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    found = [0.0] * len(rows)
    ranked = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    while ranked:
        count = max(1, tokens // len(rows[ranked[-1]]))
        batch, ranked = ranked[-count:], ranked[:-count]
        ids_BT, mask_BT = padded([rows[i] for i in batch], pad)
        with torch.no_grad():
            made = model(input_ids=ids_BT.to(device), attention_mask=mask_BT.to(device), use_cache=False)
        for i, value in zip(batch, made.logits[:, 0].float().tolist(), strict=True):
            found[i] = value
    model.train(training)
    return found


def padded(rows: Sequence[array[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad rows of tokens on the right; returns tokens and mask."""
    ids_BT = _sft.padded([_sft.Row(row, 0) for row in rows], pad)["input_ids"]
    lengths_B1 = torch.tensor([[len(row)] for row in rows])
    return ids_BT, (torch.arange(ids_BT.shape[1]) < lengths_B1).long()


class Held(TrainerCallback):
    """Measures held-out rows after every epoch, logs it, and can keep the weights of the best epoch.

    Log rows carry `epoch` and the figures. The best weights are in OUT/trainer/best.pt until the run is done: what
    an interrupted run had found before its last checkpoint is found again.
    """

    def __init__(self, rows: Sequence[array[int]], measure: Measure, best_by: str = "") -> None:
        self._rows, self._measure, self._best_by = rows, measure, best_by
        self.trainer: Trainer
        """Set once there is one."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measure what a run that was killed right after its save at the end of an epoch could not."""
        told = any(row["step"] == state.global_step and "held_out_n" in row for row in state.log_history)
        if state.global_step and state.epoch == round(state.epoch or 0) and not told:
            self._measured(state)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measure."""
        self._measured(state)

    def _measured(self, state: TrainerState) -> None:
        model = self.trainer.model
        found = self._measure(values(model, self._rows, model.config.get_text_config().pad_token_id))
        self.trainer.log({f"held_out_{name}": value for name, value in found.items()})
        if self._best_by in found and state.is_world_process_zero:
            self._keep(found[self._best_by], state)

    def _keep(self, reached: float, state: TrainerState) -> None:
        file = self._file
        if file.is_file():
            best = torch.load(file)
            if (best["reached"], -best["step"]) >= (reached, -state.global_step):
                return
        file.parent.mkdir(parents=True, exist_ok=True)
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        kept = {name: part.detach().cpu() for name, part in model.named_parameters() if part.requires_grad}
        torch.save({"reached": reached, "step": state.global_step, "weights": kept}, f"{file}.partial")
        Path(f"{file}.partial").replace(file)

    def restore(self) -> None:
        """Put the best weights back, if they were kept."""
        if self._best_by and self._file.is_file():
            best = torch.load(self._file)
            self.trainer.accelerator.unwrap_model(self.trainer.model).load_state_dict(best["weights"], strict=False)
            self.trainer.log({"kept_step": float(best["step"]), "kept_held_out": best["reached"]})

    @property
    def _file(self) -> Path:
        return Path(str(self.trainer.args.output_dir)) / "best.pt"


class ByLength(OwnTrainer):
    """Draws its rows by a `Sorted`, and measures held-out ones if there are any."""

    def ready(self, sampler: Any, settings: _run.Settings, muon_lr: float | None, held: Held | None = None) -> None:
        super().ready(sampler, settings, muon_lr)
        sampler.epoch = lambda: int(self.state.epoch or 0)
        if held is not None:
            held.trainer = self
            self.add_callback(held)

"""Supervised training on token rows: TRL's SFTTrainer on rows that are tokens already, in an order that is ours.

One trainer for every size. Rows are drawn one by one, `batch_size` per update, on TRL's fused head, which never holds
all logits; or, for small models, in passes of about `batch_tokens` tokens of rows of like length on the model's own
loss, which is faster there. The order hangs on the seed and the epoch alone, so that a run that goes on after a kill
sees the rows that it would have seen.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from torch.utils.data import SequentialSampler
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, set_seed
from trl import SFTConfig, SFTTrainer

from ..errors import BadInput
from ..seeds import derive_seed
from ._run import Settings, arguments, lora, start
from ._trainer import OwnTrainer

__all__ = ["IGNORED", "Row", "batches", "check_passes", "padded", "train"]

IGNORED = -100
CHUNK = 1000


class Row(NamedTuple):
    """One training text as tokens."""

    ids: Sequence[int]
    """All tokens."""
    start: int
    """First position that is trained; what comes before is only read."""


def batches(rows: Sequence[Row], tokens: int, seed: int) -> list[list[int]]:
    """Cut rows into batches (lists of places) of about `tokens` tokens, rows of like length together.

    Batches are in random order within every `CHUNK` rows; the chunks stay in the order of the rows, so that a
    curriculum is kept.
    """
    rng = random.Random(seed)
    found: list[list[int]] = []
    for begin in range(0, len(rows), CHUNK):
        places = range(begin, min(begin + CHUNK, len(rows)))
        chunk = list(_cut(rows, sorted(places, key=lambda place: len(rows[place].ids)), tokens))
        rng.shuffle(chunk)
        found += chunk
    return found


def _cut(rows: Sequence[Row], ranked: Sequence[int], tokens: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for place in ranked:
        if batch and (len(batch) + 1) * len(rows[place].ids) > tokens:
            yield batch
            batch = []
        batch.append(place)
    yield batch


def padded(rows: Sequence[Row], pad: int) -> dict[str, torch.Tensor]:
    """Make tensors of rows, padded on the right; what is not trained has the label `IGNORED`."""
    width = max(len(row.ids) for row in rows)
    ids_BT = torch.full((len(rows), width), pad)
    labels_BT = torch.full((len(rows), width), IGNORED)
    for b, row in enumerate(rows):
        ids_BT[b, : len(row.ids)] = torch.tensor(row.ids)
        labels_BT[b, row.start : len(row.ids)] = torch.tensor(row.ids[row.start :])
    return {"input_ids": ids_BT, "labels": labels_BT}


def _order(rows: Sequence[Row], settings: Settings, batch_tokens: int) -> list[list[int]]:
    """Lay out the whole run: `batch_size` lists of places make an update."""
    found: list[list[int]] = []
    for epoch in range(10**9):
        seed = derive_seed(settings.seed, "epoch", epoch) if epoch else settings.seed
        one = batches(rows, batch_tokens, seed) if batch_tokens else _shuffled(len(rows), seed)
        found += one
        wanted = settings.steps * settings.batch_size if settings.steps > 0 else ceil(settings.epochs * len(one))
        if len(found) >= wanted:
            return found[:wanted]
    raise AssertionError("an epoch holds at least one row")


def _shuffled(n: int, seed: int) -> list[list[int]]:
    return [[place] for place in random.Random(seed).sample(range(n), n)]


class _Collator:
    """Turns lists of places into one padded batch."""

    def __init__(self, rows: Sequence[Row], pad: int, masked: bool) -> None:
        self.rows, self.pad, self.masked = rows, pad, masked

    def __call__(self, items: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        chosen = [self.rows[place] for item in items for place in item["rows"]]
        batch = padded(chosen, self.pad)
        if not self.masked:  # attention is causal and pads are on the right: no real token ever sees one
            return batch
        lengths_B1 = torch.tensor([[len(row.ids)] for row in chosen])
        return batch | {"attention_mask": (torch.arange(batch["input_ids"].shape[1]) < lengths_B1).long()}


class _Trainer(OwnTrainer, SFTTrainer):
    """TRL's trainer; `plain` takes the loss from the model itself."""

    plain = False

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        kind = Trainer if self.plain else SFTTrainer
        return kind.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)


def check_passes(settings: Settings, batch_tokens: int = 0) -> None:
    """Raise `BadInput` if a batch cannot be cut into passes as the settings say."""
    if batch_tokens and settings.micro_batch != 1:
        raise BadInput("a forward pass is measured in rows or in tokens; give a micro batch or tokens, not both")
    _ = settings.accumulation  # raises


def train(
    model: PreTrainedModel,
    rows: Sequence[Row],
    tokenizer: PreTrainedTokenizerBase,
    settings: Settings,
    out: Path,
    *,
    muon_lr: float | None = None,
    batch_tokens: int = 0,
    checkpoint: str | None = None,
) -> Trainer:
    """Train `model` in place on the rows, from `checkpoint` on if there is one; the log is in the trainer's state.

    With `muon_lr` Muon drives the hidden matrices at that rate. With `batch_tokens` a forward pass holds about so many
    tokens, padding included, and `batch_size` counts passes. The same seed, machine and thread count give the same
    weights, killed and resumed or not.
    """
    check_passes(settings, batch_tokens)
    start(settings)
    set_seed(settings.seed)
    order = _order(rows, settings, batch_tokens)
    updates = ceil(len(order) / settings.batch_size)
    config = SFTConfig(
        **arguments(settings, out)
        | {
            "num_train_epochs": 1,
            "max_steps": -1,
            "logging_steps": max(1, min(25, updates // 20)),
            "max_length": None,
            "remove_unused_columns": False,
            "dataset_kwargs": {"skip_prepare_dataset": True},
        }
    )
    cached, model.config.use_cache = model.config.use_cache, False  # nothing is generated while training
    trainer = _Trainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_dict({"rows": order}),
        data_collator=_Collator(rows, tokenizer.pad_token_id, masked=not batch_tokens),
        processing_class=tokenizer,
        peft_config=lora(settings),
    )
    trainer.plain = bool(batch_tokens)
    trainer.ready(SequentialSampler(order), settings, muon_lr)
    trainer.train(resume_from_checkpoint=checkpoint)
    model.config.use_cache = cached
    return trainer

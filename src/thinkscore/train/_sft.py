"""Supervised training on token rows, for small models: length-sorted batches, Muon and AdamW, loss curve kept.

A `transformers.Trainer`, configured. Muon (K. Jordan, 2024) drives the hidden matrices, AdamW the rest: on the
lab's models it needs about half of the steps.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.data import SequentialSampler
from transformers import PreTrainedModel, Trainer, TrainingArguments, set_seed

IGNORED = -100
CHUNK = 1000


class Row(NamedTuple):
    """One training text as tokens."""

    ids: list[int]
    """All tokens."""
    start: int
    """First position that is trained; what comes before is only read."""


class Settings(NamedTuple):
    """What the training loop needs to know."""

    muon_lr: float
    adam_lr: float
    batch_tokens: int
    """Tokens per forward pass, padding included."""
    seed: int
    passes: int = 1
    """Forward passes per step: rows of one pass are of like length, several passes mix them."""
    warmup: float = 0.03
    """Share of the steps over which the learning rate rises; it then falls as a cosine to 2 %."""
    weight_decay: float = 0.01


class MuonAdamW(torch.optim.Optimizer):
    """Muon for hidden matrices, AdamW for embeddings, norms and heads, as one optimizer."""

    def __init__(self, model: torch.nn.Module, settings: Settings) -> None:
        hidden = [
            p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name and "head" not in name
        ]
        known = {id(p) for p in hidden}
        other = [p for p in model.parameters() if id(p) not in known]
        self.parts: list[torch.optim.Optimizer] = [
            torch.optim.Muon(hidden, lr=settings.muon_lr, weight_decay=settings.weight_decay),
            torch.optim.AdamW(other, lr=settings.adam_lr, weight_decay=settings.weight_decay, betas=(0.9, 0.98)),
        ]
        # The groups are shared with the parts, so that a scheduler that sets a rate here sets it there.
        super().__init__([group for part in self.parts for group in part.param_groups], {})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = closure() if closure is not None else None
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)


def batches(rows: Sequence[Row], tokens: int, seed: int, pad: int) -> list[dict[str, torch.Tensor]]:
    """Cut rows into batches of about `tokens` tokens, rows of like length together.

    Batches are in random order within every `CHUNK` rows; the chunks stay in the order of the rows, so that a
    curriculum is kept.
    """
    rng = random.Random(seed)
    found: list[list[Row]] = []
    for start in range(0, len(rows), CHUNK):
        ranked = sorted(rows[start : start + CHUNK], key=lambda row: len(row.ids))
        chunk = list(_cut(ranked, tokens))
        rng.shuffle(chunk)
        found += chunk
    return [_padded(batch, pad) for batch in found]


def _cut(ranked: Sequence[Row], tokens: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in ranked:
        if batch and (len(batch) + 1) * len(row.ids) > tokens:
            yield batch
            batch = []
        batch.append(row)
    yield batch


def _padded(rows: Sequence[Row], pad: int) -> dict[str, torch.Tensor]:
    # Rows are padded on the right and attention is causal: no real token ever sees a pad, so no mask is needed.
    width = max(len(row.ids) for row in rows)
    ids_BT = torch.full((len(rows), width), pad)
    labels_BT = torch.full((len(rows), width), IGNORED)
    for b, row in enumerate(rows):
        ids_BT[b, : len(row.ids)] = torch.tensor(row.ids)
        labels_BT[b, row.start : len(row.ids)] = torch.tensor(row.ids[row.start :])
    return {"input_ids": ids_BT, "labels": labels_BT}


class _Trainer(Trainer):
    """A trainer that takes ready batches in the order given."""

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(train_dataset or self.train_dataset)


def train(
    model: PreTrainedModel, rows: Sequence[Row], pad: int, settings: Settings, out: Path
) -> list[dict[str, float]]:
    """Train `model` in place for one pass over the rows; returns and saves the loss curve (OUT/loss.jsonl).

    The same seed, machine and thread count give the same weights.
    """
    set_seed(settings.seed)
    data = batches(rows, settings.batch_tokens, settings.seed, pad)
    arguments = TrainingArguments(
        output_dir=str(out / "trainer"),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=settings.passes,
        num_train_epochs=1,
        learning_rate=settings.adam_lr,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.02},
        warmup_steps=max(1, int(settings.warmup * len(data) / settings.passes)),
        logging_steps=max(1, min(25, len(data) // settings.passes // 20)),
        save_strategy="no",
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
        bf16=False,
        remove_unused_columns=False,
        disable_tqdm=True,
        seed=settings.seed,
        dataloader_pin_memory=False,
    )
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=lambda items: items[0],
        optimizers=(MuonAdamW(model, settings), None),
    )
    model.config.use_cache = False  # nothing is generated while training
    trainer.train()
    model.config.use_cache = True
    curve = [entry for entry in trainer.state.log_history if "loss" in entry]
    out.mkdir(parents=True, exist_ok=True)
    (out / "loss.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in curve))
    return curve

"""Train a meta reward model: a scalar head that tells right traces of a judge from wrong ones.

Source: DeepSeek-GRM (SPCT, arXiv 2504.02495, section 4.2): binary cross-entropy on the correctness of sampled traces
(its equation 10: the verdict names the one best candidate by gold), non-hinted ones of the judge itself among them.
Its values then choose which votes count. Labels cost nothing: a journal of a run on cases with gold holds them. We
differ in that a trace whose verdict cannot be read is labelled wrong (the paper does not say; such a trace earns no
reward either), in the choice of what is shown before the trace (`protocols/_meta.py`), in classes that can be
balanced, and in what is reported: how well values rank all held-out traces, and above all those of one and the same
case, which is what choosing among votes needs. A model that only knows which cases are hard fails the second.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from datasets import Dataset
from transformers import TrainingArguments

from ..data import write_rows
from ..errors import BadInput
from ..protocols._meta import Form, form_of
from ..seeds import derive_seed
from ..types import content_hash
from . import _head, _run
from ._labels import Labelled, Report, labelled, measured

__all__ = ["DEFAULTS", "Labelled", "Options", "Report", "balance", "bce", "labelled", "measured", "train_meta"]

DEFAULTS: Mapping[str, Any] = {"learning_rate": 1e-5, "batch_size": 512, "schedule": "cosine", "warmup": 0.03}
"""Rate and batch size are the paper's; it does not tell the rest."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is special to this recipe."""

    form: Form = "prompt"
    """What is shown before the trace: the judge's own prompt, or plainly conversation and candidates."""
    held_out: float = 0.2
    """Share of prompts that is held out; all traces on one prompt are on one side."""
    balanced: bool = False
    """Weigh both labels alike, however many traces have them."""
    muon_lr: float = 0.0
    """Rate of Muon on hidden matrices (small models learn faster); 0 is AdamW alone."""
    keep_best: bool = False
    """Keep the epoch with the best held-out AUC; else the last."""
    max_length: int = 0
    """Longest conversation with its trace, in tokens; 0 is the model's own limit."""
    drop: bool = False
    """Leave out traces that cannot be trained on, counted, where else they are refused."""


def train_meta(
    model: str | Path,
    rows: Sequence[Labelled],
    out: Path,
    settings: _run.Settings,
    options: Options | None = None,
    refused: _head.Refused | None = None,
    tell: Callable[[str], object] = lambda line: None,
) -> Report:
    """Train a head on labelled traces; returns what it is worth on the held-out ones (also in OUT/report.json).

    Raises `BadInput`, with counts, where there is nothing to learn or a row cannot be trained on, before training.
    """
    options = options or Options()
    form_of(options.form)
    if options.keep_best and not options.held_out:
        raise BadInput("the best epoch can be told by held-out traces only; hold a share of prompts out (--held-out)")
    _head.check(settings, options.muon_lr)
    config = TrainingArguments(**_run.arguments(settings, out), remove_unused_columns=False)
    reader, refused = _head.Reader(model, options.max_length), refused or _head.Refused()
    seen = len(rows) + refused.counts.total()
    read = [(row, reader.ids(row.messages)) for row in rows]
    kept = [(row, ids) for row, ids in read if not isinstance(ids, str)]
    for row, ids in read:
        if isinstance(ids, str):
            refused.add(ids, row.case_id)
    refused.settle(seen, "traces", options.drop, tell)
    held = [_is_held(row.group, options.held_out, settings.seed) for row, _ in kept]
    sides = [[pair for pair, is_held in zip(kept, held, strict=True) if is_held == side] for side in (False, True)]
    _check([row for row, _ in sides[0]], [row for row, _ in sides[1]], options.held_out)
    checkpoint = _run.begin(out, _recipe(model, rows, settings, options))
    if not _run.done(out):
        _train(model, sides[0], sides[1], reader, settings, options, config, out, checkpoint)
    return msgspec.json.decode((out / "report.json").read_bytes(), type=Report)


def _is_held(group: str, share: float, seed: int) -> bool:
    return derive_seed("meta", seed, group) % 10**6 < share * 10**6


def _check(rows: Sequence[Labelled], held: Sequence[Labelled], share: float) -> None:
    """Raise `BadInput` unless there is something to learn, and something to measure it on."""
    read = [row for row in held if row.readable]  # others cast no vote: nothing is measured on them
    for side, some in (("to train on", rows), ("held out with a verdict", read))[: 2 if share else 1]:
        right = sum(row.right for row in some)
        if right in {0, len(some)}:
            raise BadInput(
                f"all labels are on one side: of {len(some)} traces {side} {right} are right and {len(some) - right} "
                "wrong; sample more traces, at a higher temperature, or of harder cases (or hold another share out)"
            )


def _recipe(
    model: str | Path, rows: Sequence[Labelled], settings: _run.Settings, options: Options
) -> dict[str, object]:
    return {
        "recipe": "meta",
        "model": str(model),
        "traces": len(rows),
        "traces_hash": content_hash(rows),
        "settings": settings,
        "options": options,
    }


Row = tuple[Labelled, "array[int]"]


def _train(
    model: str | Path,
    rows: Sequence[Row],
    held: Sequence[Row],
    reader: _head.Reader,
    settings: _run.Settings,
    options: Options,
    config: TrainingArguments,
    out: Path,
    checkpoint: str | None,
) -> None:
    network = _head.load_head(model, settings)
    pad = reader.tokenizer.pad_token_id
    network.config.get_text_config().pad_token_id = pad  # the head reads the last token that is none
    trainer = _Trainer(
        model=network,
        args=config,
        train_dataset=_dataset(rows, options.balanced),
        data_collator=_Collator([ids for _, ids in rows], pad),
        processing_class=reader.tokenizer,
    )
    labels, held_ids = [row for row, _ in held], [ids for _, ids in held]
    callback = _head.Held(held_ids, lambda values: _figures(measured(values, labels, 0)), "auc" * options.keep_best)
    sampler = _head.Sorted([len(ids) for _, ids in rows], settings.micro_batch, settings.seed)
    trainer.ready(sampler, settings, options.muon_lr, callback if held else None)
    trainer.train(resume_from_checkpoint=checkpoint)
    if held:
        callback.restore()
    values = _head.values(trainer.model, held_ids, pad)
    if trainer.is_world_process_zero():
        _write(out, measured(values, labels, settings.seed, bounds=True), labels, values)
    _run.finish(trainer, reader.tokenizer, out)


def _figures(report: Report) -> dict[str, float]:
    told = {name: getattr(report, name) for name in ("auc", "auc_within", "accuracy")}
    return {name: value for name, value in told.items() if value is not None} | {"n": float(report.traces)}


def _write(out: Path, report: Report, rows: Sequence[Labelled], values: Sequence[float]) -> None:
    """Keep the report, and the value of every held-out trace."""
    with write_rows(str(out / "held_out.jsonl")) as write:
        for row, value in zip(rows, values, strict=True):
            write({"case_id": row.case_id, "right": row.right, "readable": row.readable, "value": value})
    (out / "report.json").write_text(json.dumps(msgspec.to_builtins(report), indent=2) + "\n")


def bce(values_B: torch.Tensor, right_B: torch.Tensor, weights_B: torch.Tensor) -> torch.Tensor:
    """Return the mean of weight * -log of the probability that the value gives to the label."""
    return torch.nn.functional.binary_cross_entropy_with_logits(values_B, right_B, weights_B)


def balance(right: Sequence[bool]) -> dict[bool, float]:
    """Return a weight for each label, so that both weigh alike and the mean weight of a row is 1."""
    counts = Counter(right)
    return {label: len(right) / (2 * count) for label, count in counts.items()}


class _Trainer(_head.ByLength):
    """Binary cross-entropy on the head's one number."""

    loss_is_scaled_for_ga = False  # a mean over the rows of one pass

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the loss of one pass, with the head's output if asked."""
        right_B, weights_B = inputs.pop("right"), inputs.pop("weights")
        outputs = model(**inputs, use_cache=False)
        loss = bce(outputs.logits[:, 0].float(), right_B, weights_B)
        return (loss, outputs) if return_outputs else loss


def _dataset(rows: Sequence[Row], balanced: bool) -> Dataset:
    right = [row.right for row, _ in rows]
    weights = balance(right) if balanced else {True: 1.0, False: 1.0}
    weight = [weights[one] for one in right]
    return Dataset.from_dict({"place": list(range(len(rows))), "right": right, "weight": weight})


class _Collator:
    """Turns places of rows into one padded batch."""

    def __init__(self, rows: Sequence[array[int]], pad: int) -> None:
        self._rows, self._pad = rows, pad

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        ids_BT, mask_BT = _head.padded([self._rows[item["place"]] for item in items], self._pad)
        return {
            "input_ids": ids_BT,
            "attention_mask": mask_BT,
            "right": torch.tensor([float(item["right"]) for item in items]),
            "weights": torch.tensor([item["weight"] for item in items]),
        }

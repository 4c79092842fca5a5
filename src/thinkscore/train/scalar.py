"""Train a scalar reward model on preferences: the classic baseline that a reasoning judge must beat.

Source: Bradley and Terry 1952, as reward models are trained since InstructGPT (arXiv 2203.02155): the loss is
-log sigmoid(r_better - r_worse - margin), with a margin for how much better (Llama 2, arXiv 2307.09288) and a
coefficient that pulls the values of a pair towards zero (arXiv 2312.09244). The trainer is TRL's. We differ in that a
case of many candidates becomes all its pairs of unequal gold, that rows are read as `hf:OUT` reads them, and that
held-out accuracy is told for every epoch: a scalar that is stopped early is a misleading baseline.

The result judges with `--protocol scalar --engine hf:OUT`.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch
from datasets import Dataset
from trl import RewardConfig, RewardTrainer

from ..errors import BadInput
from ..protocols._base import agrees
from ..types import Case, Message, Scores, content_hash
from . import _head, _run
from ._usable import check_apart, contradicts

__all__ = ["DEFAULTS", "Options", "Pair", "Pairs", "pairs", "train_scalar"]

DEFAULTS: Mapping[str, Any] = {"learning_rate": 1e-5, "batch_size": 128, "schedule": "cosine", "warmup": 0.03}
"""Ours; none of the papers that we follow publishes its scalar recipe."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is special to this recipe."""

    margin: float = 0.0
    """The worse reply must lie behind by this much per unit of gold; 0 asks for any difference."""
    centering: float = 0.0
    """Coefficient of (r_better + r_worse)^2, which keeps values near zero; 0.01 is usual."""
    muon_lr: float = 0.0
    """Rate of Muon on hidden matrices (small models learn faster); 0 is AdamW alone."""
    keep_best: bool = False
    """Keep the epoch with the best held-out accuracy; else the last."""
    by: tuple[str, ...] = ()
    """Tags of cases by which held-out accuracy is told as well."""
    max_length: int = 0
    """Longest conversation in tokens; 0 is the model's own limit."""
    drop: bool = False
    """Leave out rows that cannot be trained on, counted, where else they are refused."""


class Pair(NamedTuple):
    """A better and a worse reply to one conversation."""

    better: int
    """Place of the better one among the rows."""
    worse: int
    """Place of the worse one."""
    margin: float
    """By how much gold tells them apart, in its own unit."""


class Pairs(NamedTuple):
    """Pairs of rows: each row is kept once, however many pairs it is in."""

    rows: list[array[int]]
    """Tokens of whole conversations, one for each candidate."""
    pairs: list[Pair]
    """Which of them is better than which."""


def pairs(cases: Iterable[Case], reader: _head.Reader, refused: _head.Refused) -> Pairs:
    """Make every pair of unequal gold of every case; what cannot be trained on is counted in `refused`."""
    found = Pairs([], [])
    for case in cases:
        rows = _rows(case, reader)
        gold = case.gold
        lacking = rows if isinstance(rows, str) else _unlearnable(case)
        if isinstance(rows, str) or gold is None or lacking:
            refused.add(lacking, case.id)
            continue
        start, places = len(found.rows), range(len(rows))
        found.rows.extend(rows)
        found.pairs.extend(
            Pair(start + i, start + k, gold[i] - gold[k]) for i in places for k in places if gold[i] > gold[k]
        )
    return found


def _unlearnable(case: Case) -> str:
    """Say why a case tells nothing of what is better; "" if it does."""
    if case.gold is None:
        return "without gold"
    if len(set(case.gold)) < 2:
        return "with equal gold for all candidates"
    return "with one text at two golds" if contradicts(case) else ""


def _rows(case: Case, reader: _head.Reader) -> list[array[int]] | str:
    """Return the tokens of the conversation with each candidate, or why there are none."""
    if any(not candidate.strip() for candidate in case.candidates):
        return "with an empty candidate"
    rows = [reader.ids((*case.messages, Message("assistant", candidate))) for candidate in case.candidates]
    return next((row for row in rows if isinstance(row, str)), [row for row in rows if not isinstance(row, str)])


def train_scalar(
    model: str | Path,
    cases: Iterable[Case],
    out: Path,
    settings: _run.Settings,
    options: Options | None = None,
    held_out: Iterable[Case] = (),
    tell: Callable[[str], object] = lambda line: None,
) -> list[dict[str, float]]:
    """Train a head on a model; returns the log's rows with held-out figures, one per epoch.

    Raises `BadInput`, with counts, for rows that cannot be trained on, before any training.
    """
    cases, held_out, options = list(cases), list(held_out), options or Options()
    if options.keep_best and not held_out:
        raise BadInput("the best epoch can be told by held-out cases only; give --held-out FILE")
    _check_tags(options.by, held_out)
    _head.check(settings, options.muon_lr)
    config = make_config(settings, options, out)
    reader, refused = _head.Reader(model, options.max_length), _head.Refused()
    known = pairs(cases, reader, refused)
    refused.settle(len(cases), "cases", options.drop, tell)
    tell(f"{len(known.pairs)} pairs from {len(cases) - refused.counts.total()} cases")
    check_apart(cases, held_out, tell)
    callback = _held(held_out, reader, options, tell)
    checkpoint = _run.begin(out, _recipe(model, cases, held_out, settings, options))
    if _run.done(out):
        return _told(out)
    network = _head.load_head(model, settings)
    trainer = make_trainer(network, known, reader, options, config)
    lengths = [max(len(known.rows[pair.better]), len(known.rows[pair.worse])) for pair in known.pairs]
    sampler = _head.Sorted(lengths, settings.micro_batch, settings.seed)
    trainer.ready(sampler, settings, options.muon_lr, callback)
    trainer.train(resume_from_checkpoint=checkpoint)
    if callback is not None:
        callback.restore()
    _run.finish(trainer, reader.tokenizer, out)
    return _told(out)


def _check_tags(by: Sequence[str], cases: Sequence[Case]) -> None:
    """Raise `BadInput` for a tag that no held-out case has."""
    known = dict.fromkeys(tag for case in cases for tag in case.tags)
    for tag in by:
        if tag not in known:
            had = f"their tags are {', '.join(known) or 'none'}" if cases else "there are none: give --held-out FILE"
            raise BadInput(f"no held-out case has the tag {tag!r}; {had}")


def _recipe(
    model: str | Path, cases: Sequence[Case], held_out: Sequence[Case], settings: _run.Settings, options: Options
) -> dict[str, object]:
    return {
        "recipe": "scalar",
        "model": str(model),
        "cases": len(cases),
        "cases_hash": content_hash(cases),
        "held_out_hash": content_hash(held_out),
        "settings": settings,
        "options": options,
    }


def _told(out: Path) -> list[dict[str, float]]:
    rows = (json.loads(line) for line in (out / "log.jsonl").read_text().splitlines())
    return [row for row in rows if any(name.startswith("held_out_") for name in row)]


class _Trainer(_head.ByLength, RewardTrainer):
    """TRL's trainer on rows of like length."""


class _Collator:
    """Turns pairs into one padded batch: the better rows, then the worse ones."""

    def __init__(self, rows: Sequence[array[int]], pad: int) -> None:
        self._rows, self._pad = rows, pad

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        chosen = [self._rows[item[name]] for name in ("chosen_ids", "rejected_ids") for item in items]
        ids_BT, mask_BT = _head.padded(chosen, self._pad)
        batch = {"input_ids": ids_BT, "attention_mask": mask_BT}
        if "margin" in items[0]:
            batch["margin"] = torch.tensor([item["margin"] for item in items])
        return batch


def make_config(settings: _run.Settings, options: Options, out: Path) -> RewardConfig:
    return RewardConfig(
        **_run.arguments(settings, out),
        max_length=None,  # what is too long was told already
        center_rewards_coefficient=options.centering or None,
        pad_to_multiple_of=None,
    )


def make_trainer(
    network: Any,
    known: Pairs,
    reader: _head.Reader,
    options: Options,
    config: RewardConfig,
) -> _Trainer:
    # TRL takes rows with these names as ready; ours hold the places of the tokens, which the collator looks up.
    columns: dict[str, list[Any]] = {
        "chosen_ids": [pair.better for pair in known.pairs],
        "rejected_ids": [pair.worse for pair in known.pairs],
    }
    if options.margin:
        columns["margin"] = [options.margin * pair.margin for pair in known.pairs]
    return _Trainer(
        model=network,
        args=config,
        train_dataset=Dataset.from_dict(columns),
        data_collator=_Collator(known.rows, reader.tokenizer.pad_token_id),
        processing_class=reader.tokenizer,
    )


def _held(
    cases: Sequence[Case], reader: _head.Reader, options: Options, tell: Callable[[str], object]
) -> _head.Held | None:
    """Make the callback that measures accuracy as a judge is measured: the best candidate must have the best value."""
    if not cases:
        return None
    known = [case for case in cases if case.gold is not None and case.gold.count(max(case.gold)) == 1 < len(case.gold)]
    if len(known) < len(cases):
        tell(f"{len(cases) - len(known)} of {len(cases)} held-out cases have no single best candidate: they are not "
             "measured on")  # fmt: skip
    refused, judged = _head.Refused(), list[Case]()
    rows: list[array[int]] = []
    for case in known:
        found = _rows(case, reader)
        if isinstance(found, str):
            refused.add(found, case.id)
        else:
            judged.append(case)
            rows += found
    refused.settle(len(known), "held-out cases", options.drop, tell)

    def measure(values: list[float]) -> dict[str, float]:
        rest = iter(values)
        return _accuracy(judged, [[next(rest) for _ in case.candidates] for case in judged], options.by)

    return _head.Held(rows, measure, "accuracy" if options.keep_best else "")


def _accuracy(cases: Sequence[Case], values: Sequence[Sequence[float]], by: Sequence[str]) -> dict[str, float]:
    """Return the share of cases whose best candidate has the highest value, over all and by tags."""
    groups: dict[str, list[bool]] = {"accuracy": []}
    for case, row in zip(cases, values, strict=True):
        right = all(map(math.isfinite, row)) and agrees(Scores(tuple(row)), case.gold or ())
        groups["accuracy"].append(right)
        for tag in by:
            groups.setdefault(f"accuracy/{tag}={case.tags.get(tag)}", []).append(right)
    return {name: sum(found) / len(found) for name, found in groups.items()} | {"n": float(len(cases))}

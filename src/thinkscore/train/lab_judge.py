"""Train the embedded judge from nothing: tokenizer, base on the world's own text, then distilled oracle traces.

`thinkscore lab train --seed 0 --out DIR` runs it. The base learns every sub-skill and no preference; distillation
(`distill`, the recipe that any model uses) teaches the four protocols.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import msgspec
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM, set_seed

from ..lab.corpus import Document
from . import _lab_rows, _tokenizer
from ._run import Settings, finish
from ._sft import Row, train
from .distill import TraceRow, fit

__all__ = ["Recipe", "pretrain", "train_judge"]


class Recipe(msgspec.Struct, frozen=True):
    """Sizes and rates of one training."""

    seed: int = 0
    threads: int = 2
    documents: int = 30_000
    """Base documents, each seen once."""
    traces: int = 50_000
    """Oracle traces, each seen once."""
    polish: int = 10_000
    """Further traces, at a fifth of the rates, half of which weigh the candidates in another order than shown."""
    hidden: int = 160
    layers: int = 4
    heads: int = 5
    feed_forward: int = 432
    base_muon_lr: float = 0.025
    base_adam_lr: float = 3e-3
    muon_lr: float = 0.015
    adam_lr: float = 2e-3
    batch_tokens: int = 1024
    passes: int = 2
    initializer_range: float = 0.06


def train_judge(out: Path, recipe: Recipe) -> None:
    """Train and save the judge in `out`, the base in `out`/base. The same recipe gives the same weights."""
    torch.set_num_threads(recipe.threads)
    started = time.time()
    base = out / "base"
    pretrain(base, recipe)
    based = time.time()
    _distil(base, _lab_rows.traces(recipe.seed, recipe.traces), out / "distilled", recipe)
    polish = _lab_rows.traces(recipe.seed, recipe.polish, start=recipe.traces, reordered=0.5)
    _distil(out / "distilled", polish, out, recipe, 5)
    minutes = {"base_minutes": (based - started) / 60, "distill_minutes": (time.time() - based) / 60}
    (out / "recipe.json").write_bytes(
        msgspec.json.format(msgspec.json.encode({**msgspec.to_builtins(recipe), **minutes}))
    )


def _distil(model: Path, rows: Iterable[TraceRow], out: Path, recipe: Recipe, slower: float = 1) -> None:
    settings = _settings(recipe, recipe.adam_lr / slower)
    done = fit(model, list(rows), out, settings, muon_lr=recipe.muon_lr / slower, batch_tokens=recipe.batch_tokens)
    assert not done.left, f"the lab's own traces must be readable; left out: {done.left}"


def pretrain(out: Path, recipe: Recipe) -> None:
    """Train the base on documents of the world; save it with the tokenizer in `out`."""
    documents = list(_lab_rows.documents(recipe.seed, recipe.documents))
    sample = _lab_rows.traces(recipe.seed, 500)
    rendered = (
        [row.messages[0].content.split("\n")[0], row.messages[1].content, row.prefill + row.completion]
        for row in sample
    )
    texts = ["".join(document) for document in documents[-2000:]]
    _tokenizer.build(chain(texts, chain.from_iterable(rendered)), out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    rows = [_row(document, tokenizer) for document in documents]
    set_seed(recipe.seed)
    model = Qwen3ForCausalLM(_config(recipe, tokenizer))
    settings = _settings(recipe, recipe.base_adam_lr)
    trainer = train(
        model, rows, tokenizer, settings, out, muon_lr=recipe.base_muon_lr, batch_tokens=recipe.batch_tokens
    )
    finish(trainer, tokenizer, out)


def _settings(recipe: Recipe, adam_lr: float) -> Settings:
    """Return the settings of one stage: rates that do not change, no checkpoints."""
    return Settings(
        learning_rate=adam_lr,
        batch_size=recipe.passes,
        schedule="constant",
        weight_decay=0.01,
        betas=(0.9, 0.98),
        seed=recipe.seed,
        threads=recipe.threads,
        save_steps=0,
        progress=False,
    )


def _row(document: Document, tokenizer: PreTrainedTokenizerBase) -> Row:
    """Train what follows from the told part; the told part itself is drawn at random and teaches nothing."""
    given, written = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in document)
    return Row([*given, *written, tokenizer.eos_token_id], len(given))


def _config(recipe: Recipe, tokenizer: object) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=len(tokenizer),  # type: ignore[arg-type]
        hidden_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        head_dim=recipe.hidden // recipe.heads,
        intermediate_size=recipe.feed_forward,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,  # type: ignore[attr-defined]
        eos_token_id=tokenizer.eos_token_id,  # type: ignore[attr-defined]
        bos_token_id=None,
        initializer_range=recipe.initializer_range,
    )

"""Distil reasoning traces into a model: supervised training on what a good judge wrote (RM-R1's first stage).

Source: RM-R1 (arXiv 2505.02387, section 3): negative log-likelihood of the trace given the prompt. We differ: the
assistant header is not part of the loss, and a row may start with a given prefix of the trace (`prefill`) that is
read but not trained, so that a judge learns to carry on what it has written, mistakes included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from ..errors import BadInput
from ..types import Message
from ._sft import Row, Settings, train

__all__ = ["TraceRow", "distill", "tokenized"]


class TraceRow(msgspec.Struct, frozen=True):
    """One trace to learn from."""

    messages: tuple[Message, ...]
    """The prompt."""
    completion: str
    """What the judge should write after the prefill."""
    prefill: str = ""
    """What it has written already."""


def tokenized(rows: Iterable[TraceRow], tokenizer: PreTrainedTokenizerBase) -> Iterator[Row]:
    """Turn traces into token rows. Raises `BadInput` where a text is outside a closed vocabulary."""
    for row in rows:
        messages = [msgspec.to_builtins(message) for message in row.messages]
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        head = tokenizer(prompt + row.prefill, add_special_tokens=False)["input_ids"]
        tail = tokenizer(row.completion, add_special_tokens=False)["input_ids"]
        ids = [*head, *tail, tokenizer.eos_token_id]
        if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids:
            raise BadInput(
                f"this model's vocabulary has no token for part of: {prompt[-300:]!r} ... {row.completion!r}"
            )
        yield Row(ids, len(head))


def distill(base: Path, rows: Iterable[TraceRow], out: Path, settings: Settings) -> None:
    """Train the model in `base` on the traces and save it, with its tokenizer and loss curve, in `out`."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    train(model, list(tokenized(rows, tokenizer)), tokenizer.pad_token_id, settings, out)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)

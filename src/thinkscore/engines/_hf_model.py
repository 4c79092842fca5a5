"""A transformers model in this process: loads it, draws, scores and values token rows: ENGINE (its model).

Everything takes token ids, in batches of like length, and gives plain numbers back. Imports torch: only `hf` loads it,
when it opens.

Axes: R rows, W padded width, K positions whose logits are kept, V vocabulary.
"""

from __future__ import annotations

import inspect
import json
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from ..errors import BadInput, EngineUnavailable, ThinkscoreError, require
from ._hf_batches import Row, Score
from ._hf_draw import Sampler
from ._hf_files import fingerprint, first_line, look_for
from ._hf_options import Options
from ._hf_text import Chat
from ._jobs import Sample

__all__ = ["Model"]

LARGEST = 10**9
"""What tokenizers say of their length if they do not know it is larger."""


class Model:
    """Weights, tokenizer and chat template. One thread at a time."""

    def __init__(self, options: Options) -> None:
        """Load a folder or a model of the Hub. Raises `EngineUnavailable`, or `BadInput` for a head of many labels."""
        self.options, self.closed = options, threading.Event()
        device = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._load(torch.device(device))
        except ThinkscoreError:
            raise
        except Exception as error:  # transformers, tokenizers, peft and torch each raise their own
            raise EngineUnavailable(_unloadable(options, error)) from error

    def _load(self, device: Any) -> None:
        options, name = self.options, self.options.model
        source = {"revision": options.revision or None, "trust_remote_code": options.trust_remote_code}
        look_for(name, options.revision or None)
        config = transformers.AutoConfig.from_pretrained(name, **source)
        self.scalar = _is_scalar(config, options.adapter)
        self.model = _weights(options, self.scalar, device, source).to(device).eval().requires_grad_(False)
        kept = options.adapter and (Path(options.adapter) / "tokenizer_config.json").is_file()
        tokenizer = transformers.AutoTokenizer.from_pretrained(*([options.adapter] if kept else [name]), **source)
        self.chat = Chat(tokenizer)
        self.identity = _identity(options, config, self.model)
        self.context = _context(options, config, tokenizer)
        self.ends = () if self.scalar else _ends(self.model, tokenizer)
        self._own = transformers.GenerationConfig(do_sample=False, eos_token_id=list(self.ends) or None)
        self._own.pad_token_id = tokenizer.pad_token_id or next(iter(self.ends), 0)  # masked: any token does
        self.model.generation_config = transformers.GenerationConfig()  # only what a prompt's sampling says
        self.model.config.use_cache = not self.scalar

    def free(self) -> None:
        """Give memory that no tensor holds back to the GPU."""
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()

    def draw(self, rows: Sequence[Row]) -> list[Sample]:
        """Draw one sample per row, from prompts that are padded on the left."""
        ids_RW, mask_RW = self._padded([row.prompt for row in rows], self._own.pad_token_id, left=True)
        sampler = Sampler(rows, self.ends, self.closed, ids_RW.device)
        self._own.max_new_tokens = sampler.room
        self.model.generate(ids_RW, attention_mask=mask_RW, generation_config=self._own, logits_processor=[sampler])
        return sampler.samples()

    def score(self, scores: Sequence[Score]) -> list[float]:
        """Sum the natural log-probabilities of each continuation after its prompt."""
        ids_RW, mask_RW = self._padded([score.prompt + score.continuation for score in scores], 0)
        kept = ids_RW.shape[1] - min(len(score.prompt) for score in scores) + 1
        few = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        logits_RKV = self.model(ids_RW, attention_mask=mask_RW, **({"logits_to_keep": kept} if few else {})).logits
        left_out = ids_RW.shape[1] - logits_RKV.shape[1]
        sums = []
        for r, score in enumerate(scores):
            first = len(score.prompt) - 1 - left_out
            logits_KV = logits_RKV[r, first : first + len(score.continuation)].double()
            wanted_K1 = torch.tensor(score.continuation, dtype=torch.long, device=logits_KV.device)[:, None]
            sums.append(float(torch.log_softmax(logits_KV, -1).gather(1, wanted_K1).sum()))
        return sums

    def value(self, rows: Sequence[tuple[int, ...]]) -> list[float]:
        """Return the scalar head's value of each row, as the model gives it for the row alone."""
        config = self.model.config.get_text_config()
        given = config.pad_token_id
        # The head reads the last token that is no padding. A model without a padding token reads the very last one, so
        # anything that no row holds may pad.
        used = set().union(*rows)
        pad = given if given is not None else next(token for token in range(len(used) + 1) if token not in used)
        config.pad_token_id = pad
        try:
            ids_RW, mask_RW = self._padded(rows, pad)
            values: list[float] = self.model(ids_RW, attention_mask=mask_RW).logits[:, 0].float().tolist()
        finally:
            config.pad_token_id = given
        return values

    def _padded(self, rows: Sequence[tuple[int, ...]], pad: int, *, left: bool = False) -> tuple[Any, Any]:
        width = max(map(len, rows))
        padding = [width - len(row) for row in rows]
        ids = [[pad] * n * left + list(row) + [pad] * n * (not left) for row, n in zip(rows, padding, strict=True)]
        mask = [[0] * n * left + [1] * len(row) + [0] * n * (not left) for row, n in zip(rows, padding, strict=True)]
        return torch.tensor(ids, device=self.model.device), torch.tensor(mask, device=self.model.device)


def _is_scalar(config: Any, adapter: str) -> bool:
    if any(name.endswith("ForSequenceClassification") for name in config.architectures or ()):
        return True
    return bool(adapter) and _json(Path(adapter) / "adapter_config.json").get("task_type") == "SEQ_CLS"


def _weights(options: Options, scalar: bool, device: Any, source: dict[str, Any]) -> Any:
    """Load the model, with its adapter merged into it. Raises `BadInput` for one whose head is not what it seems."""
    auto = transformers.AutoModelForSequenceClassification if scalar else transformers.AutoModelForCausalLM
    new_head = scalar and bool(options.adapter)  # the adapter brings the head
    how: dict[str, Any] = {"num_labels": 1} if new_head else {}
    how |= {"attn_implementation": options.attn} if options.attn else {}
    how["dtype"] = options.dtype if options.dtype != "auto" or device.type != "cpu" else "float32"
    model, found = auto.from_pretrained(options.model, output_loading_info=True, **source, **how)
    if found["missing_keys"] and not new_head:  # transformers would make them up
        lacking = ", ".join(sorted(found["missing_keys"])[:3])
        raise BadInput(f"{options.model} lacks weights that a {type(model).__name__} needs: {lacking}")
    if scalar and model.config.num_labels != 1:
        raise BadInput(f"{options.model} has {model.config.num_labels} labels; a scalar reward model has one")
    return _adapted(model, options.adapter) if options.adapter else model


def _adapted(model: Any, adapter: str) -> Any:
    peft = require("peft", "train")
    with warnings.catch_warnings():  # peft 0.21 uses a name that transformers 5.23 deprecates
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        return peft.PeftModel.from_pretrained(model, adapter).merge_and_unload()


def _context(options: Options, config: Any, tokenizer: Any) -> int | None:
    """Return the most tokens that the model reads, its own answer included; None if nobody says."""
    known = [options.context, getattr(config.get_text_config(), "max_position_embeddings", None)]
    stated = [limit for limit in known if limit] or [tokenizer.model_max_length]
    return min((limit for limit in stated if limit < LARGEST), default=None)


def _ends(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens that end an answer: those of the generation config and that of the tokenizer."""
    stated = model.generation_config.eos_token_id
    listed = stated if isinstance(stated, list) else [stated]
    return tuple(dict.fromkeys(token for token in [*listed, tokenizer.eos_token_id] if token is not None))


def _identity(options: Options, config: Any, model: Any) -> str:
    folder = Path(options.model)
    commit = getattr(config, "_commit_hash", None) or options.revision or "main"
    parts = [fingerprint(folder) if folder.is_dir() else f"{options.model}@{commit}"]
    if options.adapter:
        parts.append(fingerprint(Path(options.adapter)))
    return ":".join(["hf", *parts, str(model.dtype).removeprefix("torch.")])


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return content


def _unloadable(options: Options, error: Exception) -> str:
    said = first_line(error)
    if "trust_remote_code" in str(error):
        said = "it brings code of its own; if you trust that code, add trust_remote_code=yes"
    return f"the model {options.model} cannot be loaded: {said}"

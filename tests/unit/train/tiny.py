"""A base of a few thousand weights that reads the lab's words, and the values of a finished folder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import Qwen3Config, Qwen3ForCausalLM, set_seed

from thinkscore.engines._base import Engine
from thinkscore.engines.embedded import PACKAGED
from thinkscore.train._run import Settings
from thinkscore.types import Failure, Message

__all__ = ["SETTINGS", "UNFIT", "save_base", "values_of"]

SETTINGS = Settings(
    learning_rate=2e-3,
    batch_size=16,
    micro_batch=8,
    epochs=2,
    schedule="cosine",
    threads=1,
    save_steps=0,
    progress=False,
)

UNFIT: dict[str, tuple[dict[str, Any], float]] = {
    "an adapter with Muon": ({"lora": 4}, 0.01),
    "a batch that cannot be cut": ({"batch_size": 12, "micro_batch": 8}, 0.0),
    "an end without a fall": ({"schedule": "constant", "final": 0.1}, 0.0),
}
"""Changes of settings, with a rate of Muon, that no training can start with."""


def save_base(path: Path) -> Path:
    """Write the base into a folder that is not there yet."""
    path.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (path / name).write_bytes((PACKAGED / name).read_bytes())
    config = Qwen3Config.from_pretrained(
        PACKAGED, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, head_dim=8,
        intermediate_size=24, layer_types=["full_attention"],
    )  # fmt: skip
    set_seed(0)
    Qwen3ForCausalLM(config).save_pretrained(path)
    return path


def values_of(engine: Engine, conversations: Sequence[Sequence[Message]]) -> list[float | Failure]:
    """Open an engine, value conversations, close it."""

    async def ask() -> list[float | Failure]:
        await engine.open()
        try:
            return await engine.values(conversations)
        finally:
            await engine.close()

    return asyncio.run(ask())

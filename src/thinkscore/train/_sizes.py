"""How large a model is and what a token costs: parameters, operations, activations and cache, from its configuration.

Counted are dense decoders with grouped attention (Qwen, Llama, Gemma) and DeepSeek's mixture of experts with latent
attention. The names are those of a config.json. Products of matrices cost two operations per weight and token; the
scores of attention and their sums four per layer, head dimension and earlier token (as in arXiv 2001.08361, section
2.1, which leaves the latter out).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import BadInput

__all__ = ["KNOWN", "Shape", "shape_of"]

KNOWN: dict[str, dict[str, Any]] = {
    "Qwen/Qwen2.5-7B-Instruct": {
        "num_hidden_layers": 28, "hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4,
        "intermediate_size": 18944, "vocab_size": 152064, "model_type": "qwen2"},
    "Qwen/Qwen2.5-14B-Instruct": {
        "num_hidden_layers": 48, "hidden_size": 5120, "num_attention_heads": 40, "num_key_value_heads": 8,
        "intermediate_size": 13824, "vocab_size": 152064, "model_type": "qwen2"},
    "Qwen/Qwen2.5-32B-Instruct": {
        "num_hidden_layers": 64, "hidden_size": 5120, "num_attention_heads": 40, "num_key_value_heads": 8,
        "intermediate_size": 27648, "vocab_size": 152064, "model_type": "qwen2"},
    "google/gemma-2-27b": {
        "num_hidden_layers": 46, "hidden_size": 4608, "num_attention_heads": 32, "num_key_value_heads": 16,
        "head_dim": 128, "intermediate_size": 36864, "vocab_size": 256000, "tie_word_embeddings": True,
        "model_type": "gemma2"},
    "deepseek-ai/DeepSeek-V2-Lite": {
        "num_hidden_layers": 27, "hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 16,
        "intermediate_size": 10944, "vocab_size": 102400, "model_type": "deepseek_v2", "q_lora_rank": None,
        "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6, "moe_intermediate_size": 1408,
        "first_k_dense_replace": 1},
}  # fmt: skip
"""The bases of the papers, as their config.json files say."""
KNOWN |= {
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B": KNOWN["Qwen/Qwen2.5-7B-Instruct"],
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": KNOWN["Qwen/Qwen2.5-32B-Instruct"],
}


class Shape(msgspec.Struct, frozen=True, rename={"layers": "num_hidden_layers", "hidden": "hidden_size",
                                                "heads": "num_attention_heads", "kv_heads": "num_key_value_heads",
                                                "feed_forward": "intermediate_size", "vocab": "vocab_size",
                                                "tied": "tie_word_embeddings"}):  # fmt: skip
    """What of a configuration decides size and cost."""

    layers: int
    hidden: int
    heads: int
    feed_forward: int
    vocab: int
    kv_heads: int | None = None
    head_dim: int | None = None
    tied: bool = False
    model_type: str = ""
    kv_lora_rank: int | None = None
    """Width of the latent from which keys and values are made; None for ordinary attention."""
    qk_nope_head_dim: int = 0
    qk_rope_head_dim: int = 0
    v_head_dim: int = 0
    n_routed_experts: int | None = None
    """None for a dense model."""
    n_shared_experts: int = 0
    num_experts_per_tok: int = 0
    moe_intermediate_size: int = 0
    first_k_dense_replace: int = 0
    """Layers at the bottom without experts."""

    @property
    def query(self) -> int:
        """Width of all queries of a layer."""
        if self.kv_lora_rank is not None:
            return self.heads * (self.qk_nope_head_dim + self.qk_rope_head_dim)
        return self.heads * (self.head_dim or self.hidden // self.heads)

    @property
    def cached(self) -> int:
        """Numbers that a layer keeps of a token to attend to it later."""
        if self.kv_lora_rank is not None:
            return self.kv_lora_rank + self.qk_rope_head_dim
        return 2 * (self.kv_heads or self.heads) * (self.head_dim or self.hidden // self.heads)

    @property
    def parameters(self) -> int:
        """All weights."""
        return self._weights(self.n_routed_experts or 0)

    @property
    def active(self) -> int:
        """Weights that a token is multiplied with: without the look-up of its embedding, and of the chosen experts."""
        return self._weights(self.num_experts_per_tok) - (0 if self.tied else self.vocab * self.hidden)

    @property
    def largest_layer(self) -> int:
        """Weights of the largest part that is gathered at once."""
        layer = (self.parameters - self.vocab * self.hidden * (1 if self.tied else 2)) // self.layers
        return max(layer, self.vocab * self.hidden)

    def _weights(self, experts: int) -> int:
        embeddings = self.vocab * self.hidden * (1 if self.tied else 2)
        norms = (4 if self.model_type == "gemma2" else 2) * self.hidden
        sparse = self.layers - self.first_k_dense_replace if self.n_routed_experts else 0
        gated = 3 * self.hidden
        feed = (self.layers - sparse) * gated * self.feed_forward
        feed += sparse * gated * self.moe_intermediate_size * (experts + self.n_shared_experts)
        feed += sparse * self.hidden * (self.n_routed_experts or 0)
        return embeddings + self.layers * (self._attention() + norms) + feed + self.hidden

    def _attention(self) -> int:
        if self.kv_lora_rank is not None:
            latent = self.hidden * self.cached + self.kv_lora_rank
            values = self.heads * self.v_head_dim
            up = self.kv_lora_rank * (self.heads * self.qk_nope_head_dim + values)
            return self.hidden * self.query + latent + up + values * self.hidden
        bias = self.query + self.cached if self.model_type == "qwen2" else 0
        return self.hidden * (2 * self.query + self.cached) + bias

    def adapter(self, rank: int) -> int:
        """Weights of a LoRA adapter on all linear layers; about so many for latent attention."""
        wide = self.query + self.hidden
        pairs = 2 * wide + 2 * (self.hidden + self.cached // 2)
        feed = self.feed_forward if not self.n_routed_experts else self.moe_intermediate_size * self.n_routed_experts
        return rank * self.layers * (pairs + 3 * (self.hidden + feed))

    def forward(self, tokens: float, length: float) -> float:
        """Operations of reading `tokens` tokens that stand in texts of `length` tokens."""
        return tokens * (2 * self.active + 2 * self.layers * self.query * length)

    def kept(self, checkpointing: bool) -> int:
        """Bytes of activations per token of a pass in bfloat16, without the logits.

        Of a layer: inputs and outputs of both norms, queries, keys, values, what attention gives, and the three
        products of the gated layer. With checkpointing one layer has them, with gradients; of the others the inputs.
        """
        feed = self.feed_forward if not self.n_routed_experts else self.moe_intermediate_size * (
            self.num_experts_per_tok + self.n_shared_experts
        )  # fmt: skip
        layer = 2 * (4 * self.hidden + 2 * self.query + self.cached + 3 * feed)
        return self.layers * 2 * self.hidden + 2 * layer if checkpointing else self.layers * layer


def shape_of(model: str) -> Shape:
    """Read the shape of a model: a known name, or a folder with a config.json. Raises `BadInput`."""
    file = Path(model) / "config.json"
    config: Mapping[str, Any] | None = KNOWN.get(model)
    if config is None and file.is_file():
        config = json.loads(file.read_text(encoding="utf-8"))
        config = config.get("text_config", config)
    if config is None:
        raise BadInput(f"the size of {model} is not known here; give --model a folder that holds its config.json, or "
                       f"one of {', '.join(KNOWN)}")  # fmt: skip
    try:
        return msgspec.convert({key: value for key, value in config.items() if value is not None}, Shape)
    except msgspec.ValidationError as error:
        raise BadInput(f"{file} does not describe a decoder that can be counted: {error}") from error

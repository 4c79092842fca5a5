"""A Qwen3 decoder (arXiv 2505.09388) in numpy: case -> prompt -> ENGINE (its arithmetic) -> completion.

Runs the `config.json` and `model.safetensors` that transformers writes, in float32 and without torch: RMSNorm,
grouped-query attention with normed queries and keys, RoPE, SwiGLU. A prompt is read once (`prefill`) and then
shared by all rows that continue it (`Rows`, `step`). Norm weights are folded into the matrices behind them, and
those of queries and keys into the rotation, so a decode step is about thirty numpy calls per layer.

Every result depends only on shapes and on its own row: no operation mixes rows, no shape depends on content. Rows of
prompts that differ a little in length decode together: their caches are filled up to the next multiple of `PADDED`.

Axes: T positions of a sequence, R rows that decode in step, N either of them; D model width, H query heads,
K key heads, G = H/K, E = H + K, C channels of a head, F feed-forward width, V vocabulary, L layers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from ..errors import BadInput

__all__ = ["PADDED", "Config", "Decoder", "Floats", "Prefix", "Rows"]

Floats = npt.NDArray[np.float32]
Attend = Callable[[int, Floats, Floats, Floats], Floats]
"""(layer, queries_NHC, keys_NKC, values_NKC) -> context of shape (N, H * C)."""

PADDED = 32
"""What the length of a prompt's cache is a multiple of."""
PREFIXES_KEPT = 16
"""Prompts that stay read: more votes on a prompt arrive in further groups."""


@dataclass(frozen=True)
class Config:
    """The numbers of a model."""

    layers: int
    heads: int
    key_heads: int
    channels: int
    max_positions: int
    theta: float
    eps: float
    scalar: bool = False
    """Whether its head gives one number for a text instead of logits for the next token."""
    pad: int | None = None
    """A token that a scalar head does not read at the end of a text."""

    @classmethod
    def read(cls, folder: Path) -> Config:
        """Read config.json. Raises `BadInput` for an architecture that this decoder does not compute."""
        raw: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        rope: dict[str, Any] = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
        needed = {"model_type": "qwen3", "hidden_act": "silu", "attention_bias": False, "use_sliding_window": False}
        wrong = [f"{key}={raw[key]!r}" for key, value in needed.items() if raw.get(key, value) != value]
        if rope.get("rope_type", "default") != "default":
            wrong.append(f"rope_type={rope['rope_type']!r}")
        if wrong:
            accepted = ", ".join(f"{key}={value!r}" for key, value in needed.items())
            raise BadInput(
                f"{folder / 'config.json'} says {', '.join(wrong)}; the embedded engine runs {accepted} "
                "with plain RoPE; use hf:DIR for other models"
            )
        heads = raw["num_attention_heads"]
        return cls(
            layers=raw["num_hidden_layers"],
            heads=heads,
            key_heads=raw.get("num_key_value_heads") or heads,
            channels=raw.get("head_dim") or raw["hidden_size"] // heads,
            max_positions=raw["max_position_embeddings"],
            theta=float(rope.get("rope_theta") or raw.get("rope_theta") or 10_000.0),
            eps=raw["rms_norm_eps"],
            scalar=any(name.endswith("ForSequenceClassification") for name in raw.get("architectures") or ()),
            pad=raw.get("pad_token_id"),
        )


class Layer(NamedTuple):
    """Matrices of one layer, contiguous, inputs first."""

    qkv_DX: Floats
    out_XD: Floats
    gate_up_2DF: Floats
    down_FD: Floats


class Prefix(NamedTuple):
    """A prompt that was read: its cache, filled up with zeros, and what may come next."""

    keys_LKTC: Floats
    values_LKTC: Floats
    length: int
    """Tokens of the prompt."""
    logits_V: Floats


class Rows:
    """The cache of rows that decode in step: prompts that were read, and room for what is generated."""

    def __init__(self, prefixes: Sequence[Prefix], room: int) -> None:
        """Continue `prefixes[r]` in row r by up to `room` tokens; all are as long after padding."""
        layers, heads, length, channels = prefixes[0].keys_LKTC.shape
        shape = (layers, len(prefixes), heads, room, channels)
        self.keys_LRKTC, self.values_LRKTC = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self.past_keys_LRKTC = _by_row([prefix.keys_LKTC for prefix in prefixes])
        self.past_values_LRKTC = _by_row([prefix.values_LKTC for prefix in prefixes])
        self.past, self.length = length, 0
        lengths_R = np.array([prefix.length for prefix in prefixes])
        beyond_RT = np.arange(length - PADDED, length) >= lengths_R[:, None]
        self.beyond_R11T = np.where(beyond_RT, np.float32(-np.inf), np.float32(0))[:, None, None]
        self.prompts_N = lengths_R[:1] if (lengths_R == lengths_R[0]).all() else lengths_R

    def attend(self, layer: int, queries_RHC: Floats, keys_RKC: Floats, values_RKC: Floats) -> Floats:
        """Store this step's keys and values and let each row look at its own past; returns (R, H * C)."""
        rows, heads, channels = queries_RHC.shape
        past, new = self.past, self.length + 1
        self.keys_LRKTC[layer, :, :, self.length] = keys_RKC
        self.values_LRKTC[layer, :, :, self.length] = values_RKC
        queries_RKGC = queries_RHC.reshape(rows, keys_RKC.shape[1], -1, channels)
        weights_RKGT = np.empty((*queries_RKGC.shape[:3], past + new), np.float32)
        np.matmul(queries_RKGC, self.past_keys_LRKTC[layer].swapaxes(2, 3), out=weights_RKGT[..., :past])
        weights_RKGT[..., past - PADDED : past] += self.beyond_R11T
        np.matmul(queries_RKGC, self.keys_LRKTC[layer, :, :, :new].swapaxes(2, 3), out=weights_RKGT[..., past:])
        _exp(weights_RKGT)
        context_RKGC: Floats = weights_RKGT[..., :past] @ self.past_values_LRKTC[layer]
        context_RKGC += weights_RKGT[..., past:] @ self.values_LRKTC[layer, :, :, :new]
        context_RKGC /= weights_RKGT.sum(-1, keepdims=True)
        return context_RKGC.reshape(rows, heads * channels)


class Decoder:
    """The model. `prefill` reads prompts, `step` extends rows by one token, `logits` reads whole texts."""

    def __init__(self, folder: Path) -> None:
        """Load a folder. Raises `BadInput` for another architecture or number format, `KeyError` for a lost tensor."""
        self.config = config = Config.read(folder)
        try:
            tensors = load_file(folder / "model.safetensors")
        except TypeError as error:  # numpy has no bfloat16
            raise BadInput(f"the weights are not plain numbers ({error}); save the model in float32") from error

        def get(name: str) -> Floats:
            return tensors[name].astype(np.float32)

        self.embedding_VD = get("model.embed_tokens.weight")
        head = "score.weight" if config.scalar else "lm_head.weight"
        head_VD = get(head) if config.scalar or head in tensors else self.embedding_VD
        if config.scalar and len(head_VD) != 1:
            raise BadInput(f"the model has {len(head_VD)} labels; a scalar reward model has one")
        self.head_DV = np.ascontiguousarray(head_VD.T * get("model.norm.weight")[:, None])
        names = [f"model.layers.{i}." for i in range(config.layers)]
        self.layers = [_layer(get, name) for name in names]
        norms_2LC = [np.stack([get(f"{name}self_attn.{part}_norm.weight") for name in names]) for part in "qk"]
        self._tabulate(*norms_2LC)
        self.prefill = lru_cache(PREFIXES_KEPT)(self._prefill)

    def _tabulate(self, query_norms_LC: Floats, key_norms_LC: Floats) -> None:
        """Tabulate RoPE; the weights of query and key norms and the scale of attention are applied with it."""
        c = self.config
        frequency = 1 / np.float32(c.theta) ** (np.arange(0, c.channels, 2, dtype=np.float32) / c.channels)
        angles_TC = np.tile(np.arange(c.max_positions, dtype=np.float32)[:, None] * frequency, 2)
        self.cos_TC, self.sin_TC = np.cos(angles_TC), np.sin(angles_TC)
        query_norms_LC *= np.float32(c.channels**-0.5)
        self.norm_LEC = np.stack([query_norms_LC] * c.heads + [key_norms_LC] * c.key_heads, axis=1)
        self.swapped_norm_LEC = np.roll(self.norm_LEC, c.channels // 2, axis=-1)
        self.swapped_norm_LEC[..., : c.channels // 2] *= -1

    def _prefill(self, ids: tuple[int, ...]) -> Prefix:
        """Read a prompt of at least one token; cached."""
        hidden_TD, keys_LKTC, values_LKTC = self._read(ids)
        room = ((0, 0), (0, 0), (0, -len(ids) % PADDED), (0, 0))
        return Prefix(np.pad(keys_LKTC, room), np.pad(values_LKTC, room), len(ids), self._logits(hidden_TD[-1:])[0])

    def logits(self, ids: Sequence[int]) -> Floats:
        """Return the logits after every token of a text, (T, V)."""
        return self._logits(self._read(ids)[0])

    def value(self, ids: Sequence[int]) -> float:
        """Return what a scalar head gives for a text: it reads the last token that is no padding."""
        last = max((t for t, token in enumerate(ids) if token != self.config.pad), default=0)
        return float(self._logits(self._read(ids)[0][last : last + 1])[0, 0])

    def step(self, tokens_R: npt.NDArray[np.intp], rows: Rows) -> Floats:
        """Extend each row by one token and return the logits of the next, (R, V)."""
        # a row that has filled the model only keeps its place; what it goes on with is dropped
        places_N = np.minimum(rows.prompts_N + rows.length, self.config.max_positions - 1)
        hidden_RD = self._run(self.embedding_VD[tokens_R], places_N, rows.attend)
        rows.length += 1
        return self._logits(hidden_RD)

    def _read(self, ids: Sequence[int]) -> tuple[Floats, Floats, Floats]:
        """Run one text from its start; returns hidden states (T, D) and the caches (L, K, T, C)."""
        keys: list[Floats] = []
        values: list[Floats] = []
        future_TT = np.triu(np.full((len(ids), len(ids)), -np.inf, np.float32), 1)

        def attend(layer: int, queries_THC: Floats, keys_TKC: Floats, values_TKC: Floats) -> Floats:
            keys.append(np.ascontiguousarray(keys_TKC.swapaxes(0, 1)))
            values.append(np.ascontiguousarray(values_TKC.swapaxes(0, 1)))
            queries_KGTC = queries_THC.swapaxes(0, 1).reshape(len(keys[-1]), -1, *queries_THC.shape[::2])
            weights_KGTT: Floats = queries_KGTC @ keys[-1][:, None].swapaxes(2, 3)
            weights_KGTT += future_TT
            _exp(weights_KGTT)
            context_KGTC: Floats = weights_KGTT @ values[-1][:, None]
            context_KGTC /= weights_KGTT.sum(-1, keepdims=True)
            return context_KGTC.transpose(2, 0, 1, 3).reshape(len(ids), -1)

        hidden_TD = self._run(self.embedding_VD[list(ids)], np.arange(len(ids)), attend)
        return hidden_TD, np.stack(keys), np.stack(values)

    def _run(self, hidden_ND: Floats, places_N: npt.NDArray[np.intp], attend: Attend) -> Floats:
        """Run all layers over tokens at `places_N` (one place for all, or one each)."""
        c = self.config
        cos_LNEC = self.cos_TC[places_N, None] * self.norm_LEC[:, None]
        sin_LNEC = self.sin_TC[places_N, None] * self.swapped_norm_LEC[:, None]
        rotated = (c.heads + c.key_heads) * c.channels
        for i, layer in enumerate(self.layers):
            mixed_NX = _unit(hidden_ND, c.eps) @ layer.qkv_DX
            heads_NEC = mixed_NX[:, :rotated].reshape(len(hidden_ND), -1, c.channels)
            values_NKC = mixed_NX[:, rotated:].reshape(len(hidden_ND), -1, c.channels)
            heads_NEC = _rotate(_unit(heads_NEC, c.eps), cos_LNEC[i], sin_LNEC[i])
            context_NX = attend(i, heads_NEC[:, : c.heads], heads_NEC[:, c.heads :], values_NKC)
            hidden_ND += context_NX @ layer.out_XD
            gate_NF, up_NF = _unit(hidden_ND, c.eps) @ layer.gate_up_2DF
            hidden_ND += _silu_times(gate_NF, up_NF) @ layer.down_FD
        return hidden_ND

    def _logits(self, hidden_ND: Floats) -> Floats:
        return _unit(hidden_ND, self.config.eps) @ self.head_DV


def _layer(get: Callable[[str], Floats], name: str) -> Layer:
    qkv_XD = np.concatenate([get(f"{name}self_attn.{part}_proj.weight") for part in "qkv"])
    gate_up_2FD = np.stack([get(f"{name}mlp.{part}_proj.weight") for part in ("gate", "up")])
    return Layer(
        np.ascontiguousarray((qkv_XD * get(f"{name}input_layernorm.weight")).T),
        np.ascontiguousarray(get(f"{name}self_attn.o_proj.weight").T),
        # two matrices, not one wide one: OpenBLAS multiplies small ones without copying them first
        np.ascontiguousarray((gate_up_2FD * get(f"{name}post_attention_layernorm.weight")).swapaxes(1, 2)),
        np.ascontiguousarray(get(f"{name}mlp.down_proj.weight").T),
    )


def _by_row(parts: Sequence[Floats]) -> Floats:
    """Stack caches (L, ...) to (L, R, ...); rows that all continue one prompt share its memory."""
    if all(part is parts[0] for part in parts):
        shape = parts[0].shape
        return np.broadcast_to(parts[0][:, None], (shape[0], len(parts), *shape[1:]))
    return np.stack(parts, axis=1)


def _unit(x_NX: Floats, eps: float) -> Floats:
    """Divide by the root mean square over the last axis."""
    square_N: Floats = np.vecdot(x_NX, x_NX)
    square_N /= x_NX.shape[-1]
    square_N += eps
    np.sqrt(square_N, out=square_N)
    return x_NX / square_N[..., None]


def _rotate(x_NEC: Floats, cos_NEC: Floats, sin_NEC: Floats) -> Floats:
    """RoPE: each half of the channels turns with the other one."""
    halves = (*x_NEC.shape[:2], 2, -1)
    swapped_NE2C = x_NEC.reshape(halves)[:, :, ::-1] * sin_NEC.reshape(len(sin_NEC), *halves[1:])
    x_NEC *= cos_NEC
    x_NEC += swapped_NE2C.reshape(x_NEC.shape)
    return x_NEC


def _exp(scores: Floats) -> None:
    """Softmax in place without the division, which is cheaper after the values are summed."""
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)


def _silu_times(gate_NF: Floats, up_NF: Floats) -> Floats:
    """silu(gate) * up, in place."""
    up_NF *= gate_NF
    np.negative(gate_NF, out=gate_NF)
    np.exp(gate_NF, out=gate_NF)
    gate_NF += 1
    up_NF /= gate_NF
    return up_NF

"""Rollouts of a small Qwen3 model on the embedded engine's numpy decoder, for training without a GPU.

TRL's own rollouts are vLLM on GPUs and `generate` elsewhere; on CPU cores the decoder draws a group several times as
fast (docs/performance.md), and each sample hangs on its own seed alone, so that a resumed run draws what the first one
would have drawn. Weights go over as a folder; workers are fresh processes of one thread each.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from copy import copy
from pathlib import Path

from safetensors.torch import save_file
from transformers import PreTrainedModel

from ..engines._decoder import PADDED, Config
from ..engines._jobs import ROWS, Group, Row
from ..engines._pool import Pool
from ..errors import BadInput

__all__ = ["decodable", "decode", "decoder"]

LARGEST = 50_000_000
"""Parameters beyond which numpy is no match for torch."""


def decodable(model: PreTrainedModel) -> bool:
    """Tell whether the decoder computes this model."""
    with tempfile.TemporaryDirectory() as folder:
        model.config.save_pretrained(folder)
        try:
            Config.read(Path(folder))
        except (BadInput, KeyError):
            return False
    return int(model.num_parameters()) <= LARGEST


@contextmanager
def decoder(model: PreTrainedModel, workers: int) -> Iterator[Pool]:
    """Hold workers that read the weights which the model has now."""
    with tempfile.TemporaryDirectory() as folder:
        _save(model, Path(folder))
        with closing(Pool(Path(folder), workers)) as pool:
            yield pool


def decode(
    pool: Pool,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    max_tokens: int,
    temperature: float | Sequence[float],
    top_p: float,
    ends: Collection[int],
    context: int,
) -> list[list[int]]:
    """Draw one completion per prompt (token ids, the end token included) by its own seed, as far as `context` reaches.

    `temperature` is that of all or of each; `ends` are the tokens that end a completion.
    """
    alike: dict[tuple[int, float], list[int]] = defaultdict(list)
    for place, prompt in enumerate(prompts):
        heat = temperature if isinstance(temperature, int | float) else temperature[place]
        alike[-(-len(prompt) // PADDED), heat].append(place)
    for places in alike.values():
        places.sort(key=lambda place: len(prompts[place]))  # what is asked at like length is answered at like length
    groups = [
        (width, places[start : start + ROWS], heat)
        for (width, heat), places in alike.items()
        for start in range(0, len(places), ROWS)
    ]
    groups.sort()  # what continues a prompt comes close together, at any temperature: it is read once
    jobs = [
        Group(
            [
                Row(row, tuple(prompts[place]), seeds[place], min(max_tokens, context - len(prompts[place])))
                for row, place in enumerate(places)
            ],
            heat, top_p, frozenset(ends),
        )
        for _, places, heat in groups
    ]  # fmt: skip
    done: list[list[int]] = [[] for _ in prompts]
    for (_, places, _), future in zip(groups, [pool.submit(job) for job in jobs], strict=True):
        for place, sample in zip(places, future.result(), strict=True):
            done[place] = sample.tokens
    return done


def _save(model: PreTrainedModel, folder: Path) -> None:
    """Write what the decoder reads, without the shards and cards of `save_pretrained`."""
    config = copy(model.config)
    config.architectures = [type(model).__name__]  # of a reward model's weights: it writes text now
    config.save_pretrained(folder)
    tied = model.config.tie_word_embeddings
    tensors = {name: tensor for name, tensor in model.state_dict().items() if not (tied and name == "lm_head.weight")}
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")

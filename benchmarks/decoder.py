"""Speed of the embedded engine's decoder against transformers' generate: same weights, one thread, in one run.

    python benchmarks/decoder.py DIR [--json]

Every call reads one new random prompt and draws the same number of samples of the same length (no end token). The
column is the median over the rounds of generated tokens per second, reading the prompt included; both sides take
turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# before numpy and torch are loaded, which is why they are imported below
os.environ.update(dict.fromkeys(["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"], "1"))

PACKAGED = Path(__file__).parents[1] / "src" / "thinkscore" / "models" / "embedded"
BATCHES = (8, 16, 32, 64, 128)
Generate = Callable[[list[int]], int]
"""Draws samples of a prompt; returns how many tokens."""


def ours(folder: Path, length: int) -> Generate:
    """Return the embedded engine's decoder with its fixed number of rows."""
    from thinkscore.engines._decoder import Decoder
    from thinkscore.engines._jobs import ROWS, Group, Row

    decoder = Decoder(folder)

    def generate(ids: list[int]) -> int:
        rows = [Row(place, tuple(ids), place, length) for place in range(ROWS)]
        return sum(len(sample.tokens) for sample in Group(rows, 1.0, 1.0, frozenset()).run(decoder))

    return generate


def theirs(folder: Path, length: int) -> dict[int, Generate]:
    """Return transformers' generate by number of samples per call."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None  # no sample ends early

    def generate(ids: list[int], samples: int) -> int:
        prompt = torch.tensor([ids])
        with torch.inference_mode():
            drawn = model.generate(
                prompt, attention_mask=torch.ones_like(prompt), do_sample=True, top_k=0, temperature=1.0, top_p=1.0,
                num_return_sequences=samples, max_new_tokens=length, pad_token_id=0,
            )  # fmt: skip
        return int(drawn[:, len(ids) :].numel())

    return {samples: lambda ids, samples=samples: generate(ids, samples) for samples in BATCHES}  # type: ignore[misc]


def measure(engines: dict[str, Generate], prompts: Sequence[list[int]]) -> dict[str, float]:
    """Return median tokens per second of each engine; the first prompt warms up."""
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    for prompt in prompts:
        for name, generate in engines.items():
            start = time.perf_counter()
            tokens = generate(prompt)
            speeds[name].append(tokens / (time.perf_counter() - start))
    return {name: statistics.median(values[1:]) for name, values in speeds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "folder", nargs="?", type=Path, default=PACKAGED, help="model folder (default: the packaged one)"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=120, help="tokens read per call")
    parser.add_argument("--tokens", type=int, default=80, help="tokens drawn per sample")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()

    import numpy as np

    vocabulary = json.loads((args.folder / "config.json").read_text())["vocab_size"]
    prompts = np.random.default_rng(0).integers(0, vocabulary, (args.rounds + 1, args.prompt)).tolist()
    engines = {"thinkscore, 8 samples": ours(args.folder, args.tokens)}
    engines |= {f"transformers, {n} samples": run for n, run in theirs(args.folder, args.tokens).items()}
    speeds = measure(engines, prompts)
    mine, same, *more = speeds.values()
    result = {
        "model": str(args.folder), "tokens_per_second": speeds, "ratio_same_samples": mine / same,
        "ratio_best_batch": mine / max(same, *more),
    }  # fmt: skip
    if args.json:
        print(json.dumps(result))
        return
    print(f"{'one prompt per call, one thread':32} tokens/s")
    for name, speed in speeds.items():
        print(f"{name:32} {speed:8.0f}")
    print(
        f"ours to theirs: {mine / same:.2f} with the same 8 samples, {mine / max(same, *more):.2f} at their best batch"
    )


if __name__ == "__main__":
    main()

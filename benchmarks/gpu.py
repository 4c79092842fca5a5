"""Tokens per second of sampling and of training on a GPU, at a 30 M-parameter size, and what share of the chip that is.

    python benchmarks/gpu.py [--hidden 512 --layers 9] [--rows 64 256 1024] [--json FILE]

The model has the packaged judge's tokenizer and random weights, so that every sample runs to its limit. The peak
is that of a product of 8192 x 8192 matrices in bfloat16, measured in the same run. A token costs 2 FLOP per weight to
read or to draw and 6 to train; attention is not counted. Everything goes through what a user calls: the `hf` engine,
and the trainers of `train distill` and `train rl`; their start-up is left out. Without a GPU it runs on the CPU: use a
small --hidden then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from transformers import AutoConfig, Qwen3ForCausalLM
from transformers.utils.logging import disable_progress_bar

from thinkscore.engines.embedded import PACKAGED
from thinkscore.judge import make_engine
from thinkscore.lab import world
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.train._lab_rows import traces
from thinkscore.train._run import Settings, load_tokenizer
from thinkscore.train.distill import fit, tokenized
from thinkscore.train.rl import Rl, train_rl
from thinkscore.types import Sampling

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = "bfloat16" if DEVICE == "cuda" else "float32"


def make_model(folder: Path, hidden: int, layers: int) -> int:
    """Save a Qwen3 model of random weights; returns its number of parameters."""
    shutil.copytree(PACKAGED, folder)
    config = AutoConfig.from_pretrained(PACKAGED)
    sizes = {"hidden_size": hidden, "intermediate_size": 3 * hidden, "num_hidden_layers": layers, "head_dim": 64}
    heads = {"num_attention_heads": hidden // 64, "num_key_value_heads": hidden // 64}
    config.update({**sizes, **heads, "layer_types": ["full_attention"] * layers, "max_position_embeddings": 1024})
    config.initializer_range = 0.02
    model = Qwen3ForCausalLM(config)
    model.save_pretrained(folder)
    return int(model.num_parameters())


def wait() -> None:
    """Wait for the device."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def seconds(work: Callable[[], object], rounds: int = 7) -> float:
    """Return the median duration; the first round warms up."""
    took = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        wait()
        took.append(time.perf_counter() - start)
    return statistics.median(took[1:])


def peak() -> float:
    """Return the FLOP per second that the device reaches."""
    n = 8192 if DEVICE == "cuda" else 1024
    a, b = (torch.randn(n, n, device=DEVICE, dtype=getattr(torch, DTYPE)) for _ in range(2))
    return 2 * n**3 / seconds(lambda: a @ b)


async def _sample(uri: str, prompts: Sequence[Any]) -> tuple[float, int, int]:
    engine = make_engine(uri)
    await engine.open()
    try:
        await engine.generate(prompts[: len(prompts) // 2])
        start = time.perf_counter()
        done = await engine.generate(prompts)
        took = time.perf_counter() - start
    finally:
        await engine.close()
    return took, sum(one.usage.prompt_tokens for one in done), sum(one.usage.completion_tokens for one in done)


def sample(folder: Path, rows: int, tokens: int) -> dict[str, float]:
    """Let the `hf` engine complete two batches of `rows` prompts."""
    protocol, sampling = RmR1(), Sampling(max_tokens=tokens)
    cases = [world.make_case(1, "train", i) for i in range(2 * rows)]
    prompts = [
        msgspec.structs.replace(protocol.render(case, (0, 1)), sampling=sampling, seed=i)
        for i, case in enumerate(cases)
    ]
    uri = f"hf:{folder}?batch={rows}&dtype={DTYPE}&device={DEVICE}"
    took, read, drawn = asyncio.run(_sample(uri, prompts))
    return {"rows": rows, "seconds": took, "drawn_per_second": drawn / took, "tokens_per_second": (read + drawn) / took}


def distil(folder: Path, rows: int) -> dict[str, float]:
    """Train on lab traces; the tokens are those of prompts and traces, without padding."""

    def run(steps: int) -> tuple[float, int]:
        taught = list(traces(0, rows)) * steps
        settings = Settings(
            learning_rate=1e-4, batch_size=rows, micro_batch=rows, bf16=DEVICE == "cuda", save_steps=0, progress=False
        )
        counted = sum(len(row.ids) for row in tokenized(taught, load_tokenizer(folder)))
        with tempfile.TemporaryDirectory() as out:
            fit(folder, taught, Path(out) / "sft", settings)
            log = [json.loads(line) for line in (Path(out) / "sft" / "log.jsonl").open()]
        return log[-1]["train_runtime"], counted

    run(3)
    (first, few), (second, many) = run(10), run(60)
    return {"rows": rows, "tokens_per_second": (many - few) / (second - first)}


def reinforce(folder: Path, prompts: int, tokens: int) -> dict[str, float]:
    """Train by GRPO with rollouts on transformers: medians over the updates after the first two."""
    size = prompts * 8
    cases = [world.make_case(1, "train", i) for i in range(prompts * 8)]
    settings = Settings(
        learning_rate=1e-6, batch_size=size, micro_batch=size, steps=7, bf16=DEVICE == "cuda", save_steps=0,
        progress=False,
    )  # fmt: skip
    rl = Rl(prompts=prompts, group=8, max_tokens=tokens, rounds=0, rollouts="transformers")
    with tempfile.TemporaryDirectory() as out:
        train_rl(folder, cases, RmR1(), Path(out) / "rl", settings, rl)
        log = [json.loads(line) for line in (Path(out) / "rl" / "log.jsonl").open()]
    steps = [row for row in log if "step_time" in row][2:]
    took = statistics.median(row["step_time"] for row in steps)
    return {"prompts": prompts, "update_seconds": took, "completions_per_second": size / took,
            "drawn_per_second": size * steps[-1]["completions/mean_length"] / took}  # fmt: skip


def main() -> None:
    """Measure and print; `--json` also writes everything."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=9)
    parser.add_argument("--rows", type=int, nargs="*", default=[16, 64, 256, 1024])
    parser.add_argument("--tokens", type=int, default=160, help="drawn per sample")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    disable_progress_bar()
    flops = peak()
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU"
    print(f"{name}: {flops / 1e12:.3g} TFLOP/s", flush=True)
    found: dict[str, Any] = {"device": name, "flops": flops}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        weights = found["parameters"] = make_model(folder, given.hidden, given.layers)
        print(f"{weights:,} parameters")
        for what, work, cost in (("sampling", sample, 2), ("distilling", distil, 6)):
            for rows in given.rows:
                one = work(folder, rows, *[given.tokens] * (work is sample))  # type: ignore[operator]
                one["share_of_peak"] = cost * weights * one["tokens_per_second"] / flops
                found.setdefault(what, []).append(one)
                print(what, json.dumps({key: float(f"{value:.4g}") for key, value in one.items()}), flush=True)
        for prompts in [max(1, rows // 8) for rows in given.rows[1:]]:
            one = reinforce(folder, prompts, given.tokens)
            found.setdefault("reinforcing", []).append(one)
            print("reinforcing", json.dumps({key: float(f"{value:.4g}") for key, value in one.items()}), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

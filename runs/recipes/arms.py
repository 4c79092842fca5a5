"""The arms: what each one starts from and how it is trained. Sizes and flaws are here and nowhere else.

An arm is NAME or NAME-SEED. All are trained on one thread; two run side by side.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from thinkscore import Judge
from thinkscore.journal import read_journal
from thinkscore.lab import world
from thinkscore.lab.teacher import Flaws
from thinkscore.protocols._base import Protocol
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.protocols.verdict_only import VerdictOnly
from thinkscore.seeds import derive_seed
from thinkscore.train import _synthesis
from thinkscore.train._head import Refused
from thinkscore.train._labels import labelled
from thinkscore.train._rewards import Reward
from thinkscore.train._run import Settings
from thinkscore.train.distill import distill
from thinkscore.train.lab_judge import Recipe, pretrain
from thinkscore.train.meta import Options as MetaOptions
from thinkscore.train.meta import train_meta
from thinkscore.train.rl import Rl, train_rl
from thinkscore.train.scalar import Options, train_scalar
from thinkscore.types import Case

SEED = 5
"""Of the training cases."""
SEEDS = (0, 1, 2)
FLAWS = Flaws(level=0.8, forget=0.5)
"""Of the teacher: many of its chat traces end in a tie that a coin settles."""


class Sizes(msgspec.Struct, frozen=True):
    """How much of everything."""

    documents: int = 30_000
    """Of the base's text."""
    format: int = 6_000
    """Traces that show the form and nothing else."""
    pool: int = 19_000
    """Cases that the teacher judges for the start."""
    weak: int = 1_500
    """Kept traces of the start that has hardly learned to look plans up, and how often each is read."""
    weak_epochs: int = 3
    continued: int = 24_000
    """Further traces, which cost what RL costs."""
    rl_cases: int = 8_000
    updates: int = 56
    prompts: int = 32
    baseline_rows: int = 64_000
    """Labels that the control without reasons is trained on, epochs counted."""
    scalar_epochs: float = 4.0
    meta_cases: int = 3_000
    test: int = 3_000
    samples: int = 8


QUICK = Sizes(
    documents=3_000, format=300, pool=2_000, weak=300, weak_epochs=1, continued=400, rl_cases=200, updates=2,
    prompts=8, baseline_rows=800, scalar_epochs=1.0, meta_cases=100, test=60, samples=2,
)  # fmt: skip


class Arm(NamedTuple):
    """One model to train and measure."""

    after: str | None
    """The arm that it starts from."""
    train: Callable[[Path, Path, Sizes, int], object]
    """(start, out, sizes, seed) -> a trained folder."""
    kind: str = "rm_r1"
    """How it is asked: a protocol, "scalar" or "meta"."""
    seeds: tuple[int, ...] = (0,)


def cases(style: str, first: int, n: int) -> list[Case]:
    """Make training cases first, first + 1, ..."""
    return [world.make_case(SEED, "train", first + i, style=style) for i in range(n)]  # type: ignore[arg-type]


def taught(style: str, first: int, n: int, folder: Path) -> list[_synthesis.TraceRow]:
    """Let the imperfect teacher judge n cases, and keep what agrees with the label."""
    teacher = f"teacher:level={FLAWS.level},forget={FLAWS.forget}"
    how = _synthesis.Synthesis(method="rejection", teacher=teacher, samples=1, hinted=False, drop_easy=False, seed=SEED)
    folder.mkdir(parents=True, exist_ok=True)
    rows, _ = _synthesis.traced(cases(style, first, n), RmR1(), how, folder)
    return [_synthesis.TraceRow(row.messages, row.completion) for row in rows]


def sft(start: Path, rows: list[_synthesis.TraceRow], out: Path, seed: int, rate: float) -> None:
    """Train on traces, each row as often as it is listed."""
    settings = Settings(
        learning_rate=2e-3 * rate, batch_size=2, schedule="cosine", final=0.02, warmup=0.03, betas=(0.9, 0.98),
        weight_decay=0.01, seed=seed, threads=1, save_steps=200, progress=False,
    )  # fmt: skip
    distill(start, rows, out, settings, muon_lr=0.015 * rate, batch_tokens=1024)


def base(start: Path, out: Path, sizes: Sizes, seed: int) -> None:
    """Pre-train on the world's own text: every sub-skill of judging, no preference, no form of an answer."""
    pretrain(out, Recipe(threads=1, documents=sizes.documents))


def form(start: Path, out: Path, sizes: Sizes, seed: int) -> None:
    """Show the form of an answer and nothing else: each prompt with the trace of another case."""
    rows = taught("biased", 500_000, sizes.format, out.with_name("form-traces"))
    others = [*rows[1:], rows[0]]
    sft(start, [_synthesis.TraceRow(a.messages, b.completion) for a, b in zip(rows, others, strict=True)], out, 0, 1.0)


def distilled(style: str) -> Callable[[Path, Path, Sizes, int], None]:
    """Distil the teacher's filtered traces."""

    def train(start: Path, out: Path, sizes: Sizes, seed: int) -> None:
        sft(start, taught(style, 0, sizes.pool, out.with_name(f"{out.name}-traces")), out, 0, 1.0)

    return train


def weakly(style: str) -> Callable[[Path, Path, Sizes, int], None]:
    """Distil a tenth of the traces, three times over."""

    def train(start: Path, out: Path, sizes: Sizes, seed: int) -> None:
        rows = taught(style, 0, int(sizes.weak * 1.4), out.with_name(f"{out.name}-traces"))[: sizes.weak]
        rng = random.Random(derive_seed("weak"))
        sft(start, [row for _ in range(sizes.weak_epochs) for row in rng.sample(rows, len(rows))], out, 0, 1.0)

    return train


def same(start: Path, out: Path, sizes: Sizes, seed: int) -> None:
    """Go on with the traces that the start was distilled from."""
    rows = taught("biased", 0, sizes.pool, out.with_name(f"{out.name}-traces"))
    rng = random.Random(derive_seed("same", seed))
    again: Iterator[_synthesis.TraceRow] = (row for _ in count() for row in rng.sample(rows, len(rows)))
    sft(start, list(islice(again, sizes.continued)), out, seed, 0.3)


def fresh(start: Path, out: Path, sizes: Sizes, seed: int) -> None:
    """Go on with traces of further cases."""
    first = 1_000_000 + seed * 100_000
    pool = int(sizes.continued * 1.25) + 100  # some are dropped
    rows = taught("biased", first, pool, out.with_name(f"{out.name}-traces"))
    sft(start, rows[: sizes.continued], out, seed, 0.3)


def reinforced(style: str, faithful: bool) -> Callable[[Path, Path, Sizes, int], None]:
    """Train by GRPO on labels of further cases."""

    def train(start: Path, out: Path, sizes: Sizes, seed: int) -> None:
        settings = Settings(
            learning_rate=3e-4, batch_size=sizes.prompts * 8, micro_batch=sizes.prompts * 4, steps=sizes.updates,
            schedule="linear", final=0.1, warmup=5, betas=(0.9, 0.99), seed=seed, threads=1, save_steps=8,
            progress=False,
        )  # fmt: skip
        rl = Rl(prompts=sizes.prompts, group=8, max_tokens=160)
        rows = cases(style, 200_000 + seed * 50_000, sizes.rl_cases)
        train_rl(start, rows, RmR1(), out, settings, rl, Reward(RmR1(), faithful=faithful, watch=True))

    return train


def unreasoned(style: str) -> Callable[[Path, Path, Sizes, int], None]:
    """Train the control without reasons on the labels of all cases that the judge has seen."""

    def train(start: Path, out: Path, sizes: Sizes, seed: int) -> None:
        how = _synthesis.Synthesis(method="labels", seed=SEED)
        folder = out.with_name(f"{out.name}-traces")
        folder.mkdir(parents=True, exist_ok=True)
        seen = [*cases(style, 0, sizes.pool), *cases(style, 200_000, sizes.rl_cases)]
        rows, _ = _synthesis.traced(seen, VerdictOnly(), how, folder)
        rng = random.Random(derive_seed("labels", seed))
        again = (row for _ in count() for row in rng.sample(rows, len(rows)))
        sft(start, [_synthesis.TraceRow(row.messages, row.completion) for row in islice(again, sizes.baseline_rows)],
            out, seed, 0.5)  # fmt: skip

    return train


def valued(style: str) -> Callable[[Path, Path, Sizes, int], None]:
    """Train a Bradley-Terry head on the same labels."""

    def train(start: Path, out: Path, sizes: Sizes, seed: int) -> None:
        settings = Settings(
            learning_rate=5e-4, batch_size=16, micro_batch=16, epochs=sizes.scalar_epochs, schedule="cosine",
            warmup=0.03, weight_decay=0.05, seed=seed, threads=1, save_steps=200, progress=False,
        )  # fmt: skip
        rows = [*cases(style, 0, sizes.pool), *cases(style, 200_000, sizes.rl_cases)]
        held = [world.make_case(SEED, "dev", i) for i in range(1000)]
        train_scalar(start, rows, out, settings, Options(muon_lr=0.005), held)

    return train


def meta(start: Path, out: Path, sizes: Sizes, seed: int) -> None:
    """Train a head, from the start's own weights, on which of its traces are right."""
    seen = {case.id: case for case in cases("biased", 3_000_000, sizes.meta_cases)}
    journal = out.with_name("meta.journal")
    how = {"strategy": "vote:k=8", "seed": seed, "max_tokens": 200, "journal": journal}
    with Judge("rm_r1", engine=f"embedded:{start}", **how) as judge:  # type: ignore[arg-type]
        for _ in judge.run(seen.values()):
            pass
    rows = labelled(read_journal(journal), seen, RmR1(), Refused())
    settings = Settings(
        learning_rate=1e-3, batch_size=32, micro_batch=32, epochs=2, schedule="cosine", warmup=0.03, betas=(0.9, 0.98),
        seed=seed, threads=1, save_steps=200, progress=False,
    )  # fmt: skip
    train_meta(start, rows, out, settings, MetaOptions(held_out=0.25, muon_lr=0.01, drop=True))


ARMS = {
    "base": Arm(None, base),
    "form": Arm("base", form),
    "start": Arm("base", distilled("biased")),
    "weak": Arm("base", weakly("biased")),
    "weak_free": Arm("base", weakly("free")),
    "rl_only": Arm("form", reinforced("biased", False), seeds=SEEDS),
    "same": Arm("start", same, seeds=SEEDS),
    "fresh": Arm("start", fresh, seeds=SEEDS),
    "verdict": Arm("start", reinforced("biased", False), seeds=SEEDS),
    "faithful": Arm("start", reinforced("biased", True), seeds=SEEDS),
    "weak_verdict": Arm("weak", reinforced("biased", False), seeds=SEEDS),
    "weak_faithful": Arm("weak", reinforced("biased", True), seeds=SEEDS),
    "weak_free_verdict": Arm("weak_free", reinforced("free", False), seeds=SEEDS),
    "weak_free_faithful": Arm("weak_free", reinforced("free", True), seeds=SEEDS),
    "meta": Arm("start", meta, "meta"),
    "scalar": Arm("base", valued("biased"), "scalar"),
    "scalar_free": Arm("base", valued("free"), "scalar"),
    "unreasoned": Arm("base", unreasoned("biased"), "verdict_only"),
    "unreasoned_free": Arm("base", unreasoned("free"), "verdict_only"),
}
PROTOCOLS: dict[str, Protocol] = {"rm_r1": RmR1(), "verdict_only": VerdictOnly()}

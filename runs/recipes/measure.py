"""Measure a judge on fresh lab cases: greedy, sampled and by votes, item by item, so that arms can be paired."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

from thinkscore import Judge
from thinkscore.engines._hf_text import Chat
from thinkscore.grounding import Finding
from thinkscore.lab import grounding
from thinkscore.protocols._base import Protocol, agrees
from thinkscore.seeds import derive_seed
from thinkscore.train._rewards import FAITHFUL
from thinkscore.train._rollouts import decode, decoder
from thinkscore.types import Case, Completion, Failure, Prompt, Verdict, Winner

MAX_TOKENS = 200


def prompts(protocol: Protocol, cases: Sequence[Case]) -> list[Prompt]:
    """Show every other case the other way round."""
    return [protocol.render(case, (0, 1) if i % 2 else (1, 0)) for i, case in enumerate(cases)]


def verdicts(
    folder: Path, protocol: Protocol, asked: Sequence[Prompt], heats: Sequence[float], seed: int
) -> tuple[list[list[Verdict]], list[list[int]]]:
    """Draw a verdict for each prompt at each of the temperatures; returns them and their lengths in tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    chat, k = Chat(tokenizer), len(heats)
    ids = [one for prompt in asked for one in [chat.ids(prompt.messages)] * k]
    seeds = [derive_seed("measure", seed, prompt.case.id, sample) for prompt in asked for sample in range(k)]
    context, ends = model.config.max_position_embeddings, [tokenizer.eos_token_id]
    with decoder(model, 1) as pool:
        drawn = decode(pool, ids, seeds, MAX_TOKENS, list(heats) * len(asked), 1.0, ends, context)
    texts = tokenizer.batch_decode(drawn, skip_special_tokens=True)
    found = [
        protocol.parse(
            Completion(text, finish="stop" if tokens[-1] == tokenizer.eos_token_id else "length"), asked[i // k]
        )
        for i, (text, tokens) in enumerate(zip(texts, drawn, strict=True))
    ]
    rows = range(0, len(found), k)
    return [found[i : i + k] for i in rows], [[len(tokens) for tokens in drawn[i : i + k]] for i in rows]


def measure(folder: Path, protocol: Protocol, cases: Sequence[Case], k: int, seed: int) -> dict[str, Any]:
    """Return what an arm got right, one digit per case, and what its traces are worth."""
    started = time.time()
    asked = prompts(protocol, cases)
    found, sizes = verdicts(folder, protocol, asked, [1.0] * k + [0.0], seed)
    sampled, lengths = [group[:k] for group in found], [group[:k] for group in sizes]
    right = [[_right(verdict, case) for verdict in group] for group, case in zip(sampled, cases, strict=True)]
    reasoned = protocol.id != "verdict_only"
    checked = [
        [_checked(verdict, case) if reasoned else None for verdict in group]
        for group, case in zip(sampled, cases, strict=True)
    ]
    sound = [[bool(c and c[0]) for c in group] for group in checked]
    faithful = [[bool(c and c[1]) for c in group] for group in checked]
    return {
        "greedy": _digits(int(_right(group[k], case)) for group, case in zip(found, cases, strict=True)),
        "sampled": _digits(map(sum, right)),
        "vote": _digits(_vote(group, case) for group, case in zip(sampled, cases, strict=True)),
        "exact": _digits(map(sum, sound)),
        "lucky": _digits(
            sum(r and not s for r, s in zip(*pair, strict=True)) for pair in zip(right, sound, strict=True)
        ),
        "faithful": _digits(map(sum, faithful)),
        "unreadable": _digits(sum(isinstance(v.outcome, Failure) for v in group) for group in sampled),
        "tokens": _by_level(cases, [sum(group) / k for group in lengths]),
        "samples": k,
        "seconds": round(time.time() - started),
    }


def _by_level(cases: Sequence[Case], values: Sequence[float]) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for case, value in zip(cases, values, strict=True):
        groups.setdefault(f"{case.tags['family']} {case.tags['level']}", []).append(value)
    return {name: round(sum(group) / len(group), 1) for name, group in sorted(groups.items())}


def _digits(values: Any) -> str:
    return "".join(map(str, values))


def _right(verdict: Verdict, case: Case) -> bool:
    return agrees(verdict.outcome, case.gold or ())


def _checked(verdict: Verdict, case: Case) -> tuple[bool, bool] | None:
    """Tell whether every line of a trace is true, and whether it is sound by its own words; None if unreadable."""
    if isinstance(verdict.outcome, Failure):
        return None
    found: list[Finding] = grounding.findings(verdict, case)
    return all(one.ok for one in found), all(one.ok for one in found if one.kind in FAITHFUL)


def _vote(group: Sequence[Verdict], case: Case) -> int:
    """Score the majority: 2 right, 1 a tie, 0 wrong or nothing readable."""
    votes = [verdict.outcome.winner for verdict in group if isinstance(verdict.outcome, Winner)]
    if not votes:
        return 0
    counts = [votes.count(0), votes.count(1)]
    best = max((0, 1), key=lambda i: (case.gold or ())[i])
    return 1 + (counts[best] > counts[1 - best]) - (counts[best] < counts[1 - best])


def measure_values(folder: Path, cases: Sequence[Case]) -> dict[str, Any]:
    """Return what a scalar head ranks right."""
    started = time.time()
    with Judge("scalar", engine=f"hf:{folder}?device=cpu", seed=1) as judge:
        judged = [(case, judgment) for case, judgment in judge.run(cases)]
    right = [judgment.winner == max((0, 1), key=lambda i: (case.gold or ())[i]) for case, judgment in judged]
    return {"greedy": _digits(map(int, right)), "seconds": round(time.time() - started)}

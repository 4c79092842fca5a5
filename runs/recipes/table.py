"""Put the arms side by side: accuracy by level, and differences of paired cases with intervals, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from arms import ARMS, FLAWS, Sizes

from thinkscore.lab import world
from thinkscore.types import Case

Floats = np.ndarray
Group = Callable[[Case], bool]

GROUPS: dict[str, Group] = {
    "all": lambda case: True,
    "steps 2-3": lambda case: case.tags["family"] == "reasoning" and int(case.tags["level"]) < 4,
    "steps 4-6": lambda case: case.tags["family"] == "reasoning" and int(case.tags["level"]) > 3,
    "chat": lambda case: case.tags["family"] == "chat",
    "chat, easy": lambda case: case.tags["family"] == "chat" and case.tags["difficulty"] == "easy",
    "chat, hard": lambda case: case.tags["family"] == "chat" and case.tags["difficulty"] == "hard",
    "safety": lambda case: case.tags["family"] == "safety",
    "easy": lambda case: case.tags["difficulty"] == "easy",
    "normal": lambda case: case.tags["difficulty"] == "normal",
    "hard": lambda case: case.tags["difficulty"] == "hard",
}
STYLES: dict[str, Group] = {
    f"{family}, {difficulty}": lambda case, at=(family, difficulty): (
        (case.tags["family"], case.tags["difficulty"]) == at
    )
    for family in ("chat", "reasoning", "safety")
    for difficulty in ("easy", "normal", "hard")
}
COMPARED = (
    ("start", "base"), ("same", "start"), ("fresh", "start"), ("verdict", "start"), ("faithful", "start"),
    ("verdict", "same"), ("verdict", "fresh"), ("faithful", "same"), ("faithful", "fresh"), ("faithful", "verdict"),
    ("rl_only", "form"), ("verdict", "rl_only"),
    ("weak_verdict", "weak"), ("weak_faithful", "weak"), ("weak_faithful", "weak_verdict"),
    ("weak_free_verdict", "weak_free"), ("weak_free_faithful", "weak_free"),
    ("weak_free_faithful", "weak_free_verdict"),
    ("start", "scalar"), ("verdict", "scalar"), ("start", "unreasoned"), ("verdict", "unreasoned"),
)  # fmt: skip
RESAMPLES = 2000
LEVELS = [f"reasoning {steps}" for steps in range(2, 7)]


def write(out: Path, sizes: Sizes, test_seed: int) -> None:
    """Write OUT/table.md from the results that are there."""
    cases = [world.make_case(test_seed, "test", i) for i in range(sizes.test)]
    found = {path.stem: json.loads(path.read_text()) for path in sorted((out / "results").glob("*.json"))}
    by_kind = {
        kind: [found[name] for name in _names(kind) if name in found]
        for kind in ARMS
        if any(n in found for n in _names(kind))
    }
    lines = [
        f"n = {len(cases)} fresh cases (test seed {test_seed}); teacher: stop {FLAWS.stop}, level {FLAWS.level}, "
        f"forget {FLAWS.forget}; {sizes.samples} samples per case at temperature 1.",
        "",
    ]
    for what in ("sampled", "greedy", "vote"):
        lines += [f"### {what.capitalize()} accuracy, %", "", *_accuracies(by_kind, cases, what, GROUPS), ""]
    lines += ["### Greedy accuracy by family and style, %", "", *_accuracies(by_kind, cases, "greedy", STYLES), ""]
    lines += ["### Traces (sampled), %", "", *_traces(by_kind), ""]
    if "meta" in found:
        report = found["meta"]["report"]
        said = [_auc(report, name) for name in ("auc", "auc_within")]
        lines += ["### Meta reward model", "", f"{'; '.join(said)}; {report['traces']} held-out traces", ""]
    for what in ("sampled", "greedy", "vote"):
        lines += [f"### Differences, {what}, points", "", *_differences(by_kind, cases, what), ""]
    (out / "table.md").write_text("\n".join(lines))
    print("\n".join(lines))


def _auc(report: dict[str, Any], name: str) -> str:
    low, high = report[f"{name}_95"]
    return f"{name.replace('_', ' ')} {report[name]:.3f} [{low:.3f}, {high:.3f}]"


def _names(kind: str) -> list[str]:
    seeds = ARMS[kind].seeds
    return [f"{kind}-{seed}" for seed in seeds] if len(seeds) > 1 else [kind]


def scores(result: dict[str, Any], what: str) -> Floats | None:
    """Return an arm's share of right answers per case; None where it was not measured."""
    if what not in result:
        return None
    digits = np.array(list(result[what]), dtype=float)
    return digits / {"greedy": 1, "vote": 2}.get(what, result.get("samples", 1))


def _mean(results: Sequence[dict[str, Any]], what: str) -> Floats | None:
    per_seed = [scores(result, what) for result in results]
    known = [one for one in per_seed if one is not None]
    return np.mean(known, axis=0) if known else None


def _mask(cases: Sequence[Case], group: Group) -> Floats:
    return np.array([group(case) for case in cases])


def _accuracies(
    by_kind: dict[str, list[dict[str, Any]]], cases: Sequence[Case], what: str, groups: dict[str, Group]
) -> list[str]:
    masks = {name: _mask(cases, group) for name, group in groups.items()}
    lines = [f"| arm | seeds | {' | '.join(masks)} |", "|---" * (len(masks) + 2) + "|"]
    for kind, results in by_kind.items():
        mean = _mean(results, what)
        if mean is not None:
            cells = [f"{100 * mean[mask].mean():.1f}" for mask in masks.values()]
            lines.append(f"| {kind} | {len(results)} | {' | '.join(cells)} |")
    return lines


def _traces(by_kind: dict[str, list[dict[str, Any]]]) -> list[str]:
    columns = ("arm", "exact", "sound by its own words", "wrong trace, of the right", "unreadable", "tokens, 2-6 steps")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for kind, results in by_kind.items():
        right = _mean(results, "sampled")
        if right is None or ARMS[kind].kind != "rm_r1":
            continue
        exact, sound, lucky, unreadable = (
            float(np.mean(_mean(results, what)))
            for what in ("exact", "faithful", "lucky", "unreadable")  # type: ignore[arg-type]
        )
        tokens = " / ".join(f"{np.mean([result['tokens'][level] for result in results]):.0f}" for level in LEVELS)
        wrong = lucky / max(float(right.mean()), 1e-9)
        shares = " | ".join(f"{100 * share:.1f}" for share in (exact, sound, wrong, unreadable))
        lines.append(f"| {kind} | {shares} | {tokens} |")
    return lines


def _differences(by_kind: dict[str, list[dict[str, Any]]], cases: Sequence[Case], what: str) -> list[str]:
    masks = {name: _mask(cases, group) for name, group in GROUPS.items() if name != "safety"}
    lines = [f"| arm - arm | {' | '.join(masks)} | by seed (all) |", "|---" * (len(masks) + 2) + "|"]
    for one, other in COMPARED:
        a, b = (_seeds(by_kind.get(kind, []), what) for kind in (one, other))
        if a is None or b is None:
            continue
        cells = [_interval(a[:, mask], b[:, mask]) for mask in masks.values()]
        each = ", ".join(f"{100 * (seed - b.mean(0)).mean():+.1f}" for seed in a)
        lines.append(f"| {one} - {other} | {' | '.join(cells)} | {each} |")
    return lines


def _seeds(results: Sequence[dict[str, Any]], what: str) -> Floats | None:
    """Return the share of right answers by seed and case, (S, N); None where it was not measured."""
    known = [one for result in results if (one := scores(result, what)) is not None]
    return np.stack(known) if known else None


def _interval(a_SN: Floats, b_SN: Floats) -> str:
    """Mean gain with a 95 % bootstrap interval over cases and, within each arm, seeds; bold where it excludes zero."""
    rng = np.random.default_rng(0)
    means = []
    for _ in range(RESAMPLES):
        cases = rng.integers(a_SN.shape[1], size=a_SN.shape[1])
        drawn = (arm[rng.integers(len(arm), size=len(arm))][:, cases].mean() for arm in (a_SN, b_SN))
        means.append(next(drawn) - next(drawn))
    low, high = np.quantile(means, [0.025, 0.975])
    said = f"{100 * (a_SN.mean() - b_SN.mean()):+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"**{said}**" if low > 0 or high < 0 else said

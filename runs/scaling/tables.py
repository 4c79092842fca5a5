"""The figures as Markdown: one table per pool, what is claimed of it, tournaments, thinking."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measures import apart

SHARE = 0.25
"""Of the tokens of the largest vote, within which an adaptive rule should be."""


def write(results: Path) -> None:
    """Write results/../tables.md from the results that are there."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(results.glob("*.json"))}
    lines: list[str] = []
    for name, result in found.items():
        kind = name.partition("-")[0]
        lines += ["", f"### {name}", "", *{"pool": _pool, "best": _best}.get(kind, _live)(result)]
    text = "\n".join([*lines, *_across(found)]).strip() + "\n"
    (results.parent / "tables.md").write_text(text)
    print(text)


def _pool(result: dict[str, Any]) -> Iterator[str]:
    families = list(result["by"]["cases"])
    yield f"| strategy | accuracy | tied | verdicts | tokens | apart | {' | '.join(families)} |"
    yield "|---" * (6 + len(families)) + "|"
    for row in result["strategies"]:
        low, high = row["interval"]
        by = [f"{100 * row['by'][family]['accuracy']:.1f}" for family in families]
        cells = [
            f"`{row['strategy']}`", f"{100 * row['accuracy']:.1f} ({100 * low:.1f}-{100 * high:.1f})",
            f"{100 * row['tied']:.1f}", f"{row['verdicts']:.1f}", f"{row['completion_tokens']:.0f}",
            _points(row["difference"]["mean"], *row["difference"]["interval"]), *by,
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield from _claims(result)


def _claims(result: dict[str, Any]) -> Iterator[str]:
    """Say what the pool shows, in the words of the questions."""
    falls = [step for step in result["votes"] if step[2] < 0]
    yield f"- votes from 2 on, doubling: {', '.join(_points(*step) for step in result['votes'])}; " + (
        f"{len(falls)} of these steps lose for certain" if falls else "no step loses for certain"
    )
    largest = max(row["completion_tokens"] for row in result["strategies"] if row["strategy"] == result["reference"])
    near = [
        row
        for row in result["strategies"]
        if row["completion_tokens"] <= SHARE * largest
        and row["difference"]["interval"][0] >= -0.01
        and row["strategy"].startswith(("adaptive", "allocate", "meta"))
    ]
    for row in sorted(near, key=lambda row: row["completion_tokens"])[:3]:
        share = row["completion_tokens"] / largest
        yield (
            f"- `{row['strategy']}` is within 1 point of `{result['reference']}` "
            f"({_points(row['difference']['mean'], *row['difference']['interval'])}) for {share:.0%} of its tokens"
        )
    if not near:
        yield f"- no rule is surely within 1 point of `{result['reference']}` for a quarter of its tokens"
    for name, estimate in result["pairs"].items():
        yield f"- `{name}`: {_points(*estimate)}"
    if "resolution" in result:
        told = ", ".join(
            f"k={r['k']}: {r['distinct']} sums, {100 * r['tied']:.1f} % tied" for r in result["resolution"]
        )
        yield f"- {told}"


def _best(result: dict[str, Any]) -> Iterator[str]:
    yield "| strategy | best found | regret | comparisons | tokens | cyclic triads |"
    yield "|---|---|---|---|---|---|"
    for name, row in result.items():
        if name == "seconds":
            continue
        low, high = row["regret_interval"]
        cyclic = "" if row["cyclic_triads"] is None else f"{100 * row['cyclic_triads']:.1f} %"
        yield (
            f"| `{name}` | {100 * row['top1']:.1f} | {row['regret']:.3f} ({low:.3f}-{high:.3f}) | "
            f"{row['comparisons']:.1f} | {row['tokens']:.0f} | {cyclic} |"
        )


def _across(found: dict[str, Any]) -> Iterator[str]:
    """Compare the regrets of strategies on the same cases."""
    rows = {
        f"{step}: {name}": row
        for step, result in found.items()
        if step.startswith("best")
        for name, row in result.items()
        if name != "seconds"
    }
    for step in ("best-duels", "best-packaged"):
        for reference in ("round_robin:rating=elo",):
            base = rows.get(f"{step}: {reference}")
            if base is None:
                continue
            yield f"\n### Regret against `{reference}` ({step}), in the unit of gold\n"
            for name, row in rows.items():
                if row is not base and (difference := apart(row["regrets"], base["regrets"])):
                    mean, low, high = difference
                    yield f"- {name}: {mean:+.3f} ({low:+.3f} to {high:+.3f})"


def _live(result: dict[str, Any]) -> Iterator[str]:
    yield "| strategy | accuracy | by family | tokens | kind right |"
    yield "|---|---|---|---|---|"
    for name, row in result.items():
        if name == "seconds":
            continue
        low, high = row["tally"]["interval"]
        by = ", ".join(f"{family} {100 * one['accuracy_all']:.1f}" for family, one in row["by"]["family"].items())
        accuracy = f"{100 * row['tally']['accuracy_all']:.1f} ({100 * low:.1f}-{100 * high:.1f})"
        yield f"| `{name}` | {accuracy} | {by} | {row['tokens']:.0f} | {_kind(row)} |"
    lengths = result.get("vote:k=1", {}).get("lengths", {})
    if lengths:
        yield ""
        yield "- tokens of a trace: " + ", ".join(f"{name} {value:.0f}" for name, value in lengths.items())


def _points(mean: float, low: float, high: float) -> str:
    return f"{100 * mean:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _kind(row: dict[str, Any]) -> str:
    """Write how often the stated kind of case is right; some protocols state none."""
    return "" if row["kind_right"] is None else f"{100 * row['kind_right']:.1f}"

"""What a run of rankings comes to: how often the best candidate is found, what is lost where not, and what it cost.

Rows of `thinkscore rank`, held against gold. A judgment chooses its winner, or all that share the top, and then each of
them counts in part. Regret is the gold of the best candidate less the gold of the chosen one, in the unit of gold, over
cases with a judgment; the top-1 rate is over all cases, and no judgment finds nothing.
"""

from __future__ import annotations

from math import fsum
from typing import Any

from ..stats import bootstrap, wilson
from ..types import Case, Judgment

__all__ = ["Ranking", "chosen"]


def chosen(judgment: Judgment) -> list[int]:
    """Name the winner, or all that share the top; nobody without scores."""
    if judgment.scores is None:
        return []
    highest = max(judgment.scores)
    top = [i for i, score in enumerate(judgment.scores) if score == highest]
    return top if judgment.winner is None else [judgment.winner]


class Ranking:
    """Adds up rankings."""

    def __init__(self) -> None:
        self.hits: list[float] = []
        """One per case with gold and a choice to make: the part of the chosen that is best."""
        self.regrets: list[float] = []
        """One per such case with a judgment."""
        self._cases = self._failures = self._comparisons = self._tokens = 0
        self._notes: dict[str, list[float]] = {}

    def add(self, case: Case, judgment: Judgment) -> None:
        """Count one case."""
        self._cases += 1
        self._failures += judgment.failure is not None
        self._comparisons += len(judgment.verdicts)
        self._tokens += judgment.usage.prompt_tokens + judgment.usage.completion_tokens
        for name, value in judgment.notes.items():
            self._notes.setdefault(name, []).append(value)
        if case.gold is not None and len(case.gold) > 1:
            best, names = max(case.gold), chosen(judgment)
            self.hits.append(sum(case.gold[i] == best for i in names) / max(1, len(names)))
            if names:
                self.regrets.append(best - fsum(case.gold[i] for i in names) / len(names))

    def as_dict(self) -> dict[str, Any]:
        """Return means with 95 % intervals; notes of the strategy are means over the cases that have them."""
        n, ranked = len(self.hits), len(self.regrets)
        cases = max(1, self._cases)
        return {
            "n": n,
            "top1": fsum(self.hits) / n if n else None,
            "top1_interval": wilson(fsum(self.hits), n) if n else None,
            "regret": fsum(self.regrets) / ranked if ranked else None,
            "regret_interval": bootstrap(self.regrets, 0) if ranked else None,
            "cyclic_triads": None,
            **{name: fsum(values) / len(values) for name, values in sorted(self._notes.items())},
            "comparisons": self._comparisons / cases,
            "tokens": self._tokens / cases,
            "failures": self._failures,
        }

    def lines(self) -> list[str]:
        """Write the figures for people."""
        found = self.as_dict()
        lines = []
        if found["n"]:
            low, high = found["top1_interval"]
            lines.append(f"best candidate found  {100 * found['top1']:.1f} % ({100 * low:.0f}-{100 * high:.0f})")
        if found["regret"] is not None:
            low, high = found["regret_interval"]
            lines.append(f"mean regret           {found['regret']:.3g} ({low:.3g}-{high:.3g}), in the unit of gold")
        lines.append(f"per case              {found['comparisons']:.1f} comparisons, {found['tokens']:,.0f} tokens")
        if found["cyclic_triads"] is not None:
            lines.append(f"cyclic triads         {100 * found['cyclic_triads']:.1f} %")
        if found.get("undecided"):
            lines.append(f"matches without a winner  {found['undecided']:.2g} per case")
        return lines

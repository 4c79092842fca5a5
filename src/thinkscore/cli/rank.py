"""`thinkscore rank CASES`: rank the candidates of every case, and say how good the best one is."""

from __future__ import annotations

from typing import Any

from ..report.ranking import Ranking
from ._budget import MaxCost, MaxTotalTokens, Prices
from ._cases import Format, SkipBad, Thoughts
from ._judging import (
    AsJson,
    CaseRows,
    DryRun,
    Engine,
    Extra,
    Guard,
    Journal,
    Limit,
    MaxCalls,
    MaxFailures,
    MaxTokens,
    Model,
    Others,
    Out,
    Parser,
    Protocol,
    Seed,
    Strategy,
    Temperature,
    Template,
    TooLong,
    TopP,
    Wanted,
    carry_out,
)

__all__ = ["rank"]


def rank(
    cases: CaseRows,
    protocol: Protocol = None,
    model: Model = None,
    engine: Engine = None,
    strategy: Strategy = "knockout:r=3",
    others: Others = None,
    seed: Seed = 0,
    journal: Journal = None,
    out: Out = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_tokens: MaxTokens = None,
    parser: Parser = None,
    template: Template = None,
    guard: Guard = None,
    format: Format = None,
    skip_bad: SkipBad = False,
    thoughts: Thoughts = "keep",
    too_long: TooLong = "fail",
    max_calls_per_case: MaxCalls = None,
    max_total_tokens: MaxTotalTokens = None,
    max_cost: MaxCost = None,
    prices: Prices = None,
    limit: Limit = None,
    max_failures: MaxFailures = 0.01,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Rank the candidates of every case by a tournament or in lists; `scores` of a row are the rewards of its group."""
    given: dict[str, Any] = {**locals(), "anchors": None, "calibration": None}
    found = Ranking()
    carry_out(Wanted(**given), Extra(found.add, lambda: {"rank": found.as_dict()}, found.lines, notes=False))

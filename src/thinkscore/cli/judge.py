"""`thinkscore judge CASES`: judge every case of a file."""

from __future__ import annotations

from ._budget import MaxCost, MaxTotalTokens, Prices
from ._cases import Anchors, Format, SkipBad, Thoughts
from ._judging import (
    AsJson,
    Calibration,
    CaseRows,
    DryRun,
    Engine,
    Ground,
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

__all__ = ["judge"]


def judge(
    cases: CaseRows,
    protocol: Protocol = None,
    model: Model = None,
    engine: Engine = None,
    strategy: Strategy = "vote:k=1",
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
    anchors: Anchors = None,
    calibration: Calibration = None,
    too_long: TooLong = "fail",
    max_calls_per_case: MaxCalls = None,
    max_total_tokens: MaxTotalTokens = None,
    max_cost: MaxCost = None,
    prices: Prices = None,
    limit: Limit = None,
    max_failures: MaxFailures = 0.01,
    ground: Ground = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Judge every case of a file; rows and journal are kept if you name them."""
    carry_out(Wanted(**locals()))

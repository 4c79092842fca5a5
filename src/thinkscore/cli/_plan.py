"""Prints what a run would ask and cost."""

from __future__ import annotations

import msgspec

from ..report.plan import Plan
from ..report.terminal import console

__all__ = ["print_plan"]


def print_plan(plan: Plan, as_json: bool) -> None:
    """Print a plan, estimates named as such; as JSON last if wanted."""
    where = console(stderr=as_json)
    where.print(f"dry run, nothing was sent\n{'cases':18}{plan.cases:,}")
    for name, text in _lines(plan):
        where.print(f"{name:18}{text}", soft_wrap=True)
    if as_json:
        print(msgspec.json.encode(plan).decode())


def _lines(plan: Plan) -> list[tuple[str, str]]:
    recorded = f"; {plan.recorded:,} more are in the journal" if plan.recorded else ""
    written = "unknown" if plan.completion_tokens is None else f"about {plan.completion_tokens:,} (as in the journal)"
    return [
        ("calls", f"{plan.calls:,}{recorded}"),
        *([("not shown", f"{plan.unaskable:,} cases do not suit the protocol")] if plan.unaskable else []),
        *([("", "the strategy decides as it goes; counted as if all verdicts agreed")] if plan.adaptive else []),
        ("prompt tokens", f"about {plan.prompt_tokens:,} ({_rule(plan)})"),
        ("completion tokens", f"{written}, at most {plan.most_completion_tokens:,}"),
        ("cost", _cost(plan)),
        ("time", _time(plan)),
    ]


def _rule(plan: Plan) -> str:
    return "as in the journal" if plan.measured else f"{plan.characters_per_token:g} characters each, a rule of thumb"


def _cost(plan: Plan) -> str:
    if plan.most_cost is None:
        return "unknown without the price of the model"
    about = "" if plan.cost is None else f"about {plan.cost:.4g}, "
    return f"{about}at most {plan.most_cost:.4g}, in the unit of the price file"


def _time(plan: Plan) -> str:
    if plan.seconds is None:
        return "unknown before calls were made; --limit 20 shows the rate of this engine"
    return f"about {plan.seconds:,.0f} seconds"

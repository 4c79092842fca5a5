"""The limits of a command: tokens, or money by a price file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..budget import Budget, read_prices

__all__ = ["MaxCost", "MaxTotalTokens", "Prices", "budget_of"]

MaxTotalTokens = Annotated[
    int | None, typer.Option("--max-total-tokens", help="never spend more tokens, read and written, than this")
]
MaxCost = Annotated[float | None, typer.Option("--max-cost", help="never spend more money than this; needs --prices")]
Prices = Annotated[
    Path | None,
    typer.Option("--prices", help='JSON or TOML: {"MODEL": {"prompt": 0.1, "completion": 0.4}} per million'),
]


def budget_of(max_total_tokens: int | None = None, max_cost: float | None = None, prices: Path | None = None) -> Budget:
    """Make the budget that flags ask for. Raises `BadInput`."""
    return Budget(max_total_tokens, max_cost, None if prices is None else read_prices(prices))

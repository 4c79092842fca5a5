"""`thinkscore calibrate ROWS`: fit a map from scores to gold on judged cases, and try it on others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..calibration import calibration_error, fit_calibration, read_scores

__all__ = ["calibrate"]


def calibrate(
    rows: Annotated[Path, typer.Argument(help="what judge --out wrote for cases with gold")],
    out: Annotated[Path, typer.Option(help="the map, for judge --calibration")],
    test: Annotated[Path | None, typer.Option(help="rows of other cases, to try the map on")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object last")] = False,
) -> None:
    """Fit scores to gold (isotonic regression) and say how far both are apart before and after."""
    fitted = fit_calibration(*read_scores(rows))
    fitted.save(out)
    # On the cases it was fitted on the map is right by construction: only other cases can tell.
    tried = rows if test is None else test
    scores, gold = read_scores(tried)
    before, after = calibration_error(scores, gold), calibration_error(list(map(fitted, scores)), gold)
    typer.echo(f"{out}: {len(fitted.scores)} points, fitted on {fitted.n} candidates", err=as_json)
    typer.echo(
        f"calibration error on {len(scores)} candidates of {tried}: {before:.3f} before, {after:.3f} after"
        + (" (the same cases: try others with --test)" if test is None else ""),
        err=as_json,
    )
    if as_json:
        found = {"n_fitted": fitted.n, "n": len(scores), "before": before, "after": after, "calibration": str(out)}
        typer.echo(msgspec.json.encode(found).decode())

"""`thinkscore calibrate ROWS`: what scores are worth: a map to gold, or the lead that makes a judge safe enough."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..calibration import calibration_error, fit_calibration, read_leads, read_scores
from ..errors import BadInput
from ..stats import safe_threshold

__all__ = ["calibrate"]


def calibrate(
    rows: Annotated[Path, typer.Argument(help="what judge --out wrote for cases with gold")],
    out: Annotated[Path | None, typer.Option(help="the map, for judge --calibration")] = None,
    risk: Annotated[
        float | None, typer.Option(help="find the lead above which so few verdicts at most are wrong, e.g. 0.05")
    ] = None,
    delta: Annotated[float, typer.Option(help="for --risk: how often the promise may fail")] = 0.05,
    test: Annotated[Path | None, typer.Option(help="rows of other cases, to try the map on")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object last")] = False,
) -> None:
    """Fit scores to gold (isotonic regression) and say how far both are apart before and after.

    With --risk, find the margin for the strategy `cascade` instead: by how much the favourite has to lead so that the
    judge of these rows may decide alone.
    """
    if (out is None) == (risk is None):
        raise BadInput("give --out FILE for a map from scores to gold, or --risk SHARE for the margin of a cascade")
    _margin(rows, risk, delta, as_json) if out is None else _map(rows, out, test, as_json)


def _margin(rows: Path, risk: float | None, delta: float, as_json: bool) -> None:
    if risk is None or not 0 < risk < 1 or not 0 < delta < 1:
        raise BadInput(f"--risk and --delta lie between 0 and 1; got {risk} and {delta}")
    leads, wrong = read_leads(rows)
    found = safe_threshold(leads, wrong, risk, delta)
    if found is None:
        typer.echo(f"no margin: among {len(leads)} cases of {rows} no lead shows a risk of {risk:g}", err=as_json)
    else:
        margin, accepted, errors = found
        typer.echo(
            f"margin {margin:g}: it would decide {accepted} of {len(leads)} cases alone, {errors} of them wrong; "
            f"that more than {risk:.1%} of such cases are wrong has a chance of {delta:.1%} at most",
            err=as_json,
        )
    if as_json:
        values = dict(zip(("margin", "accepted", "wrong"), found or (None, 0, 0), strict=True))
        typer.echo(msgspec.json.encode({**values, "n": len(leads), "risk": risk, "delta": delta}).decode())


def _map(rows: Path, out: Path, test: Path | None, as_json: bool) -> None:
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

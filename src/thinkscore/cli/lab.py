"""`thinkscore lab make|train`: cases of the verifiable world, and the judge that is trained in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..data import case_row, write_rows
from ..errors import require
from ..lab import world

__all__ = ["lab"]

lab = typer.Typer(no_args_is_help=True, help="The small verifiable world: make cases, train its judge.")


@lab.command()
def make(
    out: Annotated[str, typer.Option(help="where to write; - for standard output")],
    seed: Annotated[int, typer.Option(help="any seed makes fresh cases")] = 0,
    split: Annotated[str, typer.Option(help="train, dev, test or ood")] = "test",
    n: Annotated[int, typer.Option(help="how many cases", min=1)] = 300,
    candidates: Annotated[int, typer.Option(help="replies per case, 1 to 32")] = 2,
    style: Annotated[
        str, typer.Option(help="biased: pleasant training replies are mostly the better ones; free: at random")
    ] = "biased",
) -> None:
    """Write cases with true scores as JSONL."""
    cases = world.make(seed, split, n, candidates, style)  # type: ignore[arg-type]
    with write_rows(out) as write:
        for case in cases:
            write(case_row(case))
    if out != "-":
        typer.echo(f"{n} {split} cases: {out}")


@lab.command()
def train(
    out: Annotated[Path, typer.Option(help="folder for the judge, its base and the loss curves")],
    seed: Annotated[int, typer.Option(help="the same seed gives the same weights")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads", min=1)] = 2,
    documents: Annotated[int | None, typer.Option(help="base documents (default: as the packaged judge)")] = None,
    traces: Annotated[int | None, typer.Option(help="oracle traces (default: as the packaged judge)")] = None,
) -> None:
    """Train the embedded judge from nothing; it then runs as --engine embedded:OUT."""
    require("torch", "train")
    from ..train.lab_judge import Recipe, train_judge

    sizes = {"documents": documents, "traces": traces}
    recipe = Recipe(seed=seed, threads=threads, **{name: size for name, size in sizes.items() if size is not None})
    train_judge(out, recipe)
    typer.echo(f"judge: {out}; try: thinkscore demo --engine embedded:{out}")

"""`thinkscore engines list | check URI`: what engines there are, and what one of them can do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
import typer

from ..engines._base import Engine
from ..errors import ThinkscoreError
from ..judge import make_engine, make_protocol
from ..lab import world
from ..plugins import load, names
from ..types import Failure, Message, Prompt, Sampling

__all__ = ["engines"]

engines = typer.Typer(help="What answers: list the engines, or check one.", no_args_is_help=True)


@engines.command("list")
def list_engines() -> None:
    """List the engines that ship with the package."""
    for name in names("engines", "doubles"):
        summary = (load(("engines", "doubles"), name, Engine).__doc__ or "").partition("\n")[0]  # type: ignore[type-abstract]
        typer.echo(f"{name:10} {summary}")


@engines.command("check")
def check(
    uri: Annotated[str, typer.Argument(help="URI of the engine: embedded, hf:ID, http://HOST/v1?model=NAME ...")],
    as_json: Annotated[bool, typer.Option("--json", help="print one machine-readable object")] = False,
) -> None:
    """Open an engine and try what it can do, with a handful of short calls on one lab case."""
    found = asyncio.run(_check(make_engine(uri)))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    for name, said in found.items():
        typer.echo(f"{name:14} {said}")
    if found["generates"] != "yes" and found["values"] != "yes":
        raise typer.Exit(1)


async def _check(engine: Engine) -> dict[str, str]:
    await engine.open()
    try:
        (case,) = world.make(0, "test", 1)
        asked = make_protocol("rm_r1").render(case, (0, 1))
        prompt = msgspec.structs.replace(asked, sampling=Sampling(max_tokens=16), seed=1)
        begun = msgspec.structs.replace(prompt, prefill="<answer>")
        conversation = (*case.messages, Message("assistant", case.candidates[0]))
        tries: dict[str, Callable[[], Awaitable[object]]] = {
            "generates": lambda: _generated(engine, prompt),
            "begun answers": lambda: _generated(engine, begun),
            "log-probs": lambda: engine.logprobs([begun], ["[[A]]"]),
            "values": lambda: engine.values([conversation]),
        }
        found = {"identity": engine.identity, "model": engine.model}
        return found | {name: await _tried(attempt) for name, attempt in tries.items()}
    finally:
        await engine.close()


async def _generated(engine: Engine, prompt: Prompt) -> None:
    (completion,) = await engine.generate([prompt])
    if completion.error is not None:
        raise ThinkscoreError(completion.error)


async def _tried(attempt: Callable[[], Awaitable[object]]) -> str:
    try:
        result = await attempt()
    except ThinkscoreError as error:
        return f"no: {error}"
    failed = [item.detail for item in result if isinstance(item, Failure)] if isinstance(result, list) else []
    return f"no: {failed[0]}" if failed else "yes"

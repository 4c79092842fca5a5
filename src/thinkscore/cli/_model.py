"""What `--model NAME` stands for: protocol, template, parser, engine and sampling of a released checkpoint."""

from __future__ import annotations

import sys
from typing import NamedTuple

import msgspec

from ..errors import BadInput
from ..protocols._models import Model, find_model
from ..types import Sampling

__all__ = ["Choice", "chosen"]


_Values = tuple[float | None, float | None, int | None]


class Choice(NamedTuple):
    """How to ask, of whom, and how to read."""

    protocol: str
    engine: str
    parser: str
    template: str | None
    sampling: Sampling


def chosen(
    model: str | None,
    protocol: str | None,
    engine: str | None,
    parser: str | None,
    template: str | None,
    temperature: float | None,
    top_p: float | None,
    max_tokens: int | None,
) -> Choice:
    """Lay the flags that were given over what the table says of the model. Raises `BadInput`."""
    given = (temperature, top_p, max_tokens)
    if model is None:
        if protocol is None:
            raise BadInput("say how to ask: --protocol NAME, or --model NAME for a released checkpoint")
        return Choice(
            protocol, engine or "embedded", parser or "strict", template, _sampling(given, (None, None, None))
        )
    known = find_model(model)
    if known.kind != "judge" or known.protocol is None:
        raise BadInput(f"{known.id} judges no cases itself; `thinkscore models {known.id}` says what it is for")
    if known.template and template == "own":
        print(f"thinkscore: note: {known.id} was not trained on our wording of {known.protocol}", file=sys.stderr)
    published = (known.temperature, known.top_p, known.max_tokens)
    return Choice(
        protocol or known.protocol,
        _named(engine, known),
        parser or known.parser,
        template or known.template,
        _sampling(given, published),
    )


def _sampling(given: _Values, published: _Values) -> Sampling:
    """Take each value from the flags, else from the table, else as usual."""
    fields = ("temperature", "top_p", "max_tokens")
    said = zip(fields, given, published, msgspec.structs.astuple(Sampling()), strict=True)
    return Sampling(**{name: next(value for value in values if value is not None) for name, *values in said})


def _named(engine: str | None, known: Model) -> str:
    """Run the checkpoint in process if no engine was given; tell a server its name if the address does not."""
    name = known.id
    if engine is None:
        return f"hf:{name}" + (f"?context={known.context}" if known.context else "")
    options = engine.partition("?")[2].split("&")
    if not engine.startswith(("http://", "https://")) or any(option.startswith("model=") for option in options):
        return engine
    return f"{engine}{'&' if options[0] else '?'}model={name}"

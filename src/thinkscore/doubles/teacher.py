"""`teacher:` an imperfect judge of lab cases, to distil from: what a stronger model is outside the lab.

`teacher:stop=0.5,level=0.2,forget=0` sets the rates of its flaws (`lab/teacher.py`). Its answers follow from the
prompt's seed; a tie is settled by a coin.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from ..engines._base import Engine
from ..errors import BadInput
from ..lab import teacher
from ..plugins import load
from ..protocols._base import Protocol
from ..seeds import derive_seed
from ..types import Completion, Outcome, Prompt, Scores, Usage, Winner

__all__ = ["Teacher"]


class Teacher(Engine):
    """Answers lab prompts of any protocol."""

    batch = 256

    def __init__(self, rest: str = "") -> None:
        """Read the rates. Raises `BadInput` for one that is unknown or no share."""
        super().__init__(rest)
        self.flaws = _flaws(rest)

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [_answer(prompt, self.flaws) for prompt in prompts]


def _flaws(rest: str) -> teacher.Flaws:
    rates: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        name, _, value = part.partition("=")
        try:
            rate = float(value)
        except ValueError:
            rate = -1.0
        if name not in teacher.Flaws.__struct_fields__ or not 0 <= rate <= 1:
            known = ", ".join(teacher.Flaws.__struct_fields__)
            raise BadInput(f"got teacher:{rest}; it takes NAME=SHARE, comma-separated, of {known}; shares from 0 to 1")
        rates[name] = (rate,) if name == "stop" else rate
    return teacher.Flaws(**rates)


def _answer(prompt: Prompt, flaws: teacher.Flaws) -> Completion:
    rng = random.Random(derive_seed("teacher", prompt.seed, prompt.sample))
    protocol = load("protocols", prompt.protocol, Protocol)()  # type: ignore[type-abstract]
    try:
        if prompt.prefill:
            raise BadInput("the teacher writes whole traces; it carries none on")
        trace, scores = teacher.judge(prompt.case, prompt.order, flaws, rng)
        text = protocol.write(_outcome(protocol, scores, rng), trace, prompt.order)
    except BadInput as error:
        return Completion(finish="error", error=str(error))
    return Completion(text, usage=Usage(1, len(prompt.messages[-1].content.split()), len(text.split())))


def _outcome(protocol: Protocol, scores: Sequence[float | None], rng: random.Random) -> Outcome:
    if protocol.arity[1] > 2:
        return Scores(tuple(scores))
    top = max(score for score in scores if score is not None)
    return Winner(rng.choice([i for i, score in enumerate(scores) if score == top]))

"""`oracle:` a judge of lab cases that is always right and reasons faithfully.

It reads the case as text, writes the true trace in the prompt's protocol, and carries a given prefix (`prefill`)
on: what the prefix states is taken as true, so an error in it goes on to the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..engines._base import Engine
from ..errors import BadInput
from ..lab import oracle
from ..plugins import load
from ..protocols._base import Protocol
from ..types import Completion, Outcome, Prompt, Scores, Trace, Usage, Winner

__all__ = ["Oracle"]


class Oracle(Engine):
    """Answers lab prompts of any protocol."""

    batch = 256

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [_answer(prompt) for prompt in prompts]


def _answer(prompt: Prompt) -> Completion:
    try:
        text = _text(prompt)
    except BadInput as error:
        return Completion(finish="error", error=str(error))
    return Completion(text, usage=Usage(1, _words(prompt.messages[-1].content), _words(text) - _words(prompt.prefill)))


def _words(text: str) -> int:
    """Count words: the oracle has no tokens of its own."""
    return len(text.split())


def _text(prompt: Prompt) -> str:
    protocol = load("protocols", prompt.protocol, Protocol)()  # type: ignore[type-abstract]
    started = Trace()
    if prompt.prefill:
        started = oracle.understood(protocol.parse(Completion(prompt.prefill, finish="length"), prompt).trace)
    trace, scores = oracle.judge(prompt.case, prompt.order, started)
    text = protocol.write(_outcome(protocol, scores), trace, prompt.order)
    if text.startswith(prompt.prefill):
        return text
    # A prefix in somebody else's wording: its own reasoning stands, the verdict that follows from it ends it.
    return prompt.prefill + "\n" + protocol.write(_outcome(protocol, scores), Trace(), prompt.order)


def _outcome(protocol: Protocol, scores: Sequence[float | None]) -> Outcome:
    if protocol.arity[1] > 2:
        return Scores(tuple(scores))
    known = {i: score for i, score in enumerate(scores) if score is not None}
    best = [i for i, score in known.items() if score == max(known.values())]
    if len(best) != 1:
        raise BadInput(f"{protocol.id} has no way to call a tie; got the scores {list(known.values())}")
    return Winner(best[0])

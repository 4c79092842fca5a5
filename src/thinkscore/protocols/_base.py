"""The protocol seam: render a case, parse a completion, write a trace, force a reading, pay a reward."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from ..types import Case, Completion, Outcome, Prompt, Scores, Tie, Trace, Verdict, Winner

__all__ = ["Example", "Guard", "Protocol", "Readout"]

Guard = Literal["escape", "none"]


class Example(NamedTuple):
    """A completion and what must be read from it: a protocol file's own evidence."""

    text: str
    """What a judge wrote about two candidates shown in the order of the case."""
    outcome: Outcome
    """What must be read."""
    finish: Literal["stop", "length"] = "stop"
    """How the text ended."""


class Readout(NamedTuple):
    """A forced reading of the verdict from log-probabilities."""

    prefill: str
    """The judge's turn up to the verdict."""
    continuations: Mapping[str, str]
    """What would follow, by label as shown."""


class Protocol(ABC):
    """One way to ask a judge and to read its answer."""

    arity: ClassVar[tuple[int, int]]
    """Fewest and most candidates in one prompt."""
    examples: ClassVar[tuple[Example, ...]]
    """Completions with the outcome that must be read from them."""

    def __init__(self, guard: Guard = "escape") -> None:
        self.guard: Guard = guard

    @property
    def id(self) -> str:
        """The file name."""
        return type(self).__module__.rpartition(".")[2]

    def instructions(self) -> str:
        """Return the wording that ships beside the protocol's file, as `.md`."""
        return _text_of(Path(inspect.getfile(type(self))).with_suffix(".md"))

    @abstractmethod
    def render(self, case: Case, order: Sequence[int]) -> Prompt:
        """Show candidate order[i] of the case at place i.

        Raises `BadInput` if the number shown is outside `arity`. Seed, sample and sampling are the caller's.
        """

    @abstractmethod
    def parse(self, completion: Completion, prompt: Prompt) -> Verdict:
        """Read a completion; never raises: what cannot be read is a `Failure`."""

    @abstractmethod
    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        """Write the completion from which `parse` reads this outcome and trace.

        Sections that the protocol has no room for are left out. Raises `BadInput` for an outcome that it
        cannot express (a failure; a tie in a pairwise protocol).
        """

    @abstractmethod
    def readout(self, prompt: Prompt, trace: str) -> Readout:
        """Force the verdict after the reasoning text `trace` (as written, up to the verdict)."""

    def reward(self, verdict: Verdict, gold: Sequence[float]) -> float:
        """Pay +1 for a verdict that gold confirms, else -1; a failure is -1 (rule-based RL)."""
        return 1.0 if agrees(verdict.outcome, gold) else -1.0


@cache
def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def agrees(outcome: Outcome, gold: Sequence[float]) -> bool:
    """Tell whether an outcome names the best candidate by gold, strictly (a tie only where gold ties)."""
    best = [i for i, value in enumerate(gold) if value == max(gold)]
    if isinstance(outcome, Tie):
        return len(best) > 1
    if isinstance(outcome, Winner):
        return outcome.winner in best
    if isinstance(outcome, Scores):
        shown = [value for value in outcome.scores if value is not None]
        top = [i for i, value in enumerate(outcome.scores) if value == max(shown)]
        return top == best
    return False

"""The protocol seam: render a case, parse a completion, write a trace, force a reading, pay a reward."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from ..errors import BadInput
from ..types import Case, Completion, Failure, Outcome, Prompt, Scores, Tie, Trace, Verdict, Winner
from ._published import find_template
from ._template import Template

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
    reasoning: str | None = None
    """Thinking that came apart from the text."""
    others: Mapping[str, Outcome] = {}
    """What the authors' parsers read, by name, where it is something else."""


class Readout(NamedTuple):
    """A forced reading of the verdict from log-probabilities."""

    prefill: str
    """The judge's turn up to the verdict."""
    continuations: Mapping[str, str]
    """What would follow, by label as shown."""


class Protocol(ABC):
    """One way to ask a judge and to read its answer."""

    arity: tuple[int, int]
    """Fewest and most candidates in one prompt; a protocol with modes may narrow it."""
    examples: ClassVar[tuple[Example, ...]]
    """Completions with the outcome that must be read from them."""
    readable_by_force: ClassVar[bool] = True
    """Whether `readings` and `expected` give a verdict from log-probabilities."""
    takes: ClassVar[str] = ""
    """What may follow its name in `NAME:REST`, in words for the user; nothing if empty."""

    parsers: ClassVar[tuple[str, ...]] = ("strict",)
    """Ways to read a verdict: ours, and the published ones by name."""
    slots: ClassVar[tuple[str, ...]] = ()
    """What a template must have a place for; empty where the protocol takes no template."""
    turns: ClassVar[tuple[str, ...]] = ()
    """The same for the part of a template that shows conversations of several turns, if it has one."""

    def __init__(
        self, guard: Guard | None = None, parser: str = "strict", template: str | None = None, *, rest: str = ""
    ) -> None:
        """Choose how to ask and read. Raises `BadInput`.

        `guard` is "none" for a published template and else "escape" if not given. `template` is "own" (our wording),
        "own:VARIANT", a name that `thinkscore templates list` shows, or a file.
        """
        if rest and not self.takes:
            raise BadInput(f"protocol {self.id} takes nothing after its name; got {self.id}:{rest}")
        if parser not in self.parsers:
            raise BadInput(f"{self.id} has the parsers {', '.join(self.parsers)}; got {parser!r}")
        self.rest, self.parser = rest, parser
        self.template: Template | None = find_template(template, self.id, self.slots, self.turns, self._place())
        self.guard: Guard = guard or ("none" if self.template and self.template.official else "escape")

    @property
    def id(self) -> str:
        """The file name."""
        return type(self).__module__.rpartition(".")[2]

    def settings(self) -> dict[str, object]:
        """Return what a manifest must hold, beside id, texts and guard, to ask and read in the same way again."""
        return {"rest": self.rest} if self.rest else {}

    def identity(self) -> dict[str, object]:
        """Return all that the prompts and the reading hang on, for a recipe that goes on with the same."""
        template = None if self.template is None else self.template.described()
        return {"id": self.id, "template": template, "guard": self.guard, "parser": self.parser, **self.settings()}

    def instructions(self) -> str:
        """Return the wording that ships beside the protocol's file, as `.md`."""
        return text_of(self._wording)

    @cached_property
    def _wording(self) -> Path:
        return self._place().with_suffix(".md")

    def _place(self) -> Path:
        return Path(inspect.getfile(type(self)))

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

    def reasoning(self, completion: Completion, prompt: Prompt) -> str | None:
        """Return what was reasoned before the verdict: all that was written, if it was cut before one.

        Thinking that was cut is closed. None for a completion that ended without a verdict.
        """
        text = completion.whole()
        at = text.rfind(self.readout(prompt, "").prefill)
        if isinstance(self.parse(completion, prompt).outcome, Failure):
            is_open = text.rfind("<think>") > text.rfind("</think>")
            return text + "\n</think>" * is_open if completion.finish == "length" else None
        return None if at < 0 else text[:at]

    def readings(self, prompt: Prompt, verdict: Verdict) -> list[Readout]:
        """Force the verdict after what a completion reasoned; `expected` weighs what comes of it. May be nothing."""
        reasoning = self.reasoning(verdict.completion, prompt)
        return [] if reasoning is None else [self.readout(prompt, reasoning)]

    def expected(self, prompt: Prompt, chances: Sequence[Mapping[str, float]]) -> tuple[float | None, ...]:
        """Give each candidate what the labels' chances in `readings` are worth: here its chance to win."""
        by_candidate = dict(zip(prompt.order, chances[0].values(), strict=True))
        return tuple(by_candidate.get(i) for i in range(len(prompt.case.candidates)))

    def reward(self, verdict: Verdict, gold: Sequence[float]) -> float:
        """Pay +1 for a verdict that gold confirms, else -1; a failure is -1 (rule-based RL)."""
        return 1.0 if agrees(verdict.outcome, gold) else -1.0


@cache
def text_of(path: Path) -> str:
    """Read a wording that ships with the package, once."""
    return path.read_text(encoding="utf-8").strip()


def shown_gold(case: Case, order: Sequence[int]) -> list[float] | None:
    """Return the gold of what a prompt showed, anchors included; what it did not show can win nothing.

    None where gold is not known for all that were shown, or only one was.
    """
    known = None if case.gold is None else [*case.gold, *(anchor.gold for anchor in case.anchors)]
    if known is None or len(order) < 2 or any(known[i] is None for i in order):
        return None
    return [-math.inf if value is None or i not in order else value for i, value in enumerate(known)]


def agrees(outcome: Outcome, gold: Sequence[float]) -> bool:
    """Tell whether an outcome names the best candidate by gold, strictly (a tie only where gold ties).

    With a single candidate its score must be its gold (DeepSeek-GRM, equation 11: a label of 0 or 1).
    """
    if len(gold) == 1:
        return isinstance(outcome, Scores) and outcome.scores[0] == gold[0]
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

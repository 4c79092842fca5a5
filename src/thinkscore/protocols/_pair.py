"""What pairwise protocols share: two candidates under tags, one verdict text for each, no way to call a tie."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from ..errors import BadInput
from ..types import Case, Completion, Message, Outcome, Prompt, Trace, Verdict, Winner
from ._base import Protocol
from ._text import block, check_order, engine_failure, guarded, question_block


class Pairwise(Protocol):
    """A protocol for two candidates; a subclass names the tags and verdicts and reads outcome and trace."""

    arity = (2, 2)
    tags: ClassVar[tuple[str, str]]
    """What stands around the candidate at each place."""
    verdicts: ClassVar[tuple[str, str]]
    """The verdict for each place."""

    def render(self, case: Case, order: Sequence[int]) -> Prompt:
        check_order(self.id, case, order, self.arity)
        shown = [block(tag, guarded(case.candidates[i], self.guard)) for tag, i in zip(self.tags, order, strict=True)]
        user = "\n".join([question_block(case, self.guard), *shown])
        messages = (Message("system", self.instructions()), Message("user", user))
        return Prompt(case, self.id, messages, tuple(order), verdicts=self.verdicts)

    def parse(self, completion: Completion, prompt: Prompt) -> Verdict:
        failure = engine_failure(completion)
        outcome = failure or self.read_outcome(completion, prompt.order)
        trace = Trace() if failure else self.read_trace(completion, prompt.order)
        return Verdict(prompt.case.id, prompt.order, outcome, trace, completion)

    @abstractmethod
    def read_outcome(self, completion: Completion, order: Sequence[int]) -> Outcome:
        """Read the verdict."""

    @abstractmethod
    def read_trace(self, completion: Completion, order: Sequence[int]) -> Trace:
        """Read the reasoning."""

    def verdict_text(self, outcome: Outcome, order: Sequence[int]) -> str:
        """Write the verdict. Raises `BadInput` for anything but a winner that is shown."""
        if not isinstance(outcome, Winner) or outcome.winner not in order:
            raise BadInput(f"a pairwise verdict names one of the candidates {tuple(order)}; got {outcome}")
        return self.verdicts[list(order).index(outcome.winner)]

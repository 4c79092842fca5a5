"""What pairwise protocols share: two candidates under tags, one verdict text for each, no way to call a tie."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from ..errors import BadInput
from ..types import Case, Completion, Failure, Message, Outcome, Prompt, Trace, Verdict, Winner
from ._base import Protocol
from ._template import Template, transcript
from ._text import block, check_order, engine_failure, guarded, guarded_turns, question_block, single_turn

__all__ = ["Pairwise"]


class Pairwise(Protocol):
    """A protocol for two candidates; a subclass names the tags and verdicts and reads place and trace."""

    arity = (2, 2)
    slots: ClassVar[tuple[str, ...]] = ("question", "answer_a", "answer_b")
    turns: ClassVar[tuple[str, ...]] = ("conversation_a", "conversation_b")
    tags: ClassVar[tuple[str, str]]
    """What stands around the candidate at each place."""
    verdicts: ClassVar[tuple[str, str]]
    """The verdict for each place."""
    readers: ClassVar[Mapping[str, Callable[[Completion], int | Failure]]]
    """By parser: finds the place that the verdict names."""

    def render(self, case: Case, order: Sequence[int]) -> Prompt:
        check_order(self.id, case, order, self.arity)
        messages = self.worded(case, order) if self.template is None else self._filled(self.template, case, order)
        return Prompt(case, self.id, messages, tuple(order), verdicts=self.verdicts)

    def worded(self, case: Case, order: Sequence[int]) -> tuple[Message, ...]:
        """Show the case in our own wording."""
        return (Message("system", self.instructions()), Message("user", self.shown(case, order)))

    def shown(self, case: Case, order: Sequence[int]) -> str:
        """Show question and candidates under our tags."""
        blocks = [block(tag, guarded(case.candidates[i], self.guard)) for tag, i in zip(self.tags, order, strict=True)]
        return "\n".join([question_block(case, self.guard), *blocks])

    def _filled(self, template: Template, case: Case, order: Sequence[int]) -> tuple[Message, ...]:
        """Show the case in a template: more than one turn in its part for them, else as a transcript."""
        single = single_turn(case)
        marks = template.marks if single else template.marks_of_turns
        safe = guarded_turns(case, self.guard, marks)
        replies = [guarded(case.candidates[i], self.guard, marks) for i in order]
        asked = safe[0].content if single else transcript(safe)
        values = {"question": asked, "context": asked}
        for label, reply in zip("ab", replies, strict=True):
            values[f"answer_{label}"] = reply
            turns = [*safe, Message("assistant", reply)]
            values[f"conversation_{label}"] = transcript(turns, f"Chatbot {label.upper()}")
        return template.messages(values, replies, several=not single and "turns" in template.parts)

    def parse(self, completion: Completion, prompt: Prompt) -> Verdict:
        failure = engine_failure(completion)
        outcome = failure or self._winner(self.readers[self.parser](completion), prompt.order)
        trace = Trace() if failure else self.read_trace(completion, prompt.order)
        return Verdict(prompt.case.id, prompt.order, outcome, trace, completion)

    def _winner(self, place: int | Failure, order: Sequence[int]) -> Outcome:
        return place if isinstance(place, Failure) else Winner(order[place])

    @abstractmethod
    def read_trace(self, completion: Completion, order: Sequence[int]) -> Trace:
        """Read the reasoning."""

    def verdict_text(self, outcome: Outcome, order: Sequence[int]) -> str:
        """Write the verdict. Raises `BadInput` for anything but a winner that is shown."""
        if not isinstance(outcome, Winner) or outcome.winner not in order:
            raise BadInput(f"a pairwise verdict names one of the candidates {tuple(order)}; got {outcome}")
        return self.verdicts[list(order).index(outcome.winner)]

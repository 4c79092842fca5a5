"""One number per candidate from a scalar head, without a word: the classic reward model, as a baseline.

Source: Bradley-Terry reward models such as Skywork-Reward-V2 (arXiv 2507.01352): a head on a language model reads the
conversation, answer included, and gives a number; the probability that one answer is the better of two is the logistic
function of the difference. The protocol renders one conversation per candidate (`Prompt.conversations`), the engine
answers with a JSON list of values in the order shown. We differ in that a value that is no finite number is a failure.

Nothing of ours stands around the candidates, so nothing is escaped: the chat template of the model is the only frame.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from ..errors import BadInput
from ..types import Case, Completion, Failure, Message, Outcome, Prompt, Scores, Trace, Verdict
from ._base import Example, Guard, Protocol, Readout
from ._text import check_order, engine_failure, missing

__all__ = ["Scalar"]


class Scalar(Protocol):
    """One to many candidates, `[1.5, -0.25]`; higher is better, only differences within a case mean something."""

    arity = (1, 1000)
    readable_by_force = False
    examples = (
        Example("[1.5,-0.25]", Scores((1.5, -0.25))),
        Example("[-3, 12]", Scores((-3.0, 12.0))),
        Example("[0.5, 0.5]", Scores((0.5, 0.5))),
        Example("[1.5]", Failure("wrong_arity")),
        Example("[1.5, -0.25, 2.0]", Failure("wrong_arity")),
        Example("[NaN, 0.5]", Failure("out_of_range")),
        Example("[1e999, 0.5]", Failure("out_of_range")),
        Example("[null, 0.5]", Failure("out_of_range")),
        Example('[true, "0.5"]', Failure("no_verdict")),
        Example("The first one scores [1.5, -0.25].", Failure("no_verdict")),
        Example("[1.5, -0", Failure("truncated"), "length"),
    )

    def __init__(
        self, guard: Guard | None = None, parser: str = "strict", template: str | None = None, *, rest: str = ""
    ) -> None:
        """Take what every protocol takes; the guard has nothing to guard here and is always "none"."""
        super().__init__("none", parser, template, rest=rest)

    def instructions(self) -> str:
        """Say what stands in the place of a wording."""
        return "(none: a scalar head is told nothing and reads the conversation as the model's chat template writes it)"

    def render(self, case: Case, order: Sequence[int]) -> Prompt:
        check_order(self.id, case, order, self.arity)
        values = [[float(place == best) for place in range(len(order))] for best in range(len(order))]
        return Prompt(
            case,
            self.id,
            (),
            tuple(order),
            verdicts=tuple(map(json.dumps, values)),
            conversations=tuple((*case.messages, Message("assistant", case.candidates[i])) for i in order),
        )

    def parse(self, completion: Completion, prompt: Prompt) -> Verdict:
        outcome = engine_failure(completion) or _outcome(completion, prompt)
        return Verdict(prompt.case.id, prompt.order, outcome, Trace(), completion)

    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        values = [outcome.scores[i] for i in order] if isinstance(outcome, Scores) else [None]
        if any(value is None or not math.isfinite(value) for value in values):
            raise BadInput(f"scalar writes one finite number for each candidate shown; got {outcome}")
        return json.dumps(values)

    def readout(self, prompt: Prompt, trace: str) -> Readout:
        """Raise `BadInput`: there is no text that a verdict could be forced after."""
        raise BadInput(
            "scalar has no text to force a verdict after: its values are the verdict; "
            "use its scores, or a protocol that writes (rm_r1, rrm, deepseek_grm, verdict_only)"
        )


def _outcome(completion: Completion, prompt: Prompt) -> Outcome:
    try:
        values = json.loads(completion.text, parse_int=float)
    except (ValueError, RecursionError):
        return missing(completion)
    # null is what a number that is none becomes in JSON
    if not isinstance(values, list) or any(not isinstance(value, float | None) for value in values):
        return Failure("no_verdict", "the answer is not a JSON list of numbers")
    if len(values) != len(prompt.order):
        return Failure("wrong_arity", f"{len(values)} values for {len(prompt.order)} candidates")
    if any(value is None or not math.isfinite(value) for value in values):
        return Failure("out_of_range", f"values are finite numbers; got {completion.text:.200}")
    by_candidate = dict(zip(prompt.order, values, strict=True))
    return Scores(tuple(by_candidate.get(i) for i in range(len(prompt.case.candidates))))

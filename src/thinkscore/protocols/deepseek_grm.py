"""Criteria, critique, and a whole score from 1 to 10 for each of any number of responses in one prompt.

Source: DeepSeek-GRM / Self-Principled Critique Tuning (arXiv 2504.02495, sections 2-3, appendix G). We differ: our
own wording, one criterion per line; the scores are read from the final region only, must be as many as the
responses and whole numbers from 1 to 10 (0 or 1 in the authors' form for training on single responses, "own:single"
in ours). The published parser takes any list of numbers, even in a stray bracket: it is the parser `official_eval`,
where a list of another length than the responses, of which the paper says nothing, is a failure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import fsum, isfinite

from ..errors import BadInput
from ..types import Case, Completion, Failure, Message, Outcome, Prompt, Scores, Trace, Verdict
from ._base import Example, Protocol, Readout
from ._grm import boxed, read_parts, write_parts
from ._template import Template, transcript
from ._text import (
    block,
    check_order,
    engine_failure,
    guarded,
    guarded_turns,
    missing,
    question_block,
    single_turn,
)

__all__ = ["DeepseekGrm"]

_NUMBER = r"-?\d+(?:\.\d+)?(?:\s?/\s?10(?!\d))?"
_LIST = re.compile(rf"\s*{_NUMBER}(?:\s*,\s*{_NUMBER})*\s*")
_GROUP = re.compile(r"(?:\\{1,2}boxed\{|\[)([^\]}]*)[\]}]")


class DeepseekGrm(Protocol):
    """One to many candidates, `Scores: \\boxed{8, 5}`."""

    arity = (1, 1000)
    parsers = ("strict", "official_eval")
    slots = ("context", "response")
    examples = (
        Example(
            'Specific Criteria:\nright (3)\nAnalysis:\nResponse 1: "4" right\nResponse 2: wrong\nScores: \\boxed{9, 2}',
            Scores((9.0, 2.0)),
        ),
        Example("Analysis: Response 1 says \\boxed{42, 7}.\nScores: \\boxed{3, 8}", Scores((3.0, 8.0))),
        Example("Scores: \\boxed{5, 5}", Scores((5.0, 5.0))),
        Example("Scores: \\boxed{11, 5}", Failure("out_of_range"), others={"official_eval": Scores((11.0, 5.0))}),
        Example("Scores: \\boxed{7.5, 5}", Failure("out_of_range"), others={"official_eval": Scores((7.5, 5.0))}),
        Example("Scores: \\boxed{8/10, 5/10}", Scores((8.0, 5.0)), others={"official_eval": Failure("no_verdict")}),
        Example("Scores: \\boxed{8, 5, 2}", Failure("wrong_arity")),
        Example("Scores: \\boxed{8, 5, none}", Failure("no_verdict"), others={"official_eval": Scores((8.0, 5.0))}),
        Example("Scores: [8, 5]", Failure("no_verdict"), others={"official_eval": Scores((8.0, 5.0))}),
        Example("Scores: \\boxed{8, 5}\nSee also [1].", Scores((8.0, 5.0)), others={
            "official_eval": Failure("wrong_arity")}),
        Example("Scores: \\boxed{8, 5} no, \\boxed{5, 8}", Failure("ambiguous"), others={
            "official_eval": Scores((5.0, 8.0))}),
        Example("Analysis: both are fine\nScores:", Failure("no_verdict")),
        Example("Analysis: so far \\boxed{8, 5}, but", Failure("truncated"), "length", others={
            "official_eval": Scores((8.0, 5.0))}),
    )  # fmt: skip

    @property
    def range(self) -> tuple[int, int]:
        """Least and greatest score."""
        return self.template.scores or (1, 10) if self.template else (1, 10)

    def render(self, case: Case, order: Sequence[int]) -> Prompt:
        check_order(self.id, case, order, self.arity)
        messages = self._worded(case, order) if self.template is None else self._filled(self.template, case, order)
        least, most = self.range
        best = [[most if j == i else least for j in range(len(order))] for i in range(len(order))]
        return Prompt(case, self.id, messages, tuple(order), verdicts=tuple(map(_written_scores, best)))

    def _worded(self, case: Case, order: Sequence[int]) -> tuple[Message, ...]:
        shown = [
            block(f"response_{place}", guarded(case.candidates[i], self.guard))
            for place, i in enumerate(order, start=1)
        ]
        user = "\n".join([question_block(case, self.guard), *shown])
        return Message("system", self.instructions()), Message("user", user)

    def _filled(self, template: Template, case: Case, order: Sequence[int]) -> tuple[Message, ...]:
        if template.one and len(order) != 1:
            raise BadInput(f"template {template.name} shows one response; case {case.id!r} shows {len(order)}")
        marks = template.marks if single_turn(case) else template.marks_of_turns
        turns = guarded_turns(case, self.guard, marks)
        context = turns[0].content if single_turn(case) else transcript(turns)
        shown = [guarded(case.candidates[i], self.guard, marks) for i in order]
        return template.messages({"context": context, "response": shown[0]}, shown)

    def parse(self, completion: Completion, prompt: Prompt) -> Verdict:
        failure = engine_failure(completion)
        outcome = failure or self._outcome(completion, prompt)
        trace = Trace() if failure else read_parts(completion, prompt.order)
        return Verdict(prompt.case.id, prompt.order, outcome, trace, completion)

    def _outcome(self, completion: Completion, prompt: Prompt) -> Outcome:
        if self.parser == "official_eval":
            return _official(completion, prompt)
        return _strict(completion, prompt, *self.range)

    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        if not isinstance(outcome, Scores):
            raise BadInput(f"deepseek_grm writes scores; got {outcome}")
        scores = [outcome.scores[i] for i in order]
        least, most = self.range
        if any(score is None or score != int(score) or not least <= score <= most for score in scores):
            raise BadInput(f"deepseek_grm writes whole scores from {least} to {most}; got {scores}")
        return "\n".join([*write_parts(trace, order), _written_scores([int(score or 0) for score in scores])])

    def readout(self, prompt: Prompt, trace: str) -> Readout:
        stem = trace.rstrip() + "\n" * bool(trace.strip()) + "Scores: \\boxed{"
        return Readout(stem, {str(score): str(score) for score in range(self.range[0], self.range[1] + 1)})

    def readings(self, prompt: Prompt, verdict: Verdict) -> list[Readout]:
        """Force one score after the other, each after those that the completion gave before it."""
        reasoning, outcome = self.reasoning(verdict.completion, prompt), verdict.outcome
        if reasoning is None or not isinstance(outcome, Scores):
            return []
        stem = self.readout(prompt, reasoning).prefill
        said = [f"{outcome.scores[i]:g}" for i in prompt.order]
        ends = [","] * (len(said) - 1) + ["}"]  # with what ends it, so that 1 is not the beginning of 10
        labels = [str(score) for score in range(self.range[0], self.range[1] + 1)]
        found = []
        for place, end in enumerate(ends):
            space = " " * bool(place)
            found.append(Readout(stem, {label: f"{space}{label}{end}" for label in labels}))
            stem += f"{space}{said[place]}{end}"
        return found

    def expected(self, prompt: Prompt, chances: Sequence[Mapping[str, float]]) -> tuple[float | None, ...]:
        """Give each candidate its expected score."""
        means = [fsum(int(label) * chance for label, chance in one.items()) for one in chances]
        by_candidate = dict(zip(prompt.order, means, strict=True))
        return tuple(by_candidate.get(i) for i in range(len(prompt.case.candidates)))


def _written_scores(scores: Sequence[int]) -> str:
    return f"Scores: \\boxed{{{', '.join(map(str, scores))}}}"


def _strict(completion: Completion, prompt: Prompt, least: int, most: int) -> Outcome:
    said = boxed(completion)
    if isinstance(said, Failure):
        return said
    found = {tuple(float(x.partition("/")[0]) for x in one.split(",")) for one in said if _LIST.fullmatch(one)}
    if len(found) > 1:
        return Failure("ambiguous", "the final region holds different lists of scores")
    if not found:
        return missing(completion)
    return _placed(found.pop(), prompt, f"whole numbers from {least} to {most}", range(least, most + 1))


def _official(completion: Completion, prompt: Prompt) -> Outcome:
    """Read the last group in a box or in brackets, whatever stands around it; what is no number is passed over."""
    text = completion.whole()
    groups = _GROUP.findall(text, 0, max(text.rfind("]"), text.rfind("}")) + 1)  # what is never closed is no group
    scores = [score for said in groups[-1].split(",") for score in _number(said)] if groups else []
    if not scores:
        return missing(completion)
    return _placed(tuple(scores), prompt, "finite numbers")


def _number(text: str) -> list[float]:
    try:
        return [float(text)]
    except ValueError:
        return []


def _placed(scores: tuple[float, ...], prompt: Prompt, kind: str, allowed: Sequence[float] | None = None) -> Outcome:
    """Give each score to its candidate if they are as many as the responses, and each is allowed."""
    if len(scores) != len(prompt.order):
        return Failure("wrong_arity", f"{len(scores)} scores for {len(prompt.order)} responses")
    if not all(isfinite(score) and (allowed is None or score in allowed) for score in scores):
        return Failure("out_of_range", f"scores are {kind}; got {list(scores)}")
    by_candidate = dict(zip(prompt.order, scores, strict=True))
    return Scores(tuple(by_candidate.get(i) for i in range(len(prompt.case.candidates))))

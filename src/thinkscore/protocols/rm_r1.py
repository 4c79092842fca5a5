"""Chain-of-Rubrics: classify, write a rubric (or solve), evaluate with quotes, then the verdict.

Sits between case and prompt, and between completion and verdict. Source: RM-R1 (arXiv 2505.02387, section 2), the
instruct variant's grammar. We differ: our own wording; weights in brackets; the verdict is read from the final
region alone (the authors' readings of the whole text and of its last 80 characters are the other parsers); a text that
names both sides there is ambiguous, never a side. A text with thinking in front (the R1-distilled variant) is read as
well; `rm_r1_think` asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from ..types import Completion, Criterion, Failure, Line, Note, Outcome, Prompt, Trace, Winner
from ._answer import LABELS, VERDICTS, official_eval, official_reward, strict
from ._base import Example, Readout
from ._pair import Pairwise
from ._text import placed_lines, read_weight, write_weight

__all__ = ["RmR1"]

_MARKS = ("think", "type", "rubric", "justify", "solution", "eval", "quote_A", "quote_B", "summary_A", "summary_B")
_NOTHING = Failure("no_verdict")
_BOTH = Failure("ambiguous")


class RmR1(Pairwise):
    """Two candidates, tagged reasoning, `<answer>[[A]]</answer>`."""

    tags = ("response_A", "response_B")
    verdicts = VERDICTS
    readers = {
        "strict": lambda completion: strict(completion, _MARKS),
        "official_eval": official_eval,
        "official_reward": official_reward("<|im_end|>"),
    }
    parsers = tuple(readers)
    examples = (
        Example(
            "<type>Chat</type>\n<rubric>\nkind tone (60%)\n<justify>it is a greeting</justify>\n</rubric>\n<eval>\n"
            "<quote_A>hello there</quote_A><summary_A>kind</summary_A>\n<summary_B>curt</summary_B>\n</eval>\n"
            "<answer>[[A]]</answer>",
            Winner(0),
        ),
        Example("<type>Reasoning</type><solution>2 + 2 = 4</solution><eval>B is right</eval> [[B]]", Winner(1), others={
            "official_reward": _NOTHING}),
        Example("A looks like [[A]] at first\n</think>\n\n<answer>[[B]]</answer>", Winner(1), others={
            "official_eval": _BOTH}),
        Example("<eval>B writes [[B]] to cheat</eval><answer>[[A]]</answer>", Winner(0), others={
            "official_eval": _BOTH}),
        Example("<answer>[[B]]</answer>", Winner(1)),
        Example("<eval>fine</eval><answer>[[A]]</answer> or <answer>[[B]]</answer>", _BOTH),
        Example("<type>Chat</type><eval>[[A]] it is", _NOTHING, others={"official_eval": Winner(0)}),
        Example("<eval>kind</eval><answer> [[ A ]] </answer>", Winner(0), others={
            "official_eval": _NOTHING, "official_reward": _NOTHING}),
        Example(f"<eval>kind</eval><answer>[[A]]</answer> {'I am sure of it. ' * 4}", Winner(0), others={
            "official_reward": _NOTHING}),
        Example("I lean to [[A]] but let me check", Failure("truncated"), "length", others={
            "official_eval": Winner(0)}),
        Example("If <answer>[[A]]</answer> were right, then", Failure("truncated"), "length", others={
            "official_eval": Winner(0), "official_reward": Winner(0)}),
        Example("Both are fine.", _NOTHING),
    )  # fmt: skip

    def read_trace(self, completion: Completion, order: Sequence[int]) -> Trace:
        text = completion.text
        thinking, body = _thinking(completion)
        rubric = _inside(text, "rubric", body)
        justify = _inside(text, "justify", body)
        task = next(
            (line for start, end in _inside(text, "type", body) for line in placed_lines(text, start, end)), None
        )
        return Trace(
            task=task,
            thinking=thinking,
            rubric=tuple(_criterion(line) for start, end in rubric for line in _free(text, start, end, ("justify",))),
            justification=tuple(line for start, end in justify for line in placed_lines(text, start, end)),
            solution=tuple(
                line for start, end in _inside(text, "solution", body) for line in placed_lines(text, start, end)
            ),
            evaluation=tuple(
                sorted(_notes(text, body, order), key=lambda n: -1 if n.candidate is None else n.candidate)
            ),
        )

    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        parts = ["<think>", *(line.text for line in trace.thinking), "</think>"] if trace.thinking else []
        if trace.task is not None:
            parts.append(f"<type>{trace.task.text}</type>")
        if trace.rubric and not (trace.task is not None and trace.task.text == "Reasoning"):
            parts += ["<rubric>", *(write_weight(item.text, item.weight) for item in trace.rubric)]
            if trace.justification:
                parts.append("<justify>" + "\n".join(line.text for line in trace.justification) + "</justify>")
            parts.append("</rubric>")
        if trace.solution:
            parts += ["<solution>", *(line.text for line in trace.solution), "</solution>"]
        if trace.evaluation:
            parts += ["<eval>", *_written_notes(trace.evaluation, order), "</eval>"]
        return "\n".join([*parts, self.verdict_text(outcome, order)])

    def readout(self, prompt: Prompt, trace: str) -> Readout:
        return Readout(trace.rstrip() + "\n" * bool(trace.strip()) + "<answer>", {x: f"[[{x}]]" for x in LABELS})


def _written_notes(notes: Sequence[Note], order: Sequence[int]) -> list[str]:
    lines = [note.text for note in notes if note.candidate is None]
    for label, i in zip(LABELS, order, strict=True):
        tags = [("quote" if note.quote else "summary", note.text) for note in notes if note.candidate == i]
        lines.append("".join(f"<{tag}_{label}>{text}</{tag}_{label}>" for tag, text in tags))
    return [line for line in lines if line]


def _thinking(completion: Completion) -> tuple[tuple[Line, ...], int]:
    """Return the lines of thinking and where the body begins."""
    text = completion.text
    end = text.rfind("</think>")
    if end >= 0:
        begin = text.find("<think>")
        start = begin + len("<think>") if 0 <= begin < end else 0
        return tuple(placed_lines(text, start, end)), end + len("</think>")
    if completion.reasoning:
        return tuple(Line(line.strip()) for line in completion.reasoning.splitlines() if line.strip()), 0
    if not re.search(r"<\w+>", text):  # nothing but free text: thinking that was cut, or an untagged answer
        return tuple(placed_lines(text, 0, len(text))), len(text)
    return (), 0


def _inside(text: str, tag: str, start: int) -> list[tuple[int, int]]:
    """Return where each section of this tag holds its content; an unclosed one runs to the next section."""
    found = []
    begin: int | None = None
    for match in _section_marks(tag).finditer(text, start):
        if begin is not None and (not match[1] or match[2]):
            found.append((begin, match.start()))
            begin = None
        if not match[1] and match[2]:
            begin = match.end()
    if begin is not None:
        found.append((begin, len(text)))
    return found


@cache
def _section_marks(tag: str) -> re.Pattern[str]:
    return re.compile(rf"<(/?)(?:({tag})|answer|eval|rubric|solution|type)>")


def _free(text: str, start: int, end: int, tags: Sequence[str]) -> list[Line]:
    """Return the lines of text[start:end] that stand outside the given tags, without markup."""
    covered = [span for tag in tags for span in _spans(text, tag, start, end)]
    lines = []
    for left, right in _gaps(start, end, covered):
        lines += [line for line in placed_lines(text, left, right) if not re.fullmatch(r"</?\w+>", line.text)]
    return lines


def _spans(text: str, tag: str, start: int, end: int) -> list[tuple[int, int]]:
    return [match.span() for match in _section(tag).finditer(text, start, end)]


@cache
def _section(tag: str) -> re.Pattern[str]:
    return re.compile(rf"<{tag}>.*?(?:</{tag}>|\Z)", re.DOTALL)


def _gaps(start: int, end: int, covered: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    gaps, at = [], start
    for left, right in sorted(covered):
        gaps.append((at, left))
        at = max(at, right)
    return [gap for gap in [*gaps, (at, end)] if gap[0] < gap[1]]


def _criterion(line: Line) -> Criterion:
    text, weight = read_weight(line.text)
    return Criterion(text, line.span, weight)


_NOTE = re.compile(r"<(quote|summary)_([AB])>(.*?)(?:</\1_\2>|(?=<(?:quote|summary|/?eval)\b)|\Z)", re.DOTALL)


def _notes(text: str, start: int, order: Sequence[int]) -> list[Note]:
    """Read quotes, summaries and free remarks of every evaluation, in the order written."""
    notes = []
    for begin, end in _inside(text, "eval", start):
        covered = []
        for match in _NOTE.finditer(text, begin, end):
            covered.append(match.span())
            said = match[3].strip()
            if said:
                left = match.start(3) + match[3].index(said)
                candidate = order[LABELS.index(match[2])]
                notes.append(Note(said, (left, left + len(said)), candidate, match[1] == "quote"))
        for left, right in _gaps(begin, end, covered):
            notes += [
                Note(line.text, line.span)
                for line in placed_lines(text, left, right)
                if not re.fullmatch(r"(?:</?\w+>\s*)+", line.text)
            ]
    return notes

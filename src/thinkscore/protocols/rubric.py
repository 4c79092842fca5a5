"""Your own weighted criteria: the judge says what each comes to, with its evidence; the sum is drawn up here.

Sits between case and prompt, and between completion and verdict. `rubric:FILE` reads criteria from JSON, TOML or YAML;
`rubric` alone has a small general rubric. Each response is held against each criterion; with `?mode=pairwise` the judge
says for each criterion to which of two responses it applies more. The score follows from the levels by the formula in
`_criteria.py`, never from the model's arithmetic. Weights are not shown: the same answers can be weighed anew without a
call. Weighted rubrics with faults are known from HealthBench (arXiv 2505.08775); we differ in that a line that is
missing, contradicted or about an unknown criterion is a failure, never a zero, and that nothing is clipped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..errors import BadInput
from ..types import Case, Completion, Criterion, Failure, Line, Message, Note, Outcome, Prompt, Scores, Trace, Verdict
from ._base import Example, Guard, Protocol, Readout, text_of
from ._criteria import checked_criteria, read_criteria
from ._remarks import free_lines, read_pieces, split_evaluation, write_pieces, write_remarks
from ._sheet import CANNOT, Levels, Said, Sheet, Slot, said
from ._text import (
    block,
    check_order,
    engine_failure,
    final_region,
    goes_on,
    guarded,
    missing,
    placed_lines,
    question_block,
)

__all__ = ["Rubric"]

_SPEAKER = re.compile(r'"[^"\n]*"|“[^“”\n]*”|\bResponse (?P<number>[12]):')
_BEST = (
    "task, Response {0}: [[2]]\ncorrect, Response {0}: [[2]]\n"
    "clear, Response {0}: [[met]]\nharm, Response {0}: [[not met]]"
)
_ZERO = _BEST.replace("[[2]]", "[[0]]").replace("[[met]]", "[[not met]]")
_MIXED = (
    'task, Response {0}: "4" no unit [[1]]\n**correct, Response {0}:** right [[2/2]]\n'
    "- clear, Response {0}: it is [[Met]].\n4. harm, Response {0}: [[met]]"
)
_BOTH = f"{_BEST.format(1)}\n{_BEST.format(2)}"


class Rubric(Protocol):
    """One line per criterion and response: `correct, Response 1: "4" right sum [[met]]`."""

    arity = (1, 32)
    readable_by_force = False  # a verdict is many lines
    takes = "FILE, FILE?mode=pairwise or ?mode=pairwise"
    examples = (
        Example(f"So [[met]] it is.\n</think>\n{_BEST.format(1)}\n{_ZERO.format(2)}", Scores((1.0, 0.0))),
        Example(f"{_BEST.format(2)}\n{_ZERO.format(1)}", Scores((0.0, 1.0))),
        Example(f"{_MIXED.format(1)}\n{_BEST.format(2)}", Scores((0.3, 1.0))),
        Example(f"{_BOTH}\n{_BEST.format(2)}", Scores((1.0, 1.0))),
        Example(_BOTH.replace("[[2]]", f"[[{CANNOT}]]"), Scores((1.0, 1.0))),
        Example(f"{_BEST.format(1)}\n{re.sub('not met|met|2', CANNOT, _BEST).format(2)}", Failure("no_verdict")),
        Example(_BOTH.rpartition("\n")[0], Failure("no_verdict")),
        Example(_BOTH.rpartition("\n")[0], Failure("truncated"), "length"),
        Example(f"{_BOTH}\nharm, Response 2: on the other hand", Failure("truncated"), "length"),
        Example(f"{_BOTH}\n{_ZERO.format(2)}", Failure("ambiguous")),
        Example(f"{_BOTH}\nstyle, Response 1: [[met]]", Failure("out_of_range")),
        Example(_BOTH.replace("[[2]]", "[[3]]"), Failure("out_of_range")),
        Example(f"{_BOTH}\n{_BEST.format(3)}", Failure("wrong_arity")),
    )

    def __init__(
        self,
        guard: Guard | None = None,
        parser: str = "strict",
        template: str | None = None,
        *,
        rest: str = "",
        criteria: Sequence[dict[str, Any]] | None = None,
    ) -> None:
        """Read the criteria from the file that `rest` names, or take them as its rows. Raises `BadInput`."""
        super().__init__(guard, parser, template, rest=rest)
        path, _, query = rest.partition("?")
        if query not in ("", "mode=pointwise", "mode=pairwise"):
            raise BadInput(f"got rubric:{rest}; after the file accepted are ?mode=pointwise and ?mode=pairwise")
        self.pairwise = query == "mode=pairwise"
        if self.pairwise:
            self.arity = (2, 2)
        if criteria is not None:
            self.items, self._sha256 = checked_criteria(list(criteria), "criteria"), None
        else:
            self.items, self._sha256 = read_criteria(path or self._place().with_suffix(".json"))

    def settings(self) -> dict[str, object]:
        return {"rest": self.rest, "sha256": self._sha256, "criteria": [item._asdict() for item in self.items]}

    def instructions(self) -> str:
        """Return the wording that ships beside this file, and the criteria without their weights."""
        wording = text_of(self._place().with_suffix(".pairwise.md" if self.pairwise else ".md"))
        asked = [item.shown() if self.pairwise else item.graded() for item in self.items]
        return "\n".join([wording, "", "Criteria:", *(f"- {line}" for line in asked)])

    def render(self, case: Case, order: Sequence[int]) -> Prompt:
        check_order(self.id, case, order, self.arity)
        shown = [
            block(f"response_{place}", guarded(case.candidates[i], self.guard))
            for place, i in enumerate(order, start=1)
        ]
        user = "\n".join([question_block(case, self.guard), *shown])
        sheet = self._sheet(order)
        verdicts = tuple(_written(sheet, sheet.favouring(place), (), order) for place in range(len(order)))
        messages = (Message("system", self.instructions()), Message("user", user))
        return Prompt(case, self.id, messages, tuple(order), verdicts=verdicts)

    def parse(self, completion: Completion, prompt: Prompt) -> Verdict:
        failure = engine_failure(completion)
        if failure is not None:
            return Verdict(prompt.case.id, prompt.order, failure, Trace(), completion)
        text, sheet = completion.text, self._sheet(prompt.order)
        region = final_region(text, ("think",))
        start = len(text) if region is None else region[0]
        lines = [(line, said(line)) for line in placed_lines(text, start, len(text))]
        written = [one for _, one in lines if one is not None]
        levels, wrong = sheet.read(written)
        outcome = wrong or _outcome(sheet, levels, written, completion, prompt)
        free, notes = split_evaluation([line for line, one in lines if one is None], "Response", prompt.order)
        trace = Trace(
            thinking=(*_thought(completion, start), *free),
            rubric=self._rubric(sheet, levels, prompt),
            evaluation=tuple(sorted([*notes, *_notes(sheet, written, prompt.order)], key=_by_candidate)),
        )
        return Verdict(prompt.case.id, prompt.order, outcome, trace, completion)

    def write(self, outcome: Outcome, trace: Trace, order: Sequence[int]) -> str:
        """Write the levels that the trace's rubric holds; without it, only all of a merit or nothing can be told."""
        sheet = self._sheet(order)
        levels = self._stated(trace, order) or _assumed(sheet, outcome, order)
        scores = dict(zip(order, sheet.scores(levels), strict=True))
        given = outcome.scores if isinstance(outcome, Scores) else ()
        if given != tuple(scores.get(i) for i in range(len(given))) or None in scores.values() or not given:
            raise BadInput(f"the levels of this rubric come to the scores {scores}; got {outcome}")
        lines = free_lines((*trace.thinking, *trace.justification, *trace.solution))
        for place, i in enumerate(order, start=1):
            notes = [note for note in trace.evaluation if note.candidate == i and note.criterion is None]
            lines += [write_remarks(f"Response {place}", notes)] if notes else []
        return "\n".join([*lines, _written(sheet, levels, trace.evaluation, order)])

    def readout(self, prompt: Prompt, trace: str) -> Readout:
        """Force the first line of the sheet that the trace does not hold yet."""
        sheet = self._sheet(prompt.order)
        levels, _ = sheet.read(one for line in placed_lines(trace, 0, len(trace)) if (one := said(line)))
        slot = next((slot for slot in sheet.slots() if slot not in levels), Slot(0, None if self.pairwise else 0))
        stem = trace.rstrip() + "\n" * bool(trace.strip()) + f"{sheet.head(slot)}: [["
        return Readout(stem, {word: f"{word}]]" for word in [*sheet.words(slot.item), CANNOT]})

    def _sheet(self, order: Sequence[int]) -> Sheet:
        return Sheet(self.items, len(order), self.pairwise)

    def _rubric(self, sheet: Sheet, levels: Levels, prompt: Prompt) -> tuple[Criterion, ...]:
        """Return the criteria with what each came to; they stand in the prompt, so they have no span."""
        met = [sheet.shares(levels, place) for place in range(len(prompt.order))]
        found = []
        for number, item in enumerate(self.items):
            shares = {i: met[place][number] for place, i in enumerate(prompt.order)}
            told = [shares.get(i) for i in range(len(prompt.case.candidates))]
            known = tuple(None if share is None else float(share) for share in told)
            unsaid = not any(slot.item == number for slot in levels)
            found.append(Criterion(item.shown(), weight=item.weight, met=() if unsaid else known))
        return tuple(found)

    def _stated(self, trace: Trace, order: Sequence[int]) -> Levels | None:
        """Return the levels that a trace of this rubric holds; None for any other trace."""
        if [item.shown() for item in self.items] != [item.text for item in trace.rubric]:
            return None
        if not all(len(item.met) > max(order) for item in trace.rubric):
            return None
        sheet, levels = self._sheet(order), {}
        for slot in sheet.slots():
            share = trace.rubric[slot.item].met[order[slot.place or 0]]
            levels[slot] = None if share is None else round(share * (len(sheet.words(slot.item)) - 1))
        return levels


def _outcome(sheet: Sheet, levels: Levels, written: Sequence[Said], completion: Completion, prompt: Prompt) -> Outcome:
    if unsaid := sheet.missing(levels):
        found = missing(completion)
        more = f" and {len(unsaid) - 3} more" if len(unsaid) > 3 else ""
        return Failure(found.kind, f"{found.detail}: no line on {'; '.join(unsaid[:3])}{more}")
    if goes_on(completion, completion.text[written[-1].line.span[1] :]):
        return missing(completion)
    scores: dict[int, float] = {}
    for place, score in enumerate(sheet.scores(levels)):
        if score is None:
            return Failure("no_verdict", f"no merit of Response {place + 1} could be assessed")
        scores[prompt.order[place]] = score
    return Scores(tuple(scores.get(i) for i in range(len(prompt.case.candidates))))


def _assumed(sheet: Sheet, outcome: Outcome, order: Sequence[int]) -> Levels:
    """Fill in a sheet for scores alone: every merit or nothing; compared, one response has it all, or it is a tie."""
    scores = [outcome.scores[i] or 0.0 for i in order] if isinstance(outcome, Scores) else [0.0] * len(order)
    best = sheet.favouring(scores.index(max(scores)))
    if sheet.pairwise:
        return best if scores[0] != scores[1] else dict.fromkeys(sheet.slots(), 1)
    full = [sheet.favouring(place) if score > 0 else {} for place, score in enumerate(scores)]
    return {slot: full[slot.place or 0].get(slot, 0) for slot in sheet.slots()}


def _written(sheet: Sheet, levels: Levels, notes: Sequence[Note], order: Sequence[int]) -> str:
    """Write the lines of a sheet with their evidence."""
    lines = []
    for slot in sheet.slots():
        about = [note for note in notes if note.criterion == slot.item]
        level = levels[slot]
        word = CANNOT if level is None else sheet.words(slot.item)[level]
        if slot.place is None:
            evidence = _compared(about, order)
        else:
            evidence = write_pieces(note for note in about if note.candidate == order[slot.place])
        lines.append(" ".join(part for part in (f"{sheet.head(slot)}:", evidence, f"[[{word}]]") if part))
    return "\n".join(lines)


def _compared(notes: Sequence[Note], order: Sequence[int]) -> str:
    by = {i: [note for note in notes if note.candidate == i] for i in (None, *order)}
    parts = [write_remarks(f"Response {place}", by[i]) for place, i in enumerate(order, start=1) if by[i]]
    return "; ".join([write_pieces(by[None])] * bool(by[None]) + parts)


def _notes(sheet: Sheet, written: Sequence[Said], order: Sequence[int]) -> list[Note]:
    """Read the evidence in the lines of a sheet, in the order written."""
    notes = []
    for one in written:
        slot = sheet.slot(one)
        if isinstance(slot, Failure):
            continue
        if slot.place is not None:
            notes += read_pieces(one.line, one.part, order[slot.place], slot.item)
            continue
        start, end = one.part
        speakers = [match for match in _SPEAKER.finditer(one.line.text, start, end) if match["number"]]
        starts = [start, *(match.end() for match in speakers)]
        ends = [*(match.start() for match in speakers), end]
        about = [None, *(order[int(match["number"]) - 1] for match in speakers)]
        for who, *part in zip(about, starts, ends, strict=True):
            notes += read_pieces(one.line, (part[0], part[1]), who, slot.item)
    return notes


def _thought(completion: Completion, start: int) -> list[Line]:
    """Return the lines of thinking before the answer, which starts at `start`."""
    text = completion.text
    apart = [Line(line.strip()) for line in (completion.reasoning or "").splitlines() if line.strip()]
    begin = text.find("<think>")
    end = text.rfind("</think>", 0, start) if "</think>" in text[:start] else start
    return [*apart, *placed_lines(text, begin + len("<think>") if 0 <= begin < end else 0, end)]


def _by_candidate(note: Note) -> int:
    return -1 if note.candidate is None else note.candidate

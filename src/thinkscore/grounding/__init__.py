"""What a trace gets right by its own words: does the verdict follow, do quotes stand, do numbers come out?

Rules only: no model, no gold, no knowledge of a protocol. They read a typed verdict and its case, for the faithful
reward of training and for audits. Four kinds of finding:

    follows   the verdict is the one that the stated scores (or the levels of a rubric) come to
    quotes    the words stand in the candidate that they are given to
    numbers   an equation comes out
    covers    each candidate shown is evaluated, on each criterion that the rubric set out

A finding holds, does not, or is None where the trace does not state what could be checked. Right by its own words is
not right: a faithful account of a wrong rubric passes. The checks follow no paper.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..types import Case, Note, Scores, Tie, Trace, Verdict, Winner
from ._arithmetic import Equation, equations
from ._base import Finding, Kind
from ._stated import implied, levelled
from ._words import LEAST, content, says, stands, told

__all__ = [
    "Equation",
    "Finding",
    "Kind",
    "coverage",
    "equations",
    "findings",
    "follows",
    "implied",
    "levelled",
    "numbers",
    "quotes",
    "stands",
    "tied",
]

_CLOSE = 0.5 + 1e-9  # a stated 8.5 may be boxed as 8 or 9
_SPOKEN = re.compile(r"\d (?:is|equals|makes|gives) ")


def findings(verdict: Verdict, case: Case) -> list[Finding]:
    """Run every check on a trace; spans are in the completion's text.

    Never raises. A quote or number that is not there is no finding; a verdict that nothing leads to is one of None.
    """
    return [*follows(verdict), *quotes(verdict, case), *numbers(verdict, case), *coverage(verdict)]


def follows(verdict: Verdict) -> list[Finding]:
    """Hold the verdict against what the evaluation comes to; nothing for a verdict that could not be read."""
    outcome = verdict.outcome
    if not isinstance(outcome, Winner | Tie | Scores):
        return []
    due = implied(verdict)
    if due is None:
        return [Finding("follows", None, detail="the trace states no score for some candidate")]
    known = {i: score for i in verdict.order if (score := due.scores[i]) is not None}
    best = [i for i, score in known.items() if score == max(known.values())]
    if isinstance(outcome, Winner):
        ok = best == [outcome.winner]
    elif isinstance(outcome, Tie):
        ok = len(best) > 1
    else:
        close = 1e-6 if levelled(verdict.trace) else _CLOSE
        ok = all(abs((outcome.scores[i] or 0.0) - score) <= close for i, score in known.items())
    return [Finding("follows", ok, detail="" if ok else f"the trace comes to {known}")]


def tied(verdict: Verdict) -> bool:
    """Tell whether a winner was named among candidates whose stated scores tie: that contradicts nothing."""
    due = implied(verdict) if isinstance(verdict.outcome, Winner) else None
    if due is None or not isinstance(verdict.outcome, Winner):
        return False
    scores = [score for i in verdict.order if (score := due.scores[i]) is not None]
    return scores.count(max(scores)) > 1 and due.scores[verdict.outcome.winner] == max(scores)


def quotes(verdict: Verdict, case: Case) -> list[Finding]:
    """Look for the words of each quote in the candidate that it is given to; a quote of nobody may be anybody's.

    A quote is None if it says too little: one word, or words that stand in nearly every text, of a reply that has more.
    """
    texts = case.widened().candidates
    return [_quote(note, texts, verdict.order) for note in verdict.trace.evaluation if note.quote]


def _quote(note: Note, texts: Sequence[str], order: Sequence[int]) -> Finding:
    speakers = list(order) if note.candidate is None else [note.candidate]
    spoken = [texts[i] for i in speakers if stands(note.text, texts[i])]
    if spoken:
        ok, detail = (True, "") if any(says(note.text, text) for text in spoken) else (None, "says too little")
    else:
        others = [i for i in order if stands(note.text, texts[i])]
        ok, detail = False, f"stands in candidate {others[0]}" if others else "stands in no candidate"
    return Finding("quotes", ok, note.candidate, note.span, detail)


def numbers(verdict: Verdict, case: Case) -> list[Finding]:
    """Work out every equation of the trace again, quotes apart.

    A wrong one that a text of the case holds as well is None: it may be told, not claimed.
    """
    told = [*case.widened().candidates, *(message.content for message in case.messages)]
    found = []
    for line in verdict.trace.lines():
        if ("=" not in line.text and not _SPOKEN.search(line.text)) or (isinstance(line, Note) and line.quote):
            continue
        for start, end, due, ok in equations(line.text):
            said = line.text[start:end]
            known = None if any(said in text for text in told) else False
            detail = "" if ok else f"{said!r}: the left side is {'undefined' if due is None else float(due):g}"
            span = (line.span[0] + start, line.span[0] + end) if line.span != (0, 0) else line.span
            found.append(Finding("numbers", ok or known, getattr(line, "candidate", None), span, detail))
    return found


def coverage(verdict: Verdict) -> list[Finding]:
    """Look for an evaluation of each candidate shown, and of each criterion within it.

    What they are held against must be said first: a rubric, or two steps of a solution, that say something; else None.
    A criterion counts as addressed if a note names it or shares a word with it. If none does, but the notes are at
    least as many as the criteria, the words may be others: None.
    """
    trace, order = verdict.trace, verdict.order
    if not any(True for _ in trace.lines()):
        return [Finding("covers", False, detail="there is no reasoning")]
    found = []
    if not _measure(trace):
        found.append(Finding("covers", None, detail="neither criteria nor two steps of a solution that say something"))
    noted = {note.candidate for note in trace.evaluation}
    for i in order:
        if i in noted or levelled(trace):
            found += _criteria(trace, i)
        else:
            seen = False if noted & set(order) else None
            found.append(Finding("covers", seen, i, detail="is not evaluated"))
    return found


def _measure(trace: Trace) -> bool:
    """Tell whether a trace says what it measures by: levels of given criteria, criteria of its own, or a solution."""
    if levelled(trace) or len(told(*(item.text for item in trace.rubric))) >= LEAST:
        return True
    steps = {step for line in trace.solution for step in re.split(r"(?<=[.;!?])\s", line.text)}
    return sum(len(told(step)) >= LEAST for step in steps) >= LEAST


def _criteria(trace: Trace, candidate: int) -> Iterator[Finding]:
    """Look for each criterion in the notes on one candidate and those on none in particular."""
    notes = [note for note in trace.evaluation if note.candidate in (candidate, None)]
    words, named = content(" ".join(note.text for note in notes)), {note.criterion for note in notes}
    for number, item in enumerate(trace.rubric):
        told = number in named or item.met or words & content(item.text) or not content(item.text)
        ok = True if told else None if len(notes) >= len(trace.rubric) else False
        yield Finding("covers", ok, candidate, item.span, "" if told else f"says nothing on {item.text!r}")

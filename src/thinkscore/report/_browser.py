"""The cases that a report shows in full: which ones, and each as the page lays it out.

A case keeps the numbers of its candidates; a vote says at which place it saw them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal

from ..data import standing
from ..scaling.vote import Vote
from ..types import Case, Failure, Judgment, Note, Scores, Tie, Verdict, Winner
from ._quotes import Found, find, pieces

__all__ = ["Browsed", "Fate", "Judged", "case_view", "fate"]

Fate = Literal["wrong", "failed", "tied", "right", "open"]
"""What became of a case; "open" has no gold to be held against."""
Judged = tuple[Case, Judgment]
_FIRST: tuple[tuple[Fate, ...], ...] = (("wrong", "failed"), ("tied",), ("right", "open"))


def fate(case: Case, judgment: Judgment) -> Fate:
    """Say what became of a case in one word; unparsed and errored both failed, with or without gold."""
    if judgment.failure is not None or judgment.scores is None:
        return "failed"
    name = standing(case, judgment)
    return "right" if name == "right" else "wrong" if name == "wrong" else "tied" if name == "tied" else "open"


@dataclass
class Browsed:
    """Keeps at most `limit` judgments: wrong and failed ones first, then ties, then the rest."""

    limit: int
    seen: int = 0
    _kept: tuple[list[Judged], ...] = field(default_factory=lambda: tuple([] for _ in _FIRST))

    def add(self, case: Case, judgment: Judgment) -> None:
        """Keep a judgment as long as no more than `limit` go before it."""
        self.seen += 1
        found = fate(case, judgment)
        next(kept for fates, kept in zip(_FIRST, self._kept, strict=True) if found in fates).append((case, judgment))
        if sum(map(len, self._kept)) > self.limit:
            next(kept for kept in reversed(self._kept) if kept).pop()

    def judged(self) -> list[Judged]:
        """Return what is kept, in the order to show it."""
        return [*chain(*self._kept)]


def case_view(number: int, case: Case, judgment: Judgment, whole: bool) -> dict[str, Any]:
    """Lay out one case for the template; `whole` tells whether the case holds its texts."""
    anchor, texts = f"case-{number}", case.widened().candidates
    known = [whole and bool(text or i < len(case.candidates)) for i, text in enumerate(texts)]
    found = {(v, n): find(note.text, texts[i]) for v, n, note, i in _quotes(judgment) if known[i]}
    quoted: list[list[tuple[tuple[int, int], int]]] = [[] for _ in texts]
    for v, n, _, i in _quotes(judgment):
        quoted[i] += [(span, v + 1) for span in found.get((v, n), Found()).spans]
    return {
        "anchor": anchor,
        "id": case.id,
        "fate": fate(case, judgment),
        "tags": case.tags,
        "messages": case.messages,
        "reference": case.reference,
        "judgment": judgment,
        "candidates": [
            {
                "number": i,
                "name": _name(i, case),
                "facts": _facts(i, case, judgment),
                "best": case.gold is not None and len(case.gold) > 1 and case.gold[i : i + 1] == (max(case.gold),),
                "won": judgment.winner == i,
                "known": known[i],
                "pieces": pieces(text, quoted[i]),
            }
            for i, text in enumerate(texts)
        ],
        "votes": [_vote(anchor, v, verdict, case, found) for v, verdict in enumerate(judgment.verdicts)],
    }


def _name(i: int, case: Case) -> str:
    n = len(case.candidates)
    return f"candidate {i}" if i < n else f"anchor {i - n}"


def _facts(i: int, case: Case, judgment: Judgment) -> str:
    """Say what is known about a candidate or an anchor in numbers."""
    n = len(case.candidates)
    gold = case.anchors[i - n].gold if i >= n else None if case.gold is None else case.gold[i]
    facts = [] if gold is None else [f"gold {gold:g}"]
    if i < n and judgment.scores is not None:
        error = "" if judgment.standard_errors is None else f" ± {judgment.standard_errors[i]:.2g}"
        facts.append(f"score {judgment.scores[i]:.4g}{error}")
    return ", ".join(facts)


def _quotes(judgment: Judgment) -> Iterator[tuple[int, int, Note, int]]:
    """Yield (vote, place among its notes, note, candidate) for every quote of a candidate that was shown."""
    for v, verdict in enumerate(judgment.verdicts):
        for n, note in enumerate(verdict.trace.evaluation):
            if note.quote and note.candidate in verdict.order:
                yield v, n, note, note.candidate or 0


def _vote(anchor: str, v: int, verdict: Verdict, case: Case, found: dict[tuple[int, int], Found]) -> dict[str, Any]:
    trace = verdict.trace
    # A vote that saw only some of the candidates, or an anchor, says nothing about which is best of all.
    all_shown = sorted(verdict.order) == [*range(len(case.candidates))]
    name = standing(case, Vote().fold(case, (verdict,), "")) if all_shown else None
    return {
        "number": v + 1,
        "says": _says(verdict, case),
        "failure": verdict.outcome if isinstance(verdict.outcome, Failure) else None,
        "standing": name if name in ("right", "wrong", "tied") else None,
        "order": ", ".join(_name(i, case) for i in verdict.order),
        "task": trace.task,
        "rubric": trace.rubric,
        "weights": any(item.weight is not None for item in trace.rubric),
        "prose": [
            (title, lines)
            for title, lines in (
                ("Why these criteria", trace.justification),
                ("Own solution", trace.solution),
                ("Thinking", trace.thinking),
            )
            if lines
        ],
        "remarks": _notes(anchor, v, verdict, None, found),
        "evaluation": [
            {
                "name": _name(i, case),
                "place": verdict.order.index(i) + 1,
                "notes": _notes(anchor, v, verdict, i, found),
            }
            for i in sorted(verdict.order)
        ],
        "evaluated": any(note.candidate is not None for note in trace.evaluation),
        "text": verdict.completion.text,
    }


def _notes(
    anchor: str, v: int, verdict: Verdict, candidate: int | None, found: dict[tuple[int, int], Found]
) -> list[dict[str, Any]]:
    """Lay out the notes on one candidate: a quote with the place where it is marked, or a remark."""
    notes = []
    for n, note in enumerate(verdict.trace.evaluation):
        if note.candidate == candidate:
            place = found.get((v, n))
            target = f"{anchor}-{candidate}-{place.spans[0][0]}" if place and place.spans else None
            notes.append(
                {
                    "text": note.text,
                    "quote": note.quote,
                    "target": target,
                    "exact": bool(place and place.exact),
                    "lost": place is not None and not place.spans,
                }
            )
    return notes


def _says(verdict: Verdict, case: Case) -> str:
    match verdict.outcome:
        case Failure(kind):
            return kind
        case Winner(winner):
            return _name(winner, case)
        case Scores(scores):
            return "scores " + ", ".join("–" if score is None else f"{score:g}" for score in scores)
        case Tie():
            return "a tie"

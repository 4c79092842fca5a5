"""`ultrafeedback`: UltraFeedback (arXiv:2310.01377), an instruction with several completions, each rated by aspect.

Gold is the overall score if every completion has one, else the mean of the aspect ratings that every completion has,
else unknown; the tag `gold` says which ("overall_score", "aspects"). Candidates stand in the file's own order.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import msgspec

from ...types import Case, Message
from ._base import Format

__all__ = ["UltraFeedback"]


class Annotation(msgspec.Struct):
    """A rating for one aspect; "N/A" where it could not be given."""

    Rating: str | float | None = None


class Completion(msgspec.Struct):
    """A reply with its ratings."""

    response: str
    annotations: dict[str, Annotation] = {}
    overall_score: float | None = None


class Row(msgspec.Struct):
    """The columns."""

    instruction: str
    completions: list[Completion]


class UltraFeedback(Format):
    """Sets of rated candidates."""

    row = Row
    about = (
        "a row is instruction and completions: [{response, annotations: {aspect: {Rating}}, overall_score}, ...], "
        "and optionally source"
    )
    examples = (
        (
            {
                "source": "sums",
                "instruction": "2 + 2?",
                "completions": [
                    {"model": "bad", "response": "5", "overall_score": 2.0},
                    {"model": "good", "response": "4", "overall_score": 9.5},
                ],
            },
            Case(
                "",
                (Message("user", "2 + 2?"),),
                ("5", "4"),
                (2.0, 9.5),
                tags={"source": "sums", "gold": "overall_score"},
            ),
        ),
        (
            {
                "instruction": "2 + 2?",
                "completions": [
                    {"response": "5", "annotations": {"honesty": {"Rating": "4"}, "truthfulness": {"Rating": "1"}}},
                    {
                        "response": "4",
                        "annotations": {
                            "honesty": {"Rating": "5"},
                            "truthfulness": {"Rating": "5"},
                            "helpfulness": {"Rating": "1"},
                        },
                    },
                ],
            },
            Case("", (Message("user", "2 + 2?"),), ("5", "4"), (2.5, 5.0), tags={"gold": "aspects"}),
        ),
    )

    def case(self, row: Row) -> Case:
        gold, kind = _gold(row.completions)
        tags: dict[str, str | int] = {} if kind is None else {"gold": kind}
        candidates = tuple(completion.response for completion in row.completions)
        return Case("", (Message("user", row.instruction),), candidates, gold, tags=tags)


def _gold(completions: Sequence[Completion]) -> tuple[tuple[float, ...] | None, str | None]:
    overall = [completion.overall_score for completion in completions]
    if None not in overall:
        return tuple(score for score in overall if score is not None), "overall_score"
    rated = [_ratings(completion) for completion in completions]
    shared = set(rated[0]).intersection(*rated[1:])
    if shared:
        return tuple(fmean(ratings[aspect] for aspect in shared) for ratings in rated), "aspects"
    return None, None


def _ratings(completion: Completion) -> dict[str, float]:
    """Read the aspects that have a number."""
    found: dict[str, float] = {}
    for aspect, annotation in completion.annotations.items():
        try:
            found[aspect] = float(annotation.Rating)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
    return found

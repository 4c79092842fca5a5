"""What each verdict of a row gets right by its own words, beside the verdict: rules only, no call, no gold.

The record that the strict rubric asks for: unsupported content is flagged next to the reward, not mixed into it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..data import judgment_row
from ..grounding import follows, tied
from ..train._rewards import ground
from ..types import Case, Failure, Judgment, Verdict

__all__ = ["grounded_row"]


def grounded_row(case: Case, judgment: Judgment) -> dict[str, Any]:
    """Write an output row in which every verdict has `grounding`; null where there was no verdict to ground."""
    row = judgment_row(case, judgment)
    for told, verdict in zip(row["verdicts"], judgment.verdicts, strict=True):
        told["grounding"] = None if isinstance(verdict.outcome, Failure) else _grounding(verdict, case)
    return row


def _grounding(verdict: Verdict, case: Case) -> dict[str, Any]:
    """Tell whether the verdict is the one its evaluation comes to, and count, by kind, what holds and what does not.

    What does not is listed with its place in the text.
    """
    found = ground(verdict, case)
    counts = Counter((finding.kind, finding.ok) for finding in found)
    kinds = dict.fromkeys(finding.kind for finding in found if finding.kind != "truth")
    return {
        "implied": None if tied(verdict) else follows(verdict)[0].ok,
        **{
            kind: {"holds": counts[kind, True], "fails": counts[kind, False], "unstated": counts[kind, None]}
            for kind in kinds
        },
        "faults": [
            {"kind": one.kind, "candidate": one.candidate, "span": one.span, "detail": one.detail}
            for one in found
            if one.ok is False and one.kind != "truth"
        ],
    }

"""Traces with labels for a meta reward model, from a journal with gold, and how well values tell them apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ..journal import Record
from ..protocols._base import Protocol, shown_gold
from ..protocols._meta import Form, conversation, trace_text
from ..stats import auc, auc_interval, wilson
from ..types import Case, Failure, Message, content_hash
from ._head import Refused

__all__ = ["Labelled", "Report", "labelled", "measured"]


class Labelled(msgspec.Struct, frozen=True):
    """One trace with its label."""

    case_id: str
    """The case."""
    group: str
    """Hash of the prompt of the case: what is split together."""
    messages: tuple[Message, ...]
    """What the head reads."""
    right: bool
    """Whether its verdict agrees with gold."""
    readable: bool
    """Whether a verdict could be read; if not, it is labelled wrong."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How well values tell right traces from wrong ones. All but `traces` and `unreadable` is of readable traces."""

    cases: int
    """Cases with a trace."""
    traces: int
    """Traces, unreadable ones too."""
    unreadable: int
    """Traces without a verdict: they cast no vote, so ranking them is no merit."""
    right: int
    """Right traces."""
    auc: float | None
    """Share of (right, wrong) pairs of traces that are in order, ties half; None if there is no pair."""
    auc_95: tuple[float, float] | None
    """Its interval, by bootstrap over cases."""
    auc_within: float | None
    """The same over pairs of traces on the same case."""
    auc_within_95: tuple[float, float] | None
    """Its interval, by bootstrap over cases."""
    mixed: int
    """Cases with right and wrong traces: those that `auc_within` is about."""
    accuracy: float | None
    """Share of traces whose value is above 0 if they are right, and below if they are not."""
    accuracy_95: tuple[float, float] | None
    """Its interval (Wilson; traces of one case are not independent, so it is narrow)."""


def labelled(
    records: Iterable[Record],
    cases: Mapping[str, Case],
    protocol: Protocol,
    refused: Refused,
    form: Form = "prompt",
) -> list[Labelled]:
    """Label the answered calls of a journal by gold; what cannot be labelled is counted in `refused`.

    `protocol` is the one that asked, so that prompts are known to be the same and verdicts are read as they were.
    """
    found = []
    for record in records:
        case = cases.get(record.case_id)
        row = "whose case is not in the case file" if case is None else _labelled(record, case, protocol, form)
        if isinstance(row, str):
            refused.add(row, record.case_id)
        else:
            found.append(row)
    return found


def _labelled(record: Record, case: Case, protocol: Protocol, form: Form) -> Labelled | str:
    done = record.completion
    order = done.order or record.order
    gold = shown_gold(case, order)
    if record.request.kind != "generate" or record.protocol != protocol.id:
        return f"asked in protocol {record.protocol}"
    if done.cut:
        return "asked about a shortened case"
    if gold is None:
        return "without gold, or of a single candidate"
    prompt = protocol.render(case.widened(), order)
    if prompt.messages != record.request.messages:
        return "asked with another prompt than the case file and the protocol give now"
    if not done.text.strip():
        return "without any text"
    verdict = protocol.parse(done, prompt)
    return Labelled(
        case.id,
        content_hash(case.messages),
        conversation(prompt, trace_text(done), form),
        protocol.reward(verdict, gold) > 0,
        not isinstance(verdict.outcome, Failure),
    )


def measured(values: Sequence[float], rows: Sequence[Labelled], seed: int, *, bounds: bool = False) -> Report:
    """Compare the values of traces with their labels; with `bounds` also by bootstrap over cases."""
    read = [(value, row) for value, row in zip(values, rows, strict=True) if row.readable]
    scores, right = [value for value, _ in read], [row.right for _, row in read]
    groups = [row.case_id for _, row in read]
    hits = sum((score > 0) == label for score, label in zip(scores, right, strict=True))
    sides = {(group, label) for group, label in zip(groups, right, strict=True)}
    return Report(
        cases=len({row.case_id for row in rows}),
        traces=len(rows),
        unreadable=len(rows) - len(read),
        right=sum(right),
        auc=auc(scores, right),
        auc_95=auc_interval(scores, right, groups, seed) if bounds else None,
        auc_within=auc(scores, right, groups),
        auc_within_95=auc_interval(scores, right, groups, seed, within=True) if bounds else None,
        mixed=len(sides) - len(set(groups)),
        accuracy=hits / len(read) if read else None,
        accuracy_95=wilson(hits, len(read)) if read else None,
    )

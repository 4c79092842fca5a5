"""What a run leaves for others: its calls, preference pairs, and traces to train on.

Calls come from a journal as they were sent, or from output rows, rendered again from the case file. Pairs and traces
are in the columns that TRL's trainers read. What is left out is counted by its reason: nothing is lost silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..data import read_rows
from ..errors import BadInput
from ..journal import is_journal, read_journal
from ..protocols._base import Protocol, agrees, shown_gold
from ..types import Case, Completion, Failure, Message, Sampling, Usage
from .diff import Judged

__all__ = ["CallRow", "Left", "calls_of_journal", "calls_of_rows", "is_run", "pairs", "traces"]

Left = Counter[str]
"""How many were left out, by reason."""


class CallRow(msgspec.Struct, frozen=True):
    """One call with its answer."""

    case_id: str
    """The case."""
    protocol: str
    """In which protocol it was asked."""
    sample: int
    """Which of several completions for the case."""
    order: tuple[int, ...]
    """Place i showed candidate order[i]."""
    messages: tuple[Message, ...]
    """What the model read."""
    text: str
    """What it wrote."""
    finish: str | None = None
    """Why it ended; None where it was not recorded."""
    reasoning: str | None = None
    """Thinking that came apart from the text."""
    prefill: str | None = None
    """What the text had to start with."""
    model: str | None = None
    """The engine's identity."""
    sampling: Sampling | None = None
    """How tokens were drawn."""
    seed: int | None = None
    """The derived seed."""
    usage: Usage | None = None
    """What it cost."""
    logprobs: tuple[float, ...] | None = None
    """Log-probability of each token."""
    drawn: tuple[int, int] | None = None
    """(seed, choice) of the request where one request drew several."""
    cut: int = 0
    """Characters left out of the case to make it fit."""


def is_run(path: str | Path) -> bool:
    """Tell a journal (true) from output rows (false). Raises `BadInput` if the file cannot be read."""
    try:
        return is_journal(path)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; give a journal, or rows of judge --out") from error


def calls_of_journal(path: str | Path, left: Left) -> Iterator[CallRow]:
    """Yield the answered calls of a journal in the order asked."""
    for record in read_journal(path):
        request, done = record.request, record.completion
        if request.kind != "generate":
            left[f"kind {request.kind}, nothing was generated"] += 1
            continue
        yield CallRow(
            case_id=record.case_id,
            protocol=record.protocol,
            sample=request.sample,
            order=done.order or record.order,
            messages=request.messages,
            text=done.text,
            finish=done.finish,
            reasoning=done.reasoning,
            prefill=request.prefill,
            model=request.model,
            sampling=request.sampling,
            seed=request.seed,
            usage=done.usage,
            logprobs=done.logprobs,
            drawn=done.drawn,
            cut=done.cut,
        )


class _Vote(msgspec.Struct):
    order: tuple[int, ...]
    text: str


class _Row(msgspec.Struct):
    id: str
    verdicts: list[_Vote]


def calls_of_rows(path: str | Path, cases: Mapping[str, Case], protocol: Protocol, left: Left) -> Iterator[CallRow]:
    """Yield the calls of output rows, with the prompts that the protocol renders for them now."""
    for row in read_rows(path, _Row):
        case = cases.get(row.id)
        for sample, vote in enumerate(row.verdicts):
            if case is None:
                left["not in the case file"] += 1
            elif not vote.text:
                left["no text"] += 1
            else:
                messages = protocol.render(case.widened(), vote.order).messages
                yield CallRow(row.id, protocol.id, sample, vote.order, messages, vote.text)


def traces(
    calls: Iterable[CallRow], cases: Mapping[str, Case], protocol: Protocol, left: Left
) -> Iterator[dict[str, Any]]:
    """Yield prompt and completion, as messages, of every call whose verdict agrees with gold."""
    for call in calls:
        case = cases.get(call.case_id)
        reason = "not in the case file" if case is None else _unfit(call, case, protocol)
        if reason is not None:
            left[reason] += 1
            continue
        said = {"role": "assistant", "content": call.text}
        if call.reasoning is not None:
            said["reasoning_content"] = call.reasoning
        yield {"case_id": call.case_id, "prompt": msgspec.to_builtins(call.messages), "completion": [said]}


def _unfit(call: CallRow, case: Case, protocol: Protocol) -> str | None:
    """Say why a call is no example of a right judgment; None if it is one."""
    if call.protocol != protocol.id:
        return f"asked in protocol {call.protocol}"
    if call.cut:
        return "asked about a shortened case"
    gold = shown_gold(case, call.order)
    if gold is None:
        return "no gold"
    prompt = protocol.render(case.widened(), call.order)
    # The case file may hold another text under the same id, or its candidates the other way round.
    if prompt.messages != call.messages:
        return "asked with another prompt than the case file and the protocol give now"
    finish = call.finish or "stop"
    completion = Completion(call.text, call.reasoning, finish)  # type: ignore[arg-type]
    outcome = protocol.parse(completion, prompt).outcome
    if isinstance(outcome, Failure):
        return f"no verdict ({outcome.kind})"
    return None if agrees(outcome, gold) else "verdict against gold"


def pairs(judged: Iterable[Judged], cases: Mapping[str, Case], by_gold: bool, left: Left) -> Iterator[dict[str, Any]]:
    """Yield the best candidate of each case against every worse one, by gold or by the judgment."""
    for row in judged:
        case = cases.get(row.id)
        found = "not in the case file" if case is None else _preferred(row, case, by_gold)
        if case is None or isinstance(found, str):
            left[str(found)] += 1
            continue
        best, worse = found
        for other in worse:
            yield {
                "id": case.id if len(case.candidates) == 2 else f"{case.id}/{best}-{other}",
                "prompt": msgspec.to_builtins(case.messages),
                "chosen": [{"role": "assistant", "content": case.candidates[best]}],
                "rejected": [{"role": "assistant", "content": case.candidates[other]}],
            }


def _preferred(row: Judged, case: Case, by_gold: bool) -> tuple[int, Sequence[int]] | str:
    """Name the best candidate and the worse ones, or say why there are none."""
    scores = case.gold if by_gold else row.scores
    if scores is None:
        return "no gold" if by_gold else f"no verdict ({row.kind})"
    if len(scores) != len(case.candidates):
        return "another number of candidates in the case file"
    best = scores.index(max(scores)) if by_gold else row.winner
    worse = [] if best is None else [i for i, score in enumerate(scores) if score < scores[best]]
    return (best, worse) if best is not None and worse else "tie"

"""Distil reasoning traces into a model: supervised training on what a good judge wrote (RM-R1's first stage).

Source: RM-R1 (arXiv 2505.02387, section 3): negative log-likelihood of the trace given the prompt. The prompt is read
as the `hf:` engine will show it. We differ: the assistant header is not part of the loss (the authors' script trains
it; `header` does as well), a trace that is too long is left out and counted rather than cut, and a row may start with
a given prefix of the trace (`prefill`) that is read but not trained, so that a judge learns to carry on what it has
written, mistakes included. `_synthesis` writes the traces.
"""

from __future__ import annotations

import json
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from transformers import AutoConfig, PreTrainedTokenizerBase

from ..budget import Budget
from ..data.sources import open_source
from ..engines._hf_text import Chat
from ..errors import BadInput
from ..judge import make_protocol
from ..protocols._base import Protocol
from ..types import Case, Message, content_hash
from ._run import Settings, begin, check_trackers, done, finish, load_model, load_tokenizer, start
from ._sft import Row, check_passes, train
from ._synthesis import LOST, Report, Synthesis, TraceRow, check, made, traced

__all__ = [
    "Synthesis",
    "TraceRow",
    "Trained",
    "checked",
    "distill",
    "fit",
    "make_protocol",
    "read_traces",
    "readable",
    "teach",
    "tokenized",
    "trained",
]

Tell = Callable[[str], object]
_MARK = "here stands the answer"
_THINK, _TAIL = "<think>", 8


class Trained(NamedTuple):
    """What a training did."""

    rows: int
    """Traces that were trained on."""
    left: dict[str, int]
    """Traces that were left out, by reason."""
    steps: int
    """Updates."""
    first: float
    """Loss, per trained token, of the first updates that were reported."""
    last: float
    """Loss of the last ones."""
    seconds: float
    """Time that the training took, since it was last resumed."""


class _Unknown(BadInput):
    """A text that a closed vocabulary cannot hold."""


def tokenized(rows: Iterable[TraceRow], tokenizer: PreTrainedTokenizerBase, *, header: bool = False) -> Iterator[Row]:
    """Turn traces into token rows; with `header` what opens the answer is trained too.

    Raises `BadInput` where a text is outside a closed vocabulary, or a conversation is none for the chat template.
    """
    return map(_reader(tokenizer, header), rows)


def _reader(tokenizer: PreTrainedTokenizerBase, header: bool) -> Callable[[TraceRow], Row]:
    # A copy: the way that messages are read is no part of the tokenizer that is saved.
    chat, end = Chat(copy(tokenizer)), _ending(tokenizer)
    written = partial(tokenizer, add_special_tokens=False, split_special_tokens=True)

    def read(row: TraceRow) -> Row:
        head = chat.ids(row.messages, row.prefill)
        begin = len(_bare(chat, row, head)) if header else len(head)
        said = row.completion
        if said.startswith(_THINK) and str(tokenizer.decode(list(head[-_TAIL:]))).rstrip().endswith(_THINK):
            said = said.removeprefix(_THINK).removeprefix("\n")  # this chat template opens the thinking itself
        ids = [*head, *written(said)["input_ids"], *end]
        if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids:
            asked = row.messages[-1].content
            raise _Unknown(f"this model's vocabulary has no token for part of: {asked[-300:]!r} ... {row.completion!r}")
        return Row(ids, begin)

    return read


def _bare(chat: Chat, row: TraceRow, head: Sequence[int]) -> Sequence[int]:
    """Return the prompt without what opens the answer."""
    if row.prefill:
        raise BadInput("a trace with a prefill has no header to train; leave header out")
    bare = chat.ids(row.messages, answer=False)
    if head[: len(bare)] != bare:
        raise BadInput("this chat template writes the prompt differently with an answer; leave header out")
    return bare


def _ending(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens that end an answer: what the template writes there, and the tokenizer's own end."""
    talk = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
    said = str(tokenizer.apply_chat_template(talk, tokenize=False))
    found: list[int] = tokenizer(said.rpartition(_MARK)[2].strip(), add_special_tokens=False)["input_ids"]
    return found if tokenizer.eos_token_id in found else [*found, tokenizer.eos_token_id]


def fit(
    model: str | Path,
    rows: Sequence[TraceRow],
    out: Path,
    settings: Settings,
    *,
    header: bool = False,
    max_length: int | None = None,
    checkpoint: str | None = None,
    tell: Tell = lambda line: None,
    **how: Any,
) -> Trained:
    """Train on traces and save in `out`, without a look at what is there already. `how` as `_sft.train` takes it."""
    started = time.monotonic()
    start(settings)
    tokenizer = load_tokenizer(model)
    weights = load_model(model, settings)
    limit = _limit(weights.config, max_length)
    kept, left = _fitting(rows, _reader(tokenizer, header), limit)
    if left:
        tell(f"{sum(left.values())} of {len(rows)} traces are left out: {_said(left)}")
    if not kept:
        raise BadInput(f"none of {len(rows)} traces can be trained on: {_said(left) or 'there are none'}")
    trainer = train(weights, kept, tokenizer, settings, out, checkpoint=checkpoint, **how)
    finish(trainer, tokenizer, out)
    return trained(out, len(kept), left, time.monotonic() - started)


def _limit(config: Any, max_length: int | None) -> int | None:
    """Return the most tokens of prompt and trace; None if nobody sets one."""
    own = getattr(config.get_text_config(), "max_position_embeddings", None)
    return min(filter(None, (max_length, own)), default=None)


def readable(
    model: str | Path, cases: Iterable[Case], protocol: Protocol, max_length: int | None, tell: Tell
) -> list[Case]:
    """Leave out, with a word, cases whose prompt the model cannot read: nobody is paid for traces on them.

    Such a prompt fills the model alone, or has words that a closed vocabulary lacks. Raises `BadInput` if there are no
    others, or the model has no chat template.
    """
    cases, tokenizer = list(cases), load_tokenizer(model)
    chat, unknown = Chat(tokenizer), tokenizer.unk_token_id
    limit = _limit(AutoConfig.from_pretrained(model), max_length)
    fitting, left, (least, most) = list[Case](), Counter[str](), protocol.arity
    for case in cases:
        shown = least <= len(case.candidates) <= most  # others are counted later
        ids = chat.ids(protocol.render(case, range(len(case.candidates))).messages) if shown else ()
        if limit is not None and len(ids) >= limit:
            left[f"fill the {limit} tokens that may be read"] += 1
        elif unknown is not None and unknown in ids:
            left["have words that the model has no token for"] += 1
        else:
            fitting.append(case)
    if left:
        said = "; ".join(f"{count} of {len(cases)} prompts {reason}" for reason, count in left.most_common())
        if not fitting:
            raise BadInput(f"{said}; nothing is left to learn from")
        tell(f"{said}: their cases are left out")
    return fitting


def checked(model: str | Path, settings: Settings, how: Mapping[str, Any]) -> None:
    """Raise what a training would raise before its first step, so that nothing is claimed by one that cannot start."""
    load_tokenizer(model)
    check_passes(settings, how.get("batch_tokens", 0))
    check_trackers(settings)


def _fitting(
    rows: Sequence[TraceRow], read: Callable[[TraceRow], Row], limit: int | None
) -> tuple[list[Row], Counter[str]]:
    """Sort out what cannot be trained on, counted by reason."""
    kept, left = list[Row](), Counter[str]()
    for row in rows:
        try:
            tokens = read(row)
        except _Unknown:
            left["with words that the model has no token for"] += 1
            continue
        if not row.completion.strip():
            left["with nothing written"] += 1
        elif limit is not None and len(tokens.ids) > limit:
            left[f"longer than {limit} tokens"] += 1
        else:
            kept.append(Row(array("i", tokens.ids), tokens.start))  # a list takes nine times as much
    return kept, left


def _said(left: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left.most_common())


def trained(out: Path, rows: int, left: dict[str, int], seconds: float) -> Trained:
    """Sum up the log of a finished folder."""
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    return Trained(rows, dict(left), log[-1]["step"], losses[0], losses[-1], seconds)


def distill(
    model: str | Path,
    rows: Iterable[TraceRow],
    out: Path,
    settings: Settings,
    *,
    tell: Tell = lambda line: None,
    **how: Any,
) -> Trained:
    """Train `model` (a folder or a Hub id) on traces; save it, with its tokenizer and log, in `out`.

    `how`: `header`, `max_length` (in tokens; the model's own limit holds as well), `muon_lr` and `batch_tokens` (see
    `_sft.train`). The same call goes on after a kill. Raises `BadInput`.
    """
    rows = list(rows)
    recipe = {"recipe": "distill", "model": str(model), "rows": len(rows), "content": content_hash(rows)}
    checked(model, settings, how)
    checkpoint = begin(out, {**recipe, "settings": settings, **how})
    if done(out):
        return trained(out, len(rows), {}, 0.0)
    return fit(model, rows, out, settings, checkpoint=checkpoint, tell=tell, **how)


def teach(
    model: str | Path,
    cases: Iterable[Case],
    out: Path,
    settings: Settings,
    synthesis: Synthesis,
    *,
    protocol: str | Protocol = "rm_r1",
    tell: Tell = lambda line: None,
    budget: Budget | None = None,
    only_traces: bool = False,
    max_lost: float = LOST,
    **how: Any,
) -> tuple[Report, Trained | None]:
    """Let a teacher write traces for cases with gold, keep the good ones, and train `model` on them.

    OUT/traces.jsonl holds what is trained on, OUT/teacher.journal every call; nothing is paid for twice. With
    `only_traces` nothing is trained yet: the same call without it goes on. More than the share `max_lost` of calls
    without an answer is an error; the same call asks them again.
    """
    asked = make_protocol(protocol) if isinstance(protocol, str) else protocol
    cases = readable(model, cases, asked, how.get("max_length"), tell)
    checked(model, settings, how)
    check(cases, asked, synthesis)
    made(out)
    recipe = {"recipe": "distill", "model": str(model), "cases": len(cases), "content": content_hash(cases)}
    ways = {"protocol": asked.identity(), "settings": settings, "synthesis": synthesis}
    checkpoint = begin(out, {**recipe, **ways, **how})  # what cannot start has claimed nothing
    rows, report = traced(cases, asked, synthesis, out, tell, budget, max_lost)
    if only_traces or done(out):
        return report, trained(out, len(rows), {}, 0.0) if done(out) else None
    return report, fit(model, rows, out, settings, checkpoint=checkpoint, tell=tell, **how)


_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read_traces(path: str | Path) -> list[TraceRow]:
    """Read traces: rows with `messages` and `completion`, or TRL's `prompt` and `completion` (messages or text).

    Raises `BadInput` with the line of what is neither.
    """
    with open_source(path) as source:
        found = []
        for number, item in source.items:
            try:
                found.append(
                    _trace(_decode(item) if isinstance(item, bytes) else msgspec.convert(item, dict[str, Any]))
                )
            except (ValueError, LookupError, TypeError) as error:
                raise BadInput(
                    f"{source.place(number)}: is no trace ({error}); a row has messages (role and content) and "
                    "completion, or prompt and completion as TRL reads them"
                ) from error
    if not found:
        raise BadInput(f"{path}: holds no traces")
    return found


def _trace(row: dict[str, Any]) -> TraceRow:
    """Read one row, in our form or in TRL's."""
    asked, said = row.get("messages", row.get("prompt")), row["completion"]
    if isinstance(asked, str):
        asked = [{"role": "user", "content": asked}]
    if not isinstance(said, str):
        (turn,) = said
        thought = f"<think>\n{turn['reasoning_content']}\n</think>\n\n" if turn.get("reasoning_content") else ""
        said = thought + turn["content"]
    messages = msgspec.convert(asked, tuple[Message, ...])
    return TraceRow(messages, msgspec.convert(said, str), msgspec.convert(row.get("prefill", ""), str))

"""The words of the project as types: case, prompt, completion, verdict, judgment, tally.

A *case* is rendered by a protocol into a *prompt*; an engine returns *completions*; the protocol parses
each into a *verdict*; a strategy folds verdicts into a *judgment*. All are frozen, comparable and JSON-ready
(`msgspec`), so that what one part writes another reads unchanged. Candidates are always numbered 0..n-1 in the
order of the case; the order in which a prompt showed them travels with the prompt. They hold plain data, and never
themselves: `gc=False` spares the garbage collector from watching millions of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

__all__ = [
    "Alternatives",
    "Anchor",
    "Case",
    "Completion",
    "Criterion",
    "Failure",
    "FailureKind",
    "Judgment",
    "Line",
    "Message",
    "Note",
    "Outcome",
    "Prompt",
    "Sampling",
    "Scores",
    "Tally",
    "Tie",
    "Trace",
    "Usage",
    "Verdict",
    "Winner",
    "content_hash",
]


def content_hash(value: object) -> str:
    """Hash any JSON-ready value to 32 hex digits, the same on every machine and in every run."""
    return hashlib.blake2b(msgspec.json.encode(value, order="deterministic"), digest_size=16).hexdigest()


class Message(msgspec.Struct, frozen=True, gc=False):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    """Who speaks."""
    content: str
    """What is said, as plain text."""


class Anchor(msgspec.Struct, frozen=True, gc=False):
    """An answer to compare candidates with."""

    text: str
    """The answer."""
    gold: float | None = None
    """Its true score, in the unit of the case's gold; None if unknown."""


class Case(msgspec.Struct, frozen=True, gc=False):
    """One thing to judge: a conversation and the candidate replies to it."""

    id: str
    """Unique within a file; a content hash where the file gives none."""
    messages: tuple[Message, ...]
    """The conversation so far; ends with a user turn."""
    candidates: tuple[str, ...]
    """The replies to judge, 1 or more."""
    gold: tuple[float, ...] | None = None
    """One true score per candidate; a label is one-hot, equal scores are a tie; None if unknown."""
    reference: str | None = None
    """A trusted answer, where one exists."""
    tags: dict[str, str | int] = {}
    """Free labels to group results by (the lab sets family, difficulty and level)."""
    anchors: tuple[Anchor, ...] = ()
    """Answers to compare candidates with; not judged themselves. Orders number them after the candidates."""

    def reorder(self, permutation: Sequence[int]) -> Case:
        """Return the same case with candidate `permutation[i]` at place i (gold follows)."""
        gold = None if self.gold is None else tuple(self.gold[i] for i in permutation)
        return msgspec.structs.replace(self, candidates=tuple(self.candidates[i] for i in permutation), gold=gold)

    def widened(self) -> Case:
        """Return the case with its anchors as further candidates, without gold: what prompts show."""
        if not self.anchors:
            return self
        shown = (*self.candidates, *(anchor.text for anchor in self.anchors))
        return msgspec.structs.replace(self, candidates=shown, gold=None, anchors=())

    def content(self) -> str:
        """Hash what the case says (conversation, candidates, reference, anchors), whatever its id, gold and tags."""
        said = [self.messages, self.candidates, self.reference]
        return content_hash([*said, self.anchors] if self.anchors else said)


class Sampling(msgspec.Struct, frozen=True, gc=False):
    """How an engine draws its tokens."""

    temperature: float = 1.0
    """0 takes the likeliest token each time."""
    top_p: float = 1.0
    """Nucleus: keep the likeliest tokens that together hold this probability (0 < p <= 1)."""
    max_tokens: int = 8192
    """Upper limit of generated tokens per completion, thinking included."""


class Prompt(msgspec.Struct, frozen=True, gc=False):
    """One request for one completion."""

    case: Case
    """The case that is being judged."""
    protocol: str
    """Id of the protocol that rendered it."""
    messages: tuple[Message, ...]
    """What the model reads."""
    order: tuple[int, ...]
    """Place i shows candidate order[i] of the case."""
    prefill: str = ""
    """Text that the model's answer starts with; the completion's text holds it too."""
    verdicts: tuple[str, ...] = ()
    """Well-formed verdict texts; the i-th lets place i win."""
    sampling: Sampling = Sampling()
    """How to draw."""
    seed: int = 0
    """Seed of this very completion, derived from (run seed, case id, sample); 0 <= seed < 2**63."""
    sample: int = 0
    """Which of several completions for the case this is, from 0."""
    conversations: tuple[tuple[Message, ...], ...] = ()
    """For a scalar head: the conversation of each place, ending with its candidate. The answer is their values as a
    JSON list; nothing is generated."""
    continuations: tuple[str, ...] = ()
    """For a forced reading: texts that might follow the prefill. The answer is their log-probabilities as a JSON list;
    nothing is generated."""
    cut: int = 0
    """Characters that were left out of the case to make it fit the model."""
    tops: int = 0
    """How many of the likeliest tokens to report at each place of the answer, where the engine can."""


class Usage(msgspec.Struct, frozen=True, gc=False):
    """What was paid."""

    calls: int = 0
    """Completions generated."""
    prompt_tokens: int = 0
    """Tokens read."""
    completion_tokens: int = 0
    """Tokens written."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


Alternatives = tuple[tuple[str, float], ...]
"""Tokens that might stand at a place, with their natural log-probabilities."""


class Completion(msgspec.Struct, frozen=True, gc=False):
    """What an engine returned for one prompt. A failed request is a completion too."""

    text: str = ""
    """The answer, with the prompt's prefill in front."""
    reasoning: str | None = None
    """Thinking that the engine reports apart from the answer."""
    finish: Literal["stop", "length", "error"] = "stop"
    """Why it ended: by itself, at max_tokens, or by an error."""
    usage: Usage = Usage()
    """What this completion cost."""
    logprobs: tuple[float, ...] | None = None
    """Natural log-probability of each generated token, at temperature 1 before any cut."""
    drawn: tuple[int, int] | None = None
    """(seed, choice) of the request where one request drew several completions; None if the prompt's seed drew it."""
    cut: int = 0
    """Characters left out of the case to make the prompt fit (see `--too-long middle`)."""
    order: tuple[int, ...] | None = None
    """The order this text really answers where the engine knows it better than the prompt (recorded texts)."""
    error: str | None = None
    """Why there is no answer, in one plain sentence; only with finish="error"."""
    tops: tuple[tuple[str, Alternatives], ...] | None = None
    """Each generated token with the likeliest at its place, if the prompt asked for them and the engine tells."""

    def whole(self) -> str:
        """Return all that was written: thinking reported apart stands in front again, in think tags of its own lines.

        So the authors' scripts see it.
        """
        return f"<think>\n{self.reasoning}\n</think>\n\n{self.text}" if self.reasoning else self.text


class Line(msgspec.Struct, frozen=True, gc=False):
    """A piece of a trace with its place."""

    text: str
    """What it says, trimmed."""
    span: tuple[int, int] = (0, 0)
    """Start and end (exclusive) in characters of the completion's text; (0, 0) before it is written."""


class Criterion(Line, frozen=True):
    """One item of a rubric."""

    weight: float | None = None
    """Its stated weight, in the unit the trace uses; None if it states none."""
    met: tuple[float | None, ...] = ()
    """How far each candidate meets it, from 0 to 1, in the order of the case; None for one that was not shown or cannot
    be assessed; empty if the judge does not say it criterion by criterion."""


class Note(Line, frozen=True):
    """One piece of an evaluation."""

    candidate: int | None = None
    """The candidate it is about, in the order of the case; None if it is about no single one."""
    quote: bool = False
    """Whether it claims to be the candidate's own words."""
    criterion: int | None = None
    """The criterion it is about, by its place in the trace's rubric; None if it is about none in particular."""


class Trace(msgspec.Struct, frozen=True, gc=False):
    """The reasoning behind a verdict, by section. A section that the text lacks is empty."""

    task: Line | None = None
    """The stated kind of the case ("Chat" or "Reasoning")."""
    thinking: tuple[Line, ...] = ()
    """Free reasoning, line by line."""
    rubric: tuple[Criterion, ...] = ()
    """The criteria, in the order stated."""
    justification: tuple[Line, ...] = ()
    """Why these criteria."""
    solution: tuple[Line, ...] = ()
    """The judge's own solution, line by line."""
    evaluation: tuple[Note, ...] = ()
    """Quotes and remarks, grouped by candidate in the order of the case."""

    def lines(self) -> Iterator[Line]:
        """Yield every piece, section by section in the order above."""
        if self.task is not None:
            yield self.task
        for section in (self.thinking, self.rubric, self.justification, self.solution, self.evaluation):
            yield from section

    def unplaced(self) -> Trace:
        """Return the same trace without spans, to compare what two traces say."""
        return msgspec.convert(_without_spans(msgspec.to_builtins(self)), Trace)


def _without_spans(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_spans(item) for key, item in value.items() if key != "span"}
    if isinstance(value, list | tuple):
        return [_without_spans(item) for item in value]
    return value


class Scores(msgspec.Struct, frozen=True, gc=False, tag="scores"):
    """A score for each candidate that was shown."""

    scores: tuple[float | None, ...]
    """One per candidate of the case, higher is better; None for a candidate that was not shown."""


class Winner(msgspec.Struct, frozen=True, gc=False, tag="winner"):
    """One candidate is better than the others shown."""

    winner: int
    """Its number in the case."""


class Tie(msgspec.Struct, frozen=True, gc=False, tag="tie"):
    """The judge said that the candidates are equally good."""


FailureKind = Literal["no_verdict", "ambiguous", "truncated", "out_of_range", "wrong_arity", "too_long", "engine_error"]


class Failure(msgspec.Struct, frozen=True, gc=False, tag="failure"):
    """No verdict could be read. It never counts as a score, a tie or a side."""

    kind: FailureKind
    """What went wrong."""
    detail: str = ""
    """One plain sentence for the reader."""


Outcome = Scores | Winner | Tie | Failure


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What one completion says about a case."""

    case_id: str
    """The case."""
    order: tuple[int, ...]
    """Place i showed candidate order[i]."""
    outcome: Outcome
    """The reading, in the order of the case."""
    trace: Trace
    """The reasoning, by section."""
    completion: Completion
    """Where it was read from."""
    by: str = ""
    """Who said it, where several judges are asked: a name from the run's `others`; the run's own judge has none."""
    value: float | None = None
    """What a meta reward model thinks of the trace, where one was asked; only differences within a case mean
    something."""
    expected: tuple[float | None, ...] | None = None
    """What a forced reading of the trace gives each candidate on average, where one was made: its chance to win, or its
    expected score; None for a candidate that was not shown."""
    looked: Usage | None = None
    """What the try to find `value` or `expected` cost; None before it."""


class Judgment(msgspec.Struct, frozen=True, gc=False):
    """What a strategy makes of all verdicts on a case; `scores` are the rewards of the case."""

    case_id: str
    """The case."""
    scores: tuple[float, ...] | None
    """One per candidate, higher is better, in the strategy's unit; None if no verdict could be read."""
    winner: int | None
    """The best candidate; None for a tie at the top or if no verdict could be read."""
    confidence: float | None
    """How sure, from 0 to 1; None if no verdict could be read."""
    verdicts: tuple[Verdict, ...]
    """Everything it was folded from, failures included."""
    usage: Usage
    """Its whole cost."""
    strategy: str
    """The strategy, as text."""
    stop_reason: str
    """Why the strategy asked no more."""
    failure: Failure | None = None
    """Why there are no scores; None if there are."""
    standard_errors: tuple[float, ...] | None = None
    """One per score, in its unit; None from a strategy that does not estimate them."""
    notes: dict[str, float] = {}
    """What else a strategy measured on the way, by name (its page says what)."""


class Tally(msgspec.Struct, frozen=True, gc=False):
    """Judgments against gold. n = right + wrong + tied + unparsed + errored."""

    right: int = 0
    """The winner is a best candidate by gold (or both are a tie)."""
    wrong: int = 0
    """The winner is not."""
    tied: int = 0
    """A tie was judged where gold has one best candidate; counts half."""
    unparsed: int = 0
    """No verdict could be read."""
    errored: int = 0
    """The engine gave nothing to read."""

    @property
    def n(self) -> int:
        """All cases with gold."""
        return self.right + self.wrong + self.tied + self.unparsed + self.errored

    @property
    def scored(self) -> int:
        """Cases with a verdict."""
        return self.right + self.wrong + self.tied

    @property
    def accuracy_all(self) -> float | None:
        """(right + tied/2) / n; None if n is 0."""
        return (self.right + self.tied / 2) / self.n if self.n else None

    @property
    def accuracy_scored(self) -> float | None:
        """(right + tied/2) / (right + wrong + tied); None if nothing was scored."""
        return (self.right + self.tied / 2) / self.scored if self.scored else None

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            *(a + b for a, b in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True))
        )

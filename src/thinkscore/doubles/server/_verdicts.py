"""What a request asks for: the protocol that wrote its messages, the candidates shown, and a verdict to answer with.

Our own prompts are known by their wording; of others only the form of the verdict that they name is read.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ...errors import BadInput
from ...judge import make_protocol
from ...plugins import names
from ...protocols._base import Protocol
from ...seeds import derive_seed
from ...types import Case, Criterion, Line, Message, Note, Outcome, Prompt, Scores, Trace, Winner, content_hash

__all__ = ["Asked", "verdict"]

_MARKS = (("[[A]]", "rm_r1"), ("boxed{Assistant 1}", "rrm"), ("\\boxed{", "deepseek_grm"))
"""What other prompts say of the verdict, and a protocol of ours that ends alike."""
_SHOWN = re.compile(r"<((?:response|assistant)_\w+)>\n(.*?)\n</\1>", re.DOTALL)
_NUMBERED = re.compile(r"\b(?:Begin|Start) of Response (\d+)")
_QUESTION = re.compile(r"<question>\n(.*?)\n</question>", re.DOTALL)
_PLAIN = re.compile(r"\w[\w ,']{0,39}")
NOTHING = "No verdict was asked for in a form that this test server knows."


class Asked(NamedTuple):
    """A request as a case again."""

    protocol: Protocol | None
    """None if the messages ask for no known verdict."""
    case: Case

    @classmethod
    def read(cls, messages: Sequence[Message], protocol: str | None = None) -> Asked:
        """Find out what the messages ask for; `protocol` overrides what they look like."""
        name = protocol or _named(messages)
        texts = [text for _, text in _SHOWN.findall(messages[-1].content)]
        known = make_protocol(name) if name else None
        places = known.arity[0] if known else 1
        places = max([places, len(texts), *map(int, _NUMBERED.findall(messages[-1].content))])
        asked = _QUESTION.search(messages[-1].content)
        turns = (Message("user", asked[1]),) if asked else tuple(messages)
        candidates = (*texts, *[""] * (places - len(texts)))
        return cls(known, Case(content_hash(messages), turns, candidates))

    @property
    def order(self) -> tuple[int, ...]:
        """Candidates are numbered as shown."""
        return tuple(range(len(self.case.candidates)))

    def prompt(self, messages: tuple[Message, ...]) -> Prompt:
        """Make the prompt that an engine gets."""
        texts = self._texts() if self.protocol else ()
        return Prompt(self.case, self.protocol.id if self.protocol else "", messages, self.order, verdicts=texts)

    def _texts(self) -> tuple[str, ...]:
        try:
            return _render(self.protocol, self.case).verdicts
        except BadInput:
            return ()


def verdict(asked: Asked, seed: int) -> tuple[str, str]:
    """Write an answer in the protocol asked for; seed and case decide it. Returns (text, its verdict)."""
    if asked.protocol is None:
        return NOTHING, NOTHING
    scores = [float(1 + derive_seed(asked.case.id, seed, i) % 10) for i in asked.order]
    outcomes: list[Outcome] = [Winner(derive_seed(asked.case.id, seed) % len(scores)), Scores(tuple(scores))]
    for outcome in outcomes:
        try:
            whole, short = (asked.protocol.write(outcome, trace, asked.order) for trace in (_trace(asked), Trace()))
        except BadInput:
            continue
        return whole, short
    return NOTHING, NOTHING


def _render(protocol: Protocol | None, case: Case) -> Prompt:
    assert protocol is not None
    return protocol.render(case, range(len(case.candidates)))


def _trace(asked: Asked) -> Trace:
    """Reason about nothing, in all sections, with real quotes where they are plain words."""
    notes = []
    for i, text in enumerate(asked.case.candidates):
        quote = _PLAIN.match(text)
        notes += [Note(quote[0].strip(), candidate=i, quote=True)] if quote else []
        notes.append(Note("weighed by the test server", candidate=i))
    rubric = (Criterion("does what was asked", weight=3.0), Criterion("is clear", weight=1.0))
    why = (Line("A test server has no reasons of its own."),)
    return Trace(task=Line("Chat"), rubric=rubric, justification=why, evaluation=tuple(notes))


def _named(messages: Sequence[Message]) -> str | None:
    said = "\n".join(message.content for message in messages if message.role != "assistant")
    ours = [(len(wording), name) for name, wording in _wordings().items() if wording in said]
    return max(ours)[1] if ours else next((name for mark, name in _MARKS if mark in said), None)


@cache
def _wordings() -> dict[str, str]:
    """Return the wording of every protocol that has one, by id."""
    files = Path(inspect.getfile(Protocol)).parent.glob("*.md")
    return {file.stem: file.read_text(encoding="utf-8").strip() for file in files if file.stem in names("protocols")}

"""Cues: something is added that says nothing about worth. A judge should not move towards it.

The cue is added to one response, then to the other; beside it the other response gets as many words of its own again,
and both do in the pair that this is compared with: so neither mere length nor the repeated words count (but for the cue
that is length). The bias is signed: how far verdicts move towards the response with the cue, on the winner and on the
loser alike, so that noise cancels. After CALM (arXiv 2410.02736), with direction and control.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, TypeVar

import msgspec
import numpy as np

from ..seeds import derive_seed
from ..types import Case, Verdict
from ._base import Example, Found, Probe, Row, told
from ._figures import measured, unmeasured
from ._subject import ORDERS, Item, Subject, side

__all__ = ["Cue", "again", "variant"]

T = TypeVar("T")
BIAS = 0.03
MOVES = 20
"""Verdicts that moved, from which the share that names the cue is told."""


class Seen(NamedTuple):
    """One case."""

    toward: float
    """How far verdicts moved towards the cue, -1 to 1."""
    winner: list[float]
    """The same where the cue was on the response that had won, and where it was not."""
    loser: list[float]
    hidden: float
    """Share of verdicts that moved towards the cue without a word about it."""
    named: list[bool]
    """Of each verdict that moved towards it, whether its reasoning names it."""


class Cue(Probe):
    """A probe of one cue; a subclass adds it."""

    group = "robust"
    signed = True
    calls = 6
    mentions: ClassVar[re.Pattern[str]]
    """What reasoning says that names the cue."""
    balanced: ClassVar[bool] = True
    """Whether the other response is made as long."""

    @abstractmethod
    def with_cue(self, case: Case, i: int, lab: bool) -> Case | None:
        """Add the cue in favour of candidate i."""

    async def look(self, item: Item, subject: Subject) -> Row | None:
        seen, examples = Seen(0.0, [], [], 0.0, []), []
        moves = []
        cues = [cued for i in range(2) if (cued := self.with_cue(item.case, i, item.lab)) is not None]
        if len(cues) < 2:
            return None
        added = [max(0, len(cued.candidates[i]) - len(item.case.candidates[i])) for i, cued in enumerate(cues)]
        before = await subject.sides(_longer(item.case, added)) if self.balanced else item.sides()
        for i, cued in enumerate(cues):
            if self.balanced:
                cued = _longer(cued, [0 if k == i else added[i] for k in range(2)])
            for order in ORDERS:
                verdict = await subject.draw(cued, order)
                was, now = before[order], side(verdict)
                if was is None or now is None:
                    continue
                sign = 1 - 2 * i
                way = sign * (now - was) / 2
                moves.append(way)
                (seen.winner if was == sign else seen.loser).append(way)
                if way > 0:
                    seen.named.append(self._named(verdict))
                    examples.append(_example(item.case, cued, i, self.title, was, now))
        if not moves:
            return None
        seen = seen._replace(toward=float(np.mean(moves)), hidden=seen.named.count(False) / len(moves))
        return Row(item, seen, tuple(examples[:1]))

    def _named(self, verdict: Verdict) -> bool:
        return bool(self.mentions.search(verdict.completion.whole()))

    def sum_up(self, rows: Sequence[Row], subject: Subject) -> Found:
        if not rows:
            return Found((unmeasured("moves towards it", "the judge could read no response with the cue"),))
        seen: list[Seen] = [row.seen for row in rows]
        bias = measured("moves towards it", [one.toward for one in seen], BIAS, "zero", (-1.0, 1.0))
        named = [said for one in seen for said in one.named]
        facts = {
            "on_the_winner": _mean([way for one in seen for way in one.winner]),
            "on_the_loser": _mean([way for one in seen for way in one.loser]),
            "moved_without_a_word": _mean([one.hidden for one in seen]),
            "verbalised": _mean(named) if len(named) >= MOVES else None,
        }
        return Found((bias,), facts, tuple(example for row in rows for example in row.examples)[:3])


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def variant(case: Case, forms: Sequence[T]) -> T:
    """Choose one of several forms of a cue for a case: the same whichever response has it."""
    return forms[derive_seed("cue", case.id) % len(forms)]


def again(text: str, size: int) -> str:
    """Repeat a text's last sentence, whole words up to about so many characters; nothing new is said.

    A greeting is no sentence here: said twice it would be a tone.
    """
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]
    plain = [part for part in sentences if part.endswith(".")] or sentences or [text]
    said, words = "", plain[-1].split()
    while words:
        for word in words:
            longer = f"{said} {word}"
            if abs(len(longer) - size) > abs(len(said) - size):
                return text + said
            said = longer
    return text


def _longer(case: Case, added: Sequence[int]) -> Case:
    """Repeat words of each response, about so many characters of them."""
    texts = tuple(again(text, size) if size else text for text, size in zip(case.candidates, added, strict=True))
    return msgspec.structs.replace(case, candidates=texts)


def _example(case: Case, cued: Case, i: int, title: str, was: int, now: int) -> Example:
    return Example(case.id, title, case.candidates[i], cued.candidates[i], told(was), told(now))

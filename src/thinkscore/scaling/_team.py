"""Several judges behind one face: each ask goes to the judge that it names, traces go to the meta reward model.

Between strategy and askers. A meta reward model (DeepSeek-GRM, arXiv 2504.02495, section 4.2) is the other judge named
`meta`: a scalar head that reads what the judge read and wrote as one conversation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from ..ask import Ask, Asker
from ..errors import BadInput
from ..protocols._meta import Form, conversation, trace_text
from ..types import Case, Scores, Usage, Verdict

__all__ = ["META", "Team"]

META = "meta"
"""Name of the judge that values traces."""


class Team:
    """The run's own judge, and others by name."""

    def __init__(self, own: Asker, others: Mapping[str, Asker]) -> None:
        self.own, self.others = own, others

    async def open(self) -> None:
        """Open every engine; may raise the one clear error of one of them."""
        for judge in self._judges():
            await judge.open()

    async def close(self) -> None:
        """Stop what is running and close the engines."""
        for judge in self._judges():
            await judge.close()

    def close_journals(self) -> None:
        """Write what is waiting in the journals and release them."""
        for judge in self._judges():
            judge.journal.close()

    def _judges(self) -> list[Asker]:
        return [self.own, *self.others.values()]

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        """Return one verdict per ask, in order; each says who gave it."""
        if not self.others or not any(ask.by for ask in asks):
            return await self.own.ask(case, asks)
        names = list(dict.fromkeys(ask.by for ask in asks))
        parts = [[ask for ask in asks if ask.by == name] for name in names]
        asked = (self._judge(name).ask(case, part) for name, part in zip(names, parts, strict=True))
        found = await asyncio.gather(*asked)
        rest = {name: iter(verdicts) for name, verdicts in zip(names, found, strict=True)}
        return [_signed(next(rest[ask.by]), ask.by) for ask in asks]

    async def weigh(self, case: Case, verdicts: Mapping[int, Verdict], form: Form) -> list[Verdict]:
        """Value each trace; one that the meta reward model cannot read stays without a value."""
        weighed = (self._weighed(case, place, verdict, form) for place, verdict in verdicts.items())
        return list(await asyncio.gather(*weighed))

    async def _weighed(self, case: Case, place: int, verdict: Verdict, form: Form) -> Verdict:
        prompt = self._judge(verdict.by).protocol.render(case, verdict.order)
        *said, trace = conversation(prompt, trace_text(verdict.completion), form)
        read = Case(case.id, tuple(said), (trace.content,))
        (about,) = await self._judge(META).ask(read, [Ask((0,), place)])
        value = about.outcome.scores[0] if isinstance(about.outcome, Scores) else None
        return msgspec.structs.replace(
            verdict, value=value, looked=(verdict.looked or Usage()) + about.completion.usage
        )

    async def read(self, case: Case, verdicts: Mapping[int, Verdict]) -> list[Verdict]:
        """Force a reading after each trace, by the judge that wrote it."""
        found = await asyncio.gather(*(self._judge(one.by).read(case, [one]) for one in verdicts.values()))
        return [one for (one,) in found]

    def _judge(self, name: str) -> Asker:
        if name and name not in self.others:
            raise BadInput(f"nobody here is called {name!r}; known are {', '.join(self.others) or 'no other judges'}")
        return self.others[name] if name else self.own


def _signed(verdict: Verdict, name: str) -> Verdict:
    return msgspec.structs.replace(verdict, by=name) if name else verdict

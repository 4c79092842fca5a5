"""The writer: what it says is taken only if it can mean the same, and then the judge is asked about it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from thinkscore.ask import Asker
from thinkscore.audits._audit import PROFILES, Card, Profile, audit, probes_of
from thinkscore.audits._writer import Writer, same_facts
from thinkscore.engines._base import Engine
from thinkscore.judge import make_protocol
from thinkscore.protocols.verdict_only import VerdictOnly
from thinkscore.types import Case, Completion, Message, Prompt


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("It is 3.5 km, says `f(x)`.", "`f(x)` makes it 3.5 km.", True),
        ("It is 3.5 km long.", "It is 35 km long.", False),
        ("Call `f(x)` twice, please, and wait.", "Call g twice, please, and then wait.", False),
        ('She said "never again" to all of us.', 'She told all of us "not again" then.', False),
        ("It is so.", "It  is\nso.", False),
        ("It is so.", "", False),
        ("word " * 30, "many words", False),
    ],
)
def test_only_what_can_mean_the_same_is_taken(old: str, new: str, same: bool) -> None:
    assert same_facts(old, new) is same


class Says(Engine):
    """Rewords by a table, in a given form."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [Completion(self.form.format(self._new(prompt.messages[0].content))) for prompt in prompts]

    def _new(self, asked: str) -> str:
        return asked.rpartition("<text>\n")[2].removesuffix("\n</text>").replace("It is", "The town is")


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ("<text>\n{}\n</text>", "The town is Rome, of 2 million."),
        ("<think><text>no</text></think>\n<text>{}</text>", "The town is Rome, of 2 million."),
        ("{}", None),
        ("<text>{0}</text> or <text>{0}</text>", None),
    ],
)
def test_its_answer_is_one_text_or_none(form: str, found: str | None) -> None:
    async def main() -> str | None:
        asker = Asker(VerdictOnly(), Says(form))
        await asker.open()
        case = Case("c", (Message("user", "?"),), ("a", "b"))
        try:
            return await Writer(asker).restated(case, "It is Rome, of 2 million.")
        finally:
            await asker.close()

    assert asyncio.run(main()) == found


class Picky(Engine):
    """Prefers what begins with "It"; else the first."""

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [Completion(prompt.verdicts[self._place(prompt)]) for prompt in prompts]

    def _place(self, prompt: Prompt) -> int:
        begins = [prompt.case.candidates[i].startswith("It") for i in prompt.order]
        return begins.index(True) if True in begins else 0


def test_a_judge_that_hangs_on_words_is_found_by_a_writer() -> None:
    cases = [
        Case(f"c{i}", (Message("user", f"Name town {i}."),), (f"It is Rome, I say, of {i} houses.", f"Oslo of {i}."))
        for i in range(40)
    ]

    async def main() -> Card:
        asker, writer = Asker(make_protocol("verdict_only"), Picky()), Asker(VerdictOnly(), Says("<text>{}</text>"))
        await asker.open()
        await writer.open()
        profile = Profile(40, 2, True)
        try:
            return await audit(asker, cases, profile, probes=probes_of(PROFILES["full"], ["rewording"]), writer=writer)
        finally:
            await asker.close()
            await writer.close()

    finding = asyncio.run(main()).probes["rewording"]
    assert finding.status == "fail" and finding.value == 0.5, "the first wins now, in either order"
    assert "The town is Rome" in finding.examples[0].after

"""The blind reader: what it is shown names no response by its name, and what it says is one side or none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from thinkscore.ask import Asker
from thinkscore.audits._reader import Reader, masked
from thinkscore.engines._base import Engine
from thinkscore.protocols.verdict_only import VerdictOnly
from thinkscore.types import Case, Completion, Message, Prompt


@pytest.mark.parametrize(
    ("text", "labels", "shown"),
    [
        ("Response A is right, response B is not", ("A", "B"), "Response Y is right, response X is not"),
        ("<quote_A>hm</quote_A> B wins; A, too. A plan", ("A", "B"), "<quote_Y>hm</quote_Y> X wins; Y, too. A plan"),
        ("Assistant 1 adds 2 to 1", ("1", "2"), "Assistant Y adds 2 to 1"),
    ],
)
def test_names_are_taken_away(text: str, labels: tuple[str, str], shown: str) -> None:
    assert masked(text, labels, ("Y", "X")) == shown


class Says(Engine):
    """Says for whom the word `right` stands."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [
            Completion(self.form.format("X" if "Response X is right" in p.messages[0].content else "Y"))
            for p in prompts
        ]


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ("[[{}]]", 0),
        ("<think>[[X]] or [[Y]]</think>so [[ {} ]]", 0),
        ("[[?]]", None),
        ("[[X]] or [[Y]]", None),
        ("{}", None),
    ],
)
def test_a_reading_is_one_place_or_none_whatever_the_names(form: str, found: int | None) -> None:
    async def main() -> None:
        asker = Asker(VerdictOnly(), Says(form))
        await asker.open()
        reader = Reader(asker)
        for i in range(6):
            case = Case(f"c{i}", (Message("user", "?"),), ("a", "b"))
            assert await reader.side(case, "Response A is right.", ("A", "B")) == found
            assert await reader.side(case, "Response B is right.", ("A", "B")) == (None if found is None else 1)
        await asker.close()

    asyncio.run(main())

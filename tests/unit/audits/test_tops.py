"""Margins from the likeliest tokens, by hand; then a server's against the exact ones of the model behind it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest

from thinkscore.ask import Asker
from thinkscore.audits._subject import ORDERS, Method, Subject
from thinkscore.audits._tops import margin
from thinkscore.doubles.server import serve_in_thread
from thinkscore.engines._base import Engine
from thinkscore.judge import make_engine, make_protocol
from thinkscore.lab import world
from thinkscore.protocols._base import Readout
from thinkscore.types import Alternatives, Completion, Prompt, Sampling

READOUT = Readout("<answer>", {"A": "[[A]]", "B": "[[B]]"})
CASES = [world.make_case(77, "test", i) for i in range(4)]


def said(token: str, **others: float) -> tuple[str, Alternatives]:
    """A token and what might stand in its place; "_" is "]]" and "__" is "[[" in front."""
    names = {name: name.replace("__", "[[").replace("_", "]]") for name in others}
    return token, tuple((names[name], math.log(chance)) for name, chance in others.items())


def answered(*tokens: tuple[str, Alternatives], before: str = "", cut: int = 0) -> Completion:
    text = before + "".join(token for token, _ in tokens)
    return Completion(text[: len(text) - cut], tops=tokens)


OPEN, CLOSE = said("[[", x=1.0), said("]]", x=1.0)


@pytest.mark.parametrize(
    ("completion", "prefill", "expected"),
    [
        # begun at the verdict; two spellings of a side add up
        (answered(OPEN, said("A", A=0.6, A_=0.2, B=0.1), CLOSE, before="so\n<answer>"), "so\n<answer>", 0.8 / 0.1),
        # the token that decides holds what stands before, and a mark that ends the answer is not in the text
        (answered(said("<answer>"), said("[[B", __B=0.5, __A=0.25, B=0.2), CLOSE, said("<end>"), cut=5), "", 0.5),
        # a side that is not told is at most as likely as the least that is
        (answered(OPEN, said("A", A=0.9, C=0.05), CLOSE), "", 0.9 / 0.05),
        # the last verdict counts
        (answered(said("[[A]] no: "), OPEN, said("B", B=0.5, A=0.5), CLOSE), "", 1.0),
        (answered(OPEN, said("C", C=0.9, D=0.1), CLOSE), "", None),
        (answered(said("no verdict")), "", None),
        (Completion("[[A]]"), "", None),
        (Completion("[[A]]", tops=(said("something else"),)), "", None),
    ],
)
def test_a_margin_is_read_where_the_verdicts_part(completion: Completion, prefill: str, expected: float | None) -> None:
    found = margin(completion, prefill, READOUT)
    assert found == (None if expected is None else pytest.approx(math.log(expected)))


async def leans(engine: Engine, protocol: str) -> tuple[Method, bool, list[float | None]]:
    asker = Asker(make_protocol(protocol), engine, sampling=Sampling(max_tokens=300), seed=4)
    await asker.open()
    try:
        subject = Subject(asker, votes=2)
        await subject.prepare(CASES)
        found = [await subject.lean(case, order, "") for case in CASES for order in ORDERS]
        return subject.method, subject.transplanted, found
    finally:
        await asker.close()


@pytest.mark.parametrize("protocol", ["rm_r1", "rrm"])
def test_a_server_that_reports_likely_tokens_gives_the_exact_margin(protocol: str) -> None:
    exact = asyncio.run(leans(make_engine("embedded"), protocol))
    with serve_in_thread(engine="embedded") as server:
        served = make_engine(f"{server.uri}{'&' if '?' in server.uri else '?'}dialect=openai&prefill=yes")
        top = asyncio.run(leans(served, protocol))
    assert exact[:2] == ("exact", False) and top[:2] == ("top", False)
    assert top[2] == pytest.approx(exact[2], abs=1e-3)


class Deaf(Engine):
    """Answers anew, whatever its answer was to begin with."""

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [Completion(f"<think>\nI see.\n</think>\n{prompt.verdicts[0]}") for prompt in prompts]


def test_an_engine_that_does_not_go_on_with_a_begun_answer_is_shown_the_reasoning_instead() -> None:
    method, transplanted, _ = asyncio.run(leans(Deaf(), "rm_r1"))
    assert (method, transplanted) == ("votes", True)

"""The facade: plain and async calls, streams, release of what it holds, and the summary of a run."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from thinkscore.engines._base import Engine
from thinkscore.errors import BadInput, EngineUnavailable
from thinkscore.judge import Judge, Summary, tally
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.scaling.vote import Vote
from thinkscore.types import Case, Completion, Failure, Judgment, Message, Prompt, Sampling, Tally, Usage

SRC = Path(__file__).parents[2] / "src"


class Longest(Engine):
    """Lets the longer candidate win; slow enough for batches to form."""

    batch, parallel = 4, 2

    def __init__(self, rest: str = "") -> None:
        super().__init__(rest)
        self.sizes: list[int] = []
        self.opened = self.closed = 0

    async def open(self) -> None:
        self.opened += 1
        if self.rest == "broken":
            raise EngineUnavailable("no such model")

    async def close(self) -> None:
        self.closed += 1

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        self.sizes.append(len(prompts))
        await asyncio.sleep(0.002)
        return [Completion(self.text(prompt), usage=Usage(1, 10, 2)) for prompt in prompts]

    def text(self, prompt: Prompt) -> str:
        shown = [prompt.case.candidates[i] for i in prompt.order]
        return prompt.verdicts[shown.index(max(shown, key=len))]


def cases(count: int, read: list[int] | None = None) -> Iterator[Case]:
    for i in range(count):
        if read is not None:
            read.append(i)
        yield Case(f"c{i}", (Message("user", "?"),), ("a" * (i % 3 + 1), "bb"), (float(i % 3 == 2), float(i % 3 != 2)))


def judge(engine: str | Engine = "scripted:", **options: Any) -> Judge:
    return Judge("rm_r1", engine, **options)


def test_two_candidates_are_compared() -> None:
    with judge(Longest(), strategy="vote:k=3") as one:
        judgment = one.compare("Which?", "short", "much longer")
    assert (judgment.winner, judgment.scores, judgment.confidence) == (1, (0.0, 1.0), 4 / 5)
    assert judgment.usage == Usage(3, 30, 6)
    assert judgment.strategy == "vote:k=3"


def test_prompts_are_strings_or_messages() -> None:
    with judge(Longest()) as one:
        plain = one.score("Hi", ["a", "bb"])
        turns = [{"role": "user", "content": "Hi"}]
        assert one.score(turns, ["a", "bb"]).case_id == plain.case_id
        assert one.score([Message("user", "Hi")], ["a", "bb"]).case_id == plain.case_id


BAD_CALLS = {
    "empty prompt": (lambda one: one.compare(" ", "a", "b"), "`prompt` is empty"),
    "no candidates": (lambda one: one.score("Hi", []), "`candidates` is empty"),
    "too many": (lambda one: one.score("Hi", list("abcde")), "rm_r1 judges exactly 2.*deepseek_grm"),
    "not text": (lambda one: one.score("Hi", [1, 2]), "Expected `str`, got `int`"),
}


@pytest.mark.parametrize(("use", "message"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_a_bad_call_says_what_is_accepted(use: Callable[[Judge], Judgment], message: str) -> None:
    with judge() as one, pytest.raises(BadInput, match=message):
        use(one)


BAD_JUDGES = {
    "protocol": ({"protocol": "rm_r2"}, "Did you mean rm_r1"),
    "engine": ({"engine": "script:"}, "Did you mean scripted"),
    "strategy": ({"strategy": "vote:n=1"}, "accepts"),
    "temperature": ({"temperature": -1}, "temperature >= 0"),
    "top_p": ({"top_p": 0}, "0 < top_p <= 1"),
    "max_tokens": ({"max_tokens": 0}, "max_tokens >= 1"),
    "journal": ({"journal": "gone/journal"}, "folder that exists"),
}


@pytest.mark.parametrize(("options", "message"), BAD_JUDGES.values(), ids=BAD_JUDGES)
def test_a_judge_that_cannot_be_is_refused_at_once(options: dict[str, Any], message: str) -> None:
    threads = threading.active_count()
    with pytest.raises(BadInput, match=message):
        Judge(**{"protocol": "rm_r1", "engine": "scripted:", **options})
    assert threading.active_count() == threads


def test_parts_may_be_objects() -> None:
    with Judge(RmR1("none"), Longest(), Vote(2), temperature=0.0, max_tokens=9) as one:
        assert one.compare("?", "a", "bb").winner == 1
        assert one.sampling == Sampling(0.0, 1.0, 9)


def test_streams_keep_their_order_and_share_batches() -> None:
    engine, read = Longest(), list[int]()
    with judge(engine, strategy="vote:k=2") as one:
        for i, (case, judgment) in enumerate(one.run(cases(200, read))):
            assert case.id == judgment.case_id == f"c{i}"
            assert len(read) - i <= 2 * (2 * 4 * 2) + 1
    assert engine.sizes == [4] * 100
    assert (engine.opened, engine.closed) == (1, 1)


def test_a_case_that_does_not_fit_does_not_end_a_run() -> None:
    odd = Case("odd", (Message("user", "?"),), ("a", "b", "c"))
    with judge() as one:
        first, second, third = one.judge([*cases(1), odd, *cases(1)])
    assert second.failure is not None
    assert second.failure.kind == "wrong_arity"
    assert first.failure is third.failure is None


def test_a_stream_can_be_left_and_the_judge_used_on() -> None:
    with judge(Longest()) as one:
        for judgment in one.judge(cases(100)):
            assert judgment.case_id == "c0"
            break
        assert one.compare("?", "a", "bb").winner == 1
        assert len(list(one.judge(cases(5)))) == 5


def test_closing_while_streams_are_open_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    for leave in (lambda stream: None, lambda stream: stream.close()):
        for _ in range(3):
            with judge(Longest()) as one:
                streams = [one.run(cases(50)) for _ in range(3)]
                for stream in streams:
                    next(stream)
                    leave(stream)
    assert not caplog.records


def test_errors_of_the_cases_reach_the_caller() -> None:
    def broken() -> Iterator[Case]:
        yield from cases(3)
        raise KeyError("row 4")

    with judge() as one, pytest.raises(KeyError, match="row 4"):
        list(one.judge(broken()))


def test_a_judge_does_not_wait_for_itself() -> None:
    with judge() as one, pytest.raises(BadInput, match="make a list of them first"):
        list(one.judge(case for case in cases(3) if one.compare("?", "a", "b")))


def test_calls_work_inside_a_running_loop() -> None:
    async def cell() -> Judgment:
        with judge(Longest()) as one:
            return one.compare("?", "a", "bb")

    assert asyncio.run(cell()).winner == 1


def test_async_twins_share_batches_and_say_the_same() -> None:
    async def main(one: Judge) -> None:
        found = await asyncio.gather(*(one.acompare(f"{i}?", "a", "bb") for i in range(16)))
        assert [judgment.winner for judgment in found] == [1] * 16
        assert await one.ascore("?", ["a", "bb"]) == one.score("?", ["a", "bb"])
        assert [j async for j in one.ajudge(cases(30))] == list(one.judge(cases(30)))
        async for _ in one.ajudge(cases(30)):
            break

    engine = Longest()
    with judge(engine) as one:
        asyncio.run(main(one))
        asyncio.run(main(one))  # another loop, the same judge
    assert max(engine.sizes) == 4
    assert engine.opened == 1


def test_threads_share_one_judge() -> None:
    engine = Longest()
    with judge(engine) as one, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: one.compare(f"{i}?", "a" * (i % 2 * 2 + 1), "bb").winner, range(48)))
    assert found == [1, 0] * 24
    assert engine.opened == 1


def test_an_engine_that_does_not_open_gives_its_error_each_time() -> None:
    with judge(Longest("broken")) as one:
        for _ in range(2):
            with pytest.raises(EngineUnavailable, match="no such model"):
                one.compare("?", "a", "b")


def test_a_closed_judge_says_so() -> None:
    one = judge()
    stream = one.judge(cases(5))
    next(stream)
    one.close()
    one.close()
    with pytest.raises(BadInput, match="this Judge is closed"):
        one.compare("?", "a", "b")
    del stream
    gc.collect()


def test_a_forgotten_judge_releases_engine_and_thread(tmp_path: Path) -> None:
    engine, threads = Longest(), threading.active_count()
    one = judge(engine, journal=tmp_path / "j")
    one.compare("?", "a", "b")
    assert threading.active_count() == threads + 2
    del one
    gc.collect()
    assert engine.closed == 1
    assert threading.active_count() == threads
    judge(journal=tmp_path / "j").close()  # the journal is free


PLAIN = """
    import sys
    from thinkscore.engines._base import Engine
    from thinkscore.judge import Judge
    from thinkscore.types import Completion

    class Loud(Engine):
        async def generate(self, prompts):
            return [Completion(prompt.verdicts[1]) for prompt in prompts]
        async def close(self):
            print("closed")

    judge = Judge("rm_r1", Loud())
    print(judge.compare("?", "a", "b").failure)
"""


def test_plain_use_in_a_script_ends_cleanly() -> None:
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(PLAIN)]
    done = subprocess.run(command, env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == ["None", "closed"]
    assert done.stderr == ""


def test_a_journal_gets_a_manifest_and_saves_the_second_run(tmp_path: Path) -> None:
    engines, path = [Longest(), Longest()], tmp_path / "j"
    runs = []
    for engine in engines:
        with judge(engine, strategy="vote:k=2", seed=4, journal=path) as one:
            runs.append(list(one.judge(cases(10))))
    assert runs[0] == runs[1]
    assert engines[1].sizes == []
    manifest = json.loads((tmp_path / "j.manifest.json").read_text())
    assert manifest["seed"] == 4
    assert (manifest["protocol"], manifest["model"], manifest["strategy"]) == ("rm_r1", "test_judge:", "vote:k=2")
    assert set(manifest["texts"]) == {"rm_r1.md", "rm_r1.py", "rm_r1.scored.md"}


def test_permuted_files_and_other_batch_sizes_give_the_same_judgments() -> None:
    class Drawn(Longest):
        batch = 64

        def text(self, prompt: Prompt) -> str:
            return prompt.verdicts[prompt.seed % 2]

    class Small(Drawn):
        batch = 3

    listed = list(cases(40))
    with judge(Drawn(), strategy="vote:k=5") as one, judge(Small(), strategy="vote:k=5") as other:
        first = {judgment.case_id: judgment for judgment in one.judge(listed)}
        assert {judgment.case_id: judgment for judgment in other.judge(listed[::-1])} == first


# ---- summary


def judged(case: Case, *scores: float, kind: str | None = None) -> Judgment:
    top = [i for i, score in enumerate(scores) if score == max(scores)]
    failure = None if kind is None else Failure(kind)  # type: ignore[arg-type]
    winner = top[0] if len(top) == 1 else None
    return Judgment(case.id, scores or None, winner, None, (), Usage(2, 3, 4), "", "", failure)


def test_a_run_is_summed_up() -> None:
    summary = Summary()
    case = Case("x", (Message("user", "?"),), ("a", "b"), (1, 0), tags={"family": "chat", "level": 1})
    other = msgspec.structs.replace(case, tags={"family": "safety"})
    unknown = msgspec.structs.replace(case, gold=None, tags={})
    for one, judgment in [
        (case, judged(case, 1, 0)),
        (case, judged(case, 0, 1)),
        (case, judged(case, 1, 1)),
        (other, judged(case, kind="ambiguous")),
        (other, judged(case, kind="engine_error")),
        (unknown, judged(case, 1, 0)),
    ]:
        summary.add(one, judgment)
    row = summary.as_dict(manifest=Path("j.manifest.json"))
    assert row["cases"] == 6
    assert row["tally"] == {
        "n": 5, "right": 1, "wrong": 1, "tied": 1, "unparsed": 1, "errored": 1,
        "accuracy_all": 0.3, "accuracy_scored": 0.5, "interval": pytest.approx((0.0724, 0.7021), abs=1e-3),
    }  # fmt: skip
    assert row["failures"] == {"ambiguous": 1, "engine_error": 1}
    assert list(row["by"]) == ["family", "level"]  # type: ignore[call-overload]
    assert row["by"]["family"]["chat"]["n"] == 3  # type: ignore[index]
    assert row["by"]["level"]["1"]["accuracy_all"] == 0.5  # type: ignore[index]
    assert row["usage"] == {"calls": 12, "prompt_tokens": 18, "completion_tokens": 24}
    assert row["manifest"] == "j.manifest.json"
    json.dumps(row)


def test_without_gold_nothing_is_claimed() -> None:
    case = Case("x", (Message("user", "?"),), ("a", "b"))
    summary = Summary()
    summary.add(case, judged(case, 1, 0))
    row = summary.as_dict()
    assert tally(case, judged(case, 1, 0)) == Tally()
    assert row["tally"]["accuracy_all"] is None  # type: ignore[index]
    assert row["tally"]["interval"] is None  # type: ignore[index]


def test_a_tag_that_groups_nothing_is_left_out() -> None:
    summary = Summary()
    for i in range(300):
        case = Case(str(i), (Message("user", "?"),), ("a", "b"), (1, 0), tags={"source": i, "half": i % 2})
        summary.add(case, judged(case, 1, 0))
    assert list(summary.as_dict()["by"]) == ["half"]  # type: ignore[call-overload]
    assert len(summary.by["source"]) <= Summary.values + 1

"""The asker: seeds by name, batches across cases, journal before engine, failures as data, a breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from thinkscore.ask import Ask, Asker
from thinkscore.budget import Budget
from thinkscore.engines._base import Announce, Deliver, Engine
from thinkscore.errors import EngineUnavailable, ThinkscoreError
from thinkscore.journal import Call, Journal, open_journal, read_journal
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.seeds import derive_seed
from thinkscore.types import Case, Completion, Failure, Message, Prompt, Sampling, Usage, Verdict, Winner

A, B = "<answer>[[A]]</answer>", "<answer>[[B]]</answer>"


def case(name: str = "c", n: int = 2) -> Case:
    return Case(name, (Message("user", f"{name}?"),), tuple("abc"[:n]))


class Double(Engine):
    """Answers with a function of the prompt and remembers what it got."""

    batch, parallel = 4, 2

    def __init__(self, answer: Callable[[Prompt], Completion] | None = None, rest: str = "") -> None:
        super().__init__(rest)
        self.answer = answer or (lambda prompt: Completion(prompt.verdicts[0], usage=Usage(calls=1)))
        self.batches: list[list[Prompt]] = []
        self.running = self.most = 0
        self.opened = self.closed = 0

    async def open(self) -> None:
        self.opened += 1

    async def close(self) -> None:
        self.closed += 1

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        self.batches.append(list(prompts))
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.001)
        self.running -= 1
        return [self.answer(prompt) for prompt in prompts]

    @property
    def prompts(self) -> list[Prompt]:
        return [prompt for batch in self.batches for prompt in batch]


def with_asker(
    engine: Engine, use: Callable[[Asker], Awaitable[list[Verdict]]], journal: Journal | None = None, seed: int = 3
) -> list[Verdict]:
    async def main() -> list[Verdict]:
        asker = Asker(RmR1(), engine, journal, sampling=Sampling(0.5), seed=seed)
        await asker.open()
        try:
            return await use(asker)
        finally:
            await asker.close()

    return asyncio.run(main())


def ask(engine: Engine, *asks: Ask, of: Case | None = None, journal: Journal | None = None) -> list[Verdict]:
    return with_asker(engine, lambda asker: asker.ask(of or case(), asks), journal)


def test_verdicts_come_in_the_order_asked_and_name_the_candidates_of_the_case() -> None:
    verdicts = ask(Double(), Ask((0, 1), 0), Ask((1, 0), 1), Ask((0, 1), 2))
    assert [v.outcome for v in verdicts] == [Winner(0), Winner(1), Winner(0)]
    assert [v.order for v in verdicts] == [(0, 1), (1, 0), (0, 1)]


def test_seeds_derive_from_run_case_and_sample() -> None:
    engine = Double()
    ask(engine, Ask((0, 1), 5), Ask((1, 0), 0))
    assert [(p.sample, p.seed) for p in engine.prompts] == [(i, derive_seed(3, "c", i)) for i in (5, 0)]
    assert {p.sampling for p in engine.prompts} == {Sampling(0.5)}


def test_cases_that_run_at_once_share_batches_up_to_the_engines_limits() -> None:
    engine = Double()

    async def many(asker: Asker) -> list[Verdict]:
        found = await asyncio.gather(*(asker.ask(case(str(i)), [Ask((0, 1), 0), Ask((1, 0), 1)]) for i in range(9)))
        return [verdict for verdicts in found for verdict in verdicts]

    verdicts = with_asker(engine, many)
    assert [v.case_id for v in verdicts] == [str(i // 2) for i in range(18)]
    assert [len(batch) for batch in engine.batches] == [4, 4, 4, 4, 2]
    assert engine.most == 2
    assert (engine.opened, engine.closed) == (1, 1)


def test_what_the_journal_holds_is_not_asked(tmp_path: Path) -> None:
    engine = Double()
    for expected in ([0, 1], [0, 1, 2], [0, 1, 2]):
        journal = open_journal(tmp_path / "j")
        verdicts = ask(engine, *(Ask((0, 1), i) for i in expected), journal=journal)
        journal.close()
        assert [v.outcome for v in verdicts] == [Winner(0)] * len(expected)
    assert [p.sample for p in engine.prompts] == [0, 1, 2]


def test_errors_are_verdicts_and_are_asked_again(tmp_path: Path) -> None:
    errors = iter([Completion(finish="error", error="no luck"), Completion(finish="error", error="too long: 9 > 8")])
    engine = Double(lambda prompt: next(errors, Completion(B)))
    expected = [Failure("engine_error", "no luck"), Failure("too_long", "too long: 9 > 8"), Winner(1)]
    for outcome in expected:
        journal = open_journal(tmp_path / "j")
        (verdict,) = ask(engine, Ask((0, 1), 0), journal=journal)
        journal.close()
        assert verdict.outcome == outcome
        assert journal.interrupted == 0


def test_a_case_that_cannot_be_shown_is_a_failure_without_a_call() -> None:
    engine = Double()
    (verdict,) = ask(engine, Ask((0, 1, 2), 0), of=case(n=3))
    assert isinstance(verdict.outcome, Failure)
    assert verdict.outcome.kind == "wrong_arity"
    assert "rm_r1" in verdict.outcome.detail
    assert engine.batches == []


def test_part_of_a_case_can_be_shown() -> None:
    (verdict,) = ask(Double(), Ask((2, 0), 0), of=case(n=3))
    assert (verdict.outcome, verdict.order) == (Winner(2), (2, 0))


def test_a_recorded_order_is_the_one_that_is_read() -> None:
    (verdict,) = ask(Double(lambda prompt: Completion(A, order=(0, 1))), Ask((1, 0), 0))
    assert (verdict.outcome, verdict.order) == (Winner(0), (0, 1))


class Broken(Double):
    """Breaks the seam's contract."""

    def __init__(self, result: object) -> None:
        super().__init__()
        self.result = result

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result  # type: ignore[return-value]


@pytest.mark.parametrize("result", [[], [Completion(A)] * 3, None, ["text"], (Completion(A),)])
def test_an_engine_that_breaks_its_contract_is_named(result: object) -> None:
    with pytest.raises(EngineUnavailable, match="engine test_ask:"):
        ask(Broken(result), Ask((0, 1), 0))


def test_an_engine_that_raises_ends_the_run_with_its_error() -> None:
    with pytest.raises(ZeroDivisionError):
        ask(Broken(ZeroDivisionError()), Ask((0, 1), 0), Ask((0, 1), 1))


class Remote(Double):
    """An engine whose errors may mean that it is gone."""

    breaker = 6


def many(asker: Asker, count: int) -> Awaitable[list[Verdict]]:
    async def main() -> list[Verdict]:
        return [verdict for i in range(count) for verdict in await asker.ask(case(str(i)), [Ask((0, 1), 0)])]

    return main()


def failing(message: Callable[[Prompt], str]) -> Callable[[Prompt], Completion]:
    return lambda prompt: Completion(finish="error", error=message(prompt)) if message(prompt) else Completion(A)


def test_the_same_error_again_and_again_ends_the_run_and_keeps_the_journal(tmp_path: Path) -> None:
    engine = Remote(failing(lambda prompt: "bad key" if int(prompt.case.id) > 1 else ""))
    journal = open_journal(tmp_path / "j")
    with pytest.raises(EngineUnavailable, match="6 cases in a row failed in the same way: bad key"):
        with_asker(engine, lambda asker: many(asker, 50), journal)
    journal.close()
    assert len(engine.prompts) == 2 + 6
    journal = open_journal(tmp_path / "j")
    assert len(with_asker(engine, lambda asker: many(asker, 2), journal)) == 2
    journal.close()
    assert len(engine.prompts) == 2 + 6  # both came from the journal


ALIVE = {
    "different errors": lambda prompt: f"no recorded completion for {prompt.case.id}",
    "an answer in between": lambda prompt: "busy" if int(prompt.case.id) % 6 else "",
}


@pytest.mark.parametrize("message", ALIVE.values(), ids=ALIVE)
def test_errors_that_differ_or_pass_do_not(message: Callable[[Prompt], str]) -> None:
    assert len(with_asker(Remote(failing(message)), lambda asker: many(asker, 30))) == 30


def test_engines_whose_errors_are_about_items_have_no_breaker() -> None:
    verdicts = with_asker(Double(failing(lambda prompt: "unknown word")), lambda asker: many(asker, 30))
    assert all(isinstance(verdict.outcome, Failure) for verdict in verdicts)


def test_a_cancelled_case_leaves_the_others_alone() -> None:
    engine = Double()

    async def use(asker: Asker) -> list[Verdict]:
        tasks = [asyncio.create_task(asker.ask(case(str(i)), [Ask((0, 1), 0)])) for i in range(20)]
        await asyncio.sleep(0)
        tasks[19].cancel()
        await asyncio.gather(*tasks[:19])
        return tasks[18].result()

    assert len(with_asker(engine, use)) == 1
    assert {p.case.id for p in engine.prompts} == {str(i) for i in range(19)}


def test_closing_cancels_who_still_waits() -> None:
    async def main() -> None:
        asker = Asker(RmR1(), Double())
        await asker.open()
        tasks = [asyncio.create_task(asker.ask(case(str(i)), [Ask((0, 1), 0)])) for i in range(20)]
        await asyncio.sleep(0.0005)
        await asker.close()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in done)

    asyncio.run(main())


def test_the_same_call_twice_at_once_is_paid_once_and_both_get_its_answer() -> None:
    engine = Double()

    async def twice(asker: Asker) -> list[Verdict]:
        first, second = await asyncio.gather(*(asker.ask(case(), [Ask((0, 1), 0)]) for _ in range(2)))
        return first + second

    verdicts = with_asker(engine, twice)
    assert len(engine.prompts) == 1
    assert verdicts[0] == verdicts[1]


def test_one_of_two_who_share_a_call_may_be_cancelled() -> None:
    engine = Double()

    async def one_leaves(asker: Asker) -> list[Verdict]:
        leaving = asyncio.ensure_future(asker.ask(case(), [Ask((0, 1), 0)]))
        staying = asyncio.ensure_future(asker.ask(case(), [Ask((0, 1), 0)]))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert [v.outcome for v in with_asker(engine, one_leaves)] == [Winner(0)]


def test_an_answer_is_served_before_its_commit(tmp_path: Path) -> None:
    engine, journal = Double(), open_journal(tmp_path / "j")

    async def in_a_row(asker: Asker) -> list[Verdict]:
        return [verdict for _ in range(3) for verdict in await asker.ask(case(), [Ask((0, 1), 0)])]

    with_asker(engine, in_a_row, journal)
    journal.close()
    assert len(engine.prompts) == 1


def test_a_tripped_breaker_sends_nothing_that_still_waits() -> None:
    engine = Remote(failing(lambda prompt: "no key"))
    engine.batch, engine.parallel = 1, 1
    with pytest.raises(EngineUnavailable):
        with_asker(engine, lambda asker: many(asker, 60))
    assert len(engine.prompts) == engine.breaker


def test_a_resumed_run_is_not_ended_by_what_failed_for_good_before(tmp_path: Path) -> None:
    engine = Remote(failing(lambda prompt: "" if int(prompt.case.id) % 3 else "refused"))
    for _ in range(2):  # the second time, nothing but the refused ones is asked
        journal = open_journal(tmp_path / "j")
        verdicts = with_asker(engine, lambda asker: many(asker, 40), journal)
        journal.close()
    assert sum(isinstance(verdict.outcome, Failure) for verdict in verdicts) == 14
    assert len(engine.prompts) == 40 + 14


@pytest.mark.parametrize("error", ["refused", "too long: the prompt has too many tokens; m reads fewer"])
def test_what_is_about_one_case_does_not_end_a_run(error: str) -> None:
    engine = Remote(failing(lambda prompt: error if prompt.case.id == "0" or error != "refused" else ""))

    async def use(asker: Asker) -> list[Verdict]:
        often = await asker.ask(case("0"), [Ask((0, 1), i) for i in range(20)])
        return often + list(await many(asker, 20))

    assert len(with_asker(engine, use)) == 40


class Full(Journal):
    """Has room for two answers."""

    kept = 0

    def record(self, calls: Sequence[Call], completions: Sequence[Completion]) -> None:
        self.kept += 1
        if self.kept > 2:
            raise ThinkscoreError("no space left")


def test_nobody_waits_for_an_answer_that_cannot_be_kept() -> None:
    async def use(asker: Asker) -> list[Verdict]:
        tasks = [asyncio.create_task(asker.ask(case(str(i)), [Ask((0, 1), 0)])) for i in range(12)]
        done, waiting = await asyncio.wait(tasks, timeout=10)
        assert not waiting
        errors = [task.exception() for task in done]
        assert sum(isinstance(error, ThinkscoreError) for error in errors) == 10
        return []

    with_asker(Double(), use, Full())


class BreaksOff(Double):
    """Gives up on its first batch; an answer that was under way comes later."""

    async def stream(self, prompts: Sequence[Prompt], announce: Announce, deliver: Deliver) -> None:
        if len(prompts) == 1:
            await super().stream(prompts, announce, deliver)
            return
        announce(range(len(prompts)))
        asyncio.get_running_loop().call_later(0.01, deliver, 0, Completion(A, usage=Usage(1, 10, 10)))
        raise EngineUnavailable("no key")


def test_an_answer_that_comes_after_its_engine_broke_off_is_kept_and_blocks_nothing(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j")

    async def main() -> list[Verdict]:
        asker = Asker(RmR1(), BreaksOff(), journal, sampling=Sampling(max_tokens=100), budget=Budget(10_000))
        await asker.open()
        with pytest.raises(EngineUnavailable, match="no key"):
            await asker.ask(case(), [Ask((0, 1), 0), Ask((0, 1), 1)])
        again = asyncio.create_task(asker.ask(case(), [Ask((0, 1), 0)]))  # announced while the first is under way
        await asyncio.sleep(0.05)
        large = Case("large", (Message("user", "x" * 20_000),), ("a", "b"))
        found = [*await again, *await asyncio.wait_for(asker.ask(large, [Ask((0, 1), 0)]), 10)]
        await asker.close()
        return found

    first, refused = asyncio.run(main())
    journal.close()
    assert first.outcome == Winner(0)
    assert isinstance(refused.outcome, Failure) and "budget" in refused.outcome.detail
    assert len(list(read_journal(tmp_path / "j"))) == 1


class Reader(Double):
    """Gives log-probabilities too: the second place is the likely one."""

    batch = 64

    async def logprobs(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[float]:
        assert all(prompt.continuations for prompt in prompts)
        return [-0.1 if "B" in text else -2.4 for text in continuations]

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        assert not any(prompt.continuations for prompt in prompts)
        return await super().generate(prompts)


def test_what_is_read_and_what_is_written_are_different_calls_of_the_engine() -> None:
    """Cases at different points of their strategies share batches, but never one with calls of another kind."""

    async def use(asker: Asker) -> list[Verdict]:
        verdicts = await asker.ask(case("a"), [Ask((0, 1), 0)])
        found = await asyncio.gather(
            asker.ask(case("b"), [Ask((0, 1), 0)]),
            asker.read(case("a"), verdicts),
            asker.ask(case("c"), [Ask((0, 1), 0)]),
        )
        return [verdict for part in found for verdict in part]

    first, read, last = with_asker(Reader(), use)
    assert first.outcome == last.outcome == Winner(0)
    assert read.expected is not None and read.expected[1] > 0.9

"""The facade: a protocol, an engine and a strategy make a judge; its judgments are tallied against gold.

The whole sentence in one object. A `Judge` works in an event loop of its own, in a thread of its own: plain calls run
anywhere, also where a loop is already running (notebooks), calls from several threads or tasks share the engine's
batches, and the async twins are the same calls, awaited.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import threading
import time
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from .ask import Asker, TooLong
from .budget import Budget, Price
from .calibration import Calibration, read_calibration
from .data import parse_case, standing
from .engines._base import Engine
from .errors import BadInput
from .journal import open_journal, write_manifest
from .plugins import load, split_uri
from .protocols._base import Guard, Protocol
from .scaling._base import Strategy, parse_strategy
from .scaling._driver import decide, stream
from .scaling._shared import Shared, stream_blocks
from .scaling._team import Team
from .stats import wilson
from .types import Case, Failure, Judgment, Message, Sampling, Tally, Usage

__all__ = ["Conversation", "Judge", "Summary", "make_engine", "make_protocol", "tally"]

T = TypeVar("T")
Row = Case | dict[str, Any]
Conversation = str | Sequence[Message | dict[str, str]]
Anchors = Sequence[str | tuple[str, float]]


def make_protocol(
    name: str, guard: Guard | None = None, parser: str = "strict", template: str | None = None
) -> Protocol:
    """Make a protocol from its id or the path of a user's `.py`, with what it takes after a colon ("rubric:FILE").

    `parser` and `template` as in `Protocol`. Raises `BadInput` with what is known.
    """
    name, rest = split_uri(name)
    return load("protocols", name, Protocol)(guard, parser, template, rest=rest)  # type: ignore[type-abstract]


def make_engine(uri: str) -> Engine:
    """Make an engine from its URI. Raises `BadInput` with the known schemes."""
    name, rest = split_uri(uri)
    return load(("engines", "doubles"), name, Engine)(rest)  # type: ignore[type-abstract]


class Judge:
    """Judges cases. Opens its engine at the first call; `close`, a `with` block or garbage collection release it.

    `protocol`, `engine` and `strategy` are ids ("rm_r1", "embedded:DIR", "vote:k=8"), paths of your own `.py`, or
    objects. `journal` is a file that keeps every call. `seed` fixes orders and samples. `calibration`, or the file of
    one, turns scores into gold. `others` are further judges that a strategy asks, by name, as "PROTOCOL@ENGINE"; their
    calls are kept in JOURNAL.NAME. `most` limits the verdicts per case. Raises `BadInput`.
    """

    def __init__(
        self,
        protocol: str | Protocol,
        engine: str | Engine = "embedded",
        strategy: str | Strategy = "vote:k=1",
        *,
        seed: int = 0,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_tokens: int = 8192,
        journal: str | Path | None = None,
        guard: Guard | None = None,
        parser: str = "strict",
        template: str | None = None,
        too_long: TooLong = "fail",
        budget: Budget | None = None,
        calibration: str | Path | Calibration | None = None,
        others: Mapping[str, str] | None = None,
        most: int | None = None,
    ) -> None:
        self.protocol = make_protocol(protocol, guard, parser, template) if isinstance(protocol, str) else protocol
        self.engine = make_engine(engine) if isinstance(engine, str) else engine
        self.strategy = parse_strategy(strategy) if isinstance(strategy, str) else strategy
        self.seed, self.sampling = seed, _sampling(temperature, top_p, max_tokens)
        self.calibration = read_calibration(calibration) if isinstance(calibration, str | Path) else calibration
        self.budget = budget or Budget()
        self.others, self.most = dict(others or {}), most
        helping = {name: _other(name, text) for name, text in self.others.items()}
        _check_needs(self.strategy, {"": (self.protocol, self.engine), **helping})
        self.journal = open_journal(journal)
        how: dict[str, Any] = {
            "sampling": self.sampling, "seed": seed, "too_long": too_long, "budget": self.budget
        }  # fmt: skip
        self._asker = Asker(self.protocol, self.engine, self.journal, **how)
        kept = {name: open_journal(journal and f"{journal}.{name}") for name in helping}
        self._team = Team(self._asker, {name: Asker(*pair, kept[name], **how) for name, pair in helping.items()})
        self._opening: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_work, args=(self._loop,), name="judge", daemon=True)
        self._thread.start()
        self._streams: weakref.WeakSet[AsyncGenerator[Any, None]] = weakref.WeakSet()
        self._release = weakref.finalize(self, _release, self._loop, self._thread, self._team, self._streams)

    def compare(self, prompt: Conversation, a: str, b: str) -> Judgment:
        """Judge two candidates; `winner` is 0 for a, 1 for b, None for a tie or a failure."""
        return self.score(prompt, [a, b])

    def score(self, prompt: Conversation, candidates: Sequence[str], anchors: Anchors = ()) -> Judgment:
        """Judge candidates; `scores` holds one reward each, in their order, or None for a failure.

        `anchors` are answers to compare with (strategy "anchored"), with gold if it is known. Raises `BadInput` if the
        protocol cannot show that many candidates.
        """
        return self._wait(self._score(prompt, candidates, anchors))

    def judge(self, cases: Iterable[Row]) -> Iterator[Judgment]:
        """Yield the judgments of a stream of cases, in their order. A case that fails is a judgment too."""
        return (judgment for _, judgment in self.run(cases))

    def run(self, cases: Iterable[Row]) -> Iterator[tuple[Case, Judgment]]:
        """Yield each case with its judgment, in order; many are in flight, memory does not grow with their number.

        `cases` is read in the judge's thread, ahead of what is yielded; a dict is read as a row of a case file.
        """
        source = self._stream(cases)
        try:
            while ready := self._wait(_next(source)):
                yield from ready
        finally:
            self._drop(source)

    async def acompare(self, prompt: Conversation, a: str, b: str) -> Judgment:
        """Await `compare`."""
        return await self.ascore(prompt, [a, b])

    async def ascore(self, prompt: Conversation, candidates: Sequence[str], anchors: Anchors = ()) -> Judgment:
        """Await `score`."""
        return await asyncio.wrap_future(self._submit(self._score(prompt, candidates, anchors)))

    async def ajudge(self, cases: Iterable[Row]) -> AsyncIterator[Judgment]:
        """Yield what `judge` yields."""
        async for _, judgment in self.arun(cases):
            yield judgment

    async def arun(self, cases: Iterable[Row]) -> AsyncIterator[tuple[Case, Judgment]]:
        """Yield what `run` yields."""
        source = self._stream(cases)
        try:
            while ready := await asyncio.wrap_future(self._submit(_next(source))):
                for pair in ready:
                    yield pair
        finally:
            self._drop(source)

    def close(self) -> None:
        """Cancel what is running and release engine, journal and thread. A closed judge cannot be used again."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _score(self, prompt: Conversation, candidates: Sequence[str], anchors: Anchors = ()) -> Judgment:
        given = [{"text": one[0], "gold": one[1]} if isinstance(one, tuple) else one for one in anchors]
        case = parse_case({"prompt": prompt, "candidates": list(candidates), "anchors": given}, "got")
        await self._open()
        judgment = await decide(self.strategy, case, self._team, self.seed, self.most)
        if judgment.failure is not None:
            _raise_arity(judgment)
        return self._calibrated(judgment)

    def _stream(self, cases: Iterable[Row]) -> AsyncGenerator[list[tuple[Case, Judgment]], None]:
        source = self._judged(cases)
        self._streams.add(source)
        return source

    async def _judged(self, cases: Iterable[Row]) -> AsyncGenerator[list[tuple[Case, Judgment]], None]:
        await self._open()
        # Twice what the engine takes at a time, so that it never waits for a case that is slow to end.
        window = 2 * self.engine.batch * self.engine.parallel
        known = (case if isinstance(case, Case) else parse_case(case) for case in cases)
        if isinstance(self.strategy, Shared):
            source = stream_blocks(self.strategy, known, self._team, self.seed, self.sampling.max_tokens)
        else:
            source = stream(self.strategy, known, self._team, concurrency=window, seed=self.seed, most=self.most)
        try:
            async for ready in source:
                yield ready if self.calibration is None else [(case, self._calibrated(found)) for case, found in ready]
        finally:
            await source.aclose()

    def _calibrated(self, judgment: Judgment) -> Judgment:
        return judgment if self.calibration is None else self.calibration.applied(judgment)

    async def _open(self) -> None:
        """Open the engine once, whoever asks first; everybody gets the error if it cannot be opened."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._start())
        await asyncio.shield(self._opening)

    async def _start(self) -> None:
        await self._team.open()
        self.budget.open(self.engine.model)
        if self.journal.path is not None:
            write_manifest(self.journal.path, self._config())

    def _config(self) -> dict[str, object]:
        """Describe the run for its manifest."""
        return {
            "protocol": self.protocol.id,
            "settings": self.protocol.settings(),
            "texts": _text_hashes(self.protocol),
            "guard": self.protocol.guard,
            "parser": self.protocol.parser,
            "template": self.protocol.template.described() if self.protocol.template else {"name": "own"},
            "model": self.engine.identity,
            "strategy": str(self.strategy),
            **({"others": self.others} if self.others else {}),
            **({"most": self.most} if self.most is not None else {}),
            "calibration": self.calibration,
            "sampling": msgspec.to_builtins(self.sampling),
            "seed": self.seed,
        }

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        if not self._release.alive:
            coroutine.close()
            raise BadInput("this Judge is closed; make a new one")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the judge's thread; what interrupts the wait cancels it."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise BadInput("a Judge cannot be called from inside the cases that it reads; make a list of them first")
        future = self._submit(coroutine)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _drop(self, source: AsyncGenerator[Any, None]) -> None:
        """Stop a stream: its cases are cancelled. After `close` there is nothing left to stop."""
        if self._release.alive:
            asyncio.run_coroutine_threadsafe(source.aclose(), self._loop)


async def _next(source: AsyncGenerator[list[T], None]) -> list[T]:
    return await anext(source, [])


def _work(loop: asyncio.AbstractEventLoop) -> None:
    """Run a judge's loop; the body of its thread. It must not know the judge, which could never be collected."""
    try:
        loop.run_forever()
    finally:
        loop.close()


def _release(
    loop: asyncio.AbstractEventLoop,
    thread: threading.Thread,
    team: Team,
    streams: Iterable[AsyncGenerator[Any, None]],
) -> None:
    async def end() -> None:
        try:
            running = asyncio.all_tasks() - {asyncio.current_task()}
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)  # a stream that runs cannot be closed
            for stream in list(streams):  # one in another, so not all at once as `shutdown_asyncgens` does
                await stream.aclose()
            with suppress(RuntimeError):  # at interpreter exit no thread pool takes work any more
                await team.close()
        finally:
            team.close_journals()

    done = asyncio.run_coroutine_threadsafe(end(), loop)
    done.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
    if threading.current_thread() is not thread:  # the collector may run in any thread
        thread.join()
        done.result()


def _raise_arity(judgment: Judgment) -> None:
    """Raise `BadInput` if a case could not be shown to the judge at all."""
    for verdict in judgment.verdicts:
        outcome = verdict.outcome
        if isinstance(outcome, Failure) and outcome.kind == "wrong_arity" and verdict.completion.finish == "error":
            raise BadInput(outcome.detail)


def _check_needs(strategy: Strategy, judges: Mapping[str, tuple[Protocol, Engine]]) -> None:
    """Refuse before the first call what the strategy could not do after it."""
    for name in strategy.others:
        if name not in judges:
            raise BadInput(f"{strategy} asks a judge named {name!r}; add --with {name}=PROTOCOL@ENGINE")
    for protocol, engine in map(judges.__getitem__, strategy.reads):
        if not protocol.readable_by_force:
            raise BadInput(
                f"{strategy} forces a verdict, and {protocol.id} has none to force; use rm_r1, rrm or others"
            )
        if type(engine).logprobs is Engine.logprobs and not engine.recorded:
            raise BadInput(f"{strategy} reads log-probabilities, and {engine.model} gives none; use embedded or hf:")


def _other(name: str, text: str) -> tuple[Protocol, Engine]:
    """Make another judge of a run from "PROTOCOL@ENGINE"."""
    protocol, _, engine = text.partition("@")
    if not name or not protocol or not engine:
        raise BadInput(f"another judge is NAME=PROTOCOL@ENGINE, e.g. meta=scalar@hf:DIR; got {name}={text}")
    return make_protocol(protocol), make_engine(engine)


def _sampling(temperature: float, top_p: float, max_tokens: int) -> Sampling:
    if temperature < 0 or not 0 < top_p <= 1 or max_tokens < 1:
        raise BadInput(
            f"got temperature={temperature}, top_p={top_p}, max_tokens={max_tokens}; "
            "accepted are temperature >= 0, 0 < top_p <= 1, max_tokens >= 1"
        )
    return Sampling(temperature, top_p, max_tokens)


def _text_hashes(protocol: Protocol) -> dict[str, str]:
    """Hash the files of a protocol: its code and its wording."""
    place = Path(inspect.getfile(type(protocol)))
    found = place.parent.glob(f"{place.stem}.*")
    # Not the table of released models: what was taken from it is in the manifest itself.
    files = sorted(file for file in found if file.is_file() and file.suffix != ".toml")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def tally(case: Case, judgment: Judgment) -> Tally:
    """Count one judgment against gold; without gold, or with a single candidate, nothing is counted."""
    name = standing(case, judgment)
    return Tally() if name is None else Tally(**{name: 1})


class Summary:
    """Adds up a run: tallies over all and by tag, failures, cost, time."""

    values = 100
    """A tag with more values than this (an id, say) is no grouping and is left out."""

    def __init__(self) -> None:
        self.cases, self.tally, self.usage = 0, Tally(), Usage()
        self.failures: Counter[str] = Counter()
        self.reasons: dict[str, Counter[str]] = {}
        self.shortened = 0
        self.notes: dict[str, tuple[float, int]] = {}
        self.by: dict[str, dict[str, Tally]] = {}
        self._start = time.monotonic()

    def add(self, case: Case, judgment: Judgment) -> None:
        one = tally(case, judgment)
        self.cases += 1
        self.tally += one
        self.usage += judgment.usage
        if judgment.failure is not None:
            self.failures[judgment.failure.kind] += 1
            reasons = self.reasons.setdefault(judgment.failure.kind, Counter())
            if len(reasons) < self.values:
                reasons[judgment.failure.detail] += 1
        self.shortened += any(verdict.completion.cut for verdict in judgment.verdicts)
        for name, measured in judgment.notes.items():
            total, count = self.notes.get(name, (0.0, 0))
            self.notes[name] = total + measured, count + 1
        for tag, value in case.tags.items():
            groups = self.by.setdefault(tag, {})
            if len(groups) <= self.values:
                groups[str(value)] = groups.get(str(value), Tally()) + one

    def as_dict(self, manifest: str | Path | None = None, price: Price | None = None) -> dict[str, object]:
        """Return what `--json` prints; groups are sorted, intervals are 95 % for accuracy_all, notes are means.

        With a price, usage has a cost too, in the unit of the price file.
        """
        cost = {} if price is None else {"cost": price.cost(self.usage)}
        by = {tag: groups for tag, groups in sorted(self.by.items()) if len(groups) <= self.values}
        return {
            "cases": self.cases,
            "tally": _tally_row(self.tally),
            "by": {tag: {v: _tally_row(groups[v]) for v in sorted(groups)} for tag, groups in by.items()},
            "failures": dict(sorted(self.failures.items())),
            "shortened": self.shortened,
            **({"notes": {name: total / n for name, (total, n) in sorted(self.notes.items())}} if self.notes else {}),
            "usage": msgspec.to_builtins(self.usage) | cost,
            "seconds": round(time.monotonic() - self._start, 3),
            "manifest": None if manifest is None else str(manifest),
        }


def _tally_row(tally: Tally) -> dict[str, object]:
    return {
        "n": tally.n,
        **msgspec.structs.asdict(tally),
        "accuracy_all": tally.accuracy_all,
        "accuracy_scored": tally.accuracy_scored,
        "interval": wilson(tally.right + tally.tied / 2, tally.n) if tally.n else None,
    }

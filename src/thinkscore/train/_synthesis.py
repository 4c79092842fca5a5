"""Traces to learn from, written by a teacher (any engine) about cases with gold; the wrong ones are not kept.

Two ways. `two_pass` is RM-R1's (arXiv 2505.02387, section 3): the teacher judges as the student will; what is wrong is
written again, by it or by a second one, with the right verdict and the wrong judgment shown. `rejection` is that of
DeepSeek-GRM (arXiv 2504.02495, section 3.2): several samples per case, cases that all of them get right dropped as
too easy, one more sample with the best response named. `labels` asks nobody: the verdict alone. We differ: own
wording of the hints (`_hints`), every trace is checked, the rewritten ones too, and one that mentions the hint is no
trace. What is trained is the plain prompt. Journals beside the traces (`_traces`) keep every call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard

import msgspec

from ..budget import Budget
from ..errors import BadInput
from ..judge import Judge, make_engine
from ..protocols._base import Protocol, agrees
from ..scaling._base import Ask, State, Stop, Strategy, balanced_order
from ..scaling.vote import Vote
from ..types import (
    Case,
    Failure,
    Judgment,
    Outcome,
    Prompt,
    Sampling,
    Scores,
    Verdict,
    content_hash,
)
from ._hints import Hinted, hint
from ._leaks import leak
from ._traces import Report, Traced, TraceRow, counted, load, made, save
from ._usable import best, check_labels, check_sides, unusable

__all__ = ["LOST", "Report", "Synthesis", "TraceRow", "Traced", "check", "made", "synthesize", "traced"]

LOST = 0.01
"""Share of the calls that may stay without an answer."""


class Synthesis(msgspec.Struct, frozen=True, kw_only=True):
    """How traces are made."""

    method: Literal["two_pass", "rejection", "labels"] = "two_pass"
    """Which way; `labels` needs no teacher."""
    teacher: str = ""
    """URI of the engine that writes."""
    second: str = ""
    """URI of the engine that writes with a hint; the teacher if empty."""
    samples: int = 3
    """Rejection: samples per case without a hint."""
    hinted: bool = True
    """Rejection: whether one more sample per case gets the hint."""
    drop_easy: bool = True
    """Rejection: whether a case whose samples are all right is dropped."""
    orders: Literal["balanced", "as_is"] = "balanced"
    """How candidates are shown: in an order drawn from (seed, case id), or as the case has them."""
    seed: int = 0
    sampling: Sampling = Sampling()
    """How the teacher draws."""


def traced(
    cases: Sequence[Case],
    protocol: Protocol,
    synthesis: Synthesis,
    out: Path,
    tell: Callable[[str], object] = lambda line: None,
    budget: Budget | None = None,
    lost: float = LOST,
) -> tuple[list[Traced], Report]:
    """Read OUT/traces.jsonl, or synthesize it with its journals and its report (OUT/synthesis.json).

    Raises `BadInput`, and writes no traces, if none is worth training on or more than the share `lost` of the calls
    was not answered; and if those in OUT were made from something else.
    """
    source = content_hash([cases, protocol.identity(), synthesis])
    if not made(out):
        rows, report = synthesize(cases, protocol, synthesis, out / "teacher.journal", budget, lost)
        if not rows:
            cut = report.dropped.get("truncated", 0) > sum(report.dropped.values()) / 2
            advice = "give more --max-tokens and another --out" if cut else "try another teacher"
            raise BadInput(f"no trace was kept: {'; '.join(report.lines())}; nothing was written; {advice}")
        report.source = source
        save(out, rows, report)
    rows, report = load(out, source)
    for line in report.lines():
        tell(line)
    return rows, report


def check(cases: Sequence[Case], protocol: Protocol, synthesis: Synthesis) -> None:
    """Raise the `BadInput` that `synthesize` would raise before anything is asked."""
    _Work(cases, protocol, synthesis, None, Budget(), LOST)


def synthesize(
    cases: Sequence[Case],
    protocol: Protocol,
    synthesis: Synthesis,
    journal: Path | None = None,
    budget: Budget | None = None,
    lost: float = LOST,
) -> tuple[list[Traced], Report]:
    """Make traces, in the order of the cases. Calls with a hint are in a journal of their own, JOURNAL.hinted.

    Raises `BadInput` before anything is asked if there is no teacher, no case can be used, or all best candidates
    would be shown at one place; and afterwards if more than the share `lost` of the calls was not answered.
    """
    work = _Work(cases, protocol, synthesis, journal, budget or Budget(), lost)
    {"two_pass": work.two_pass, "rejection": work.rejection, "labels": work.labels}[synthesis.method]()
    place = {case.id: i for i, case in enumerate(cases)}
    return sorted(work.rows, key=lambda row: place[row.id]), work.report


class _Work:
    """One synthesis under way."""

    def __init__(
        self,
        cases: Sequence[Case],
        protocol: Protocol,
        how: Synthesis,
        journal: Path | None,
        budget: Budget,
        lost: float,
    ) -> None:
        self.protocol, self.how, self.journal, self.budget, self.lost = protocol, how, journal, budget, lost
        self.report, self.rows = Report(len(cases)), list[Traced]()
        self.calls = self.unanswered = 0
        self.cases = []
        for case in cases:
            if reason := unusable(case, protocol):
                _count(self.report.skipped, reason)
            else:
                self.cases.append(case)
        if not self.cases:
            raise BadInput(
                f"none of {len(cases)} cases can be used: {counted(self.report.skipped) or 'there are none'}"
            )
        check_labels(self.cases)
        if how.orders == "as_is":
            check_sides(self.cases)
        self._check_teacher()

    def _check_teacher(self) -> None:
        """Refuse what cannot write."""
        if self.how.method == "labels":
            self._labelled(self.cases[0])
            return
        if not self.how.teacher:
            raise BadInput("no teacher to write traces; give --teacher URI, or --teacher labels for the verdicts alone")
        for uri in filter(None, (self.how.teacher, self.how.second)):
            make_engine(uri)

    def order(self, case: Case, sample: int) -> tuple[int, ...]:
        if self.how.orders == "as_is":
            return tuple(range(len(case.candidates)))
        return balanced_order(case, self.how.seed, sample)

    def two_pass(self) -> None:
        """Zero-shot first; what is not right is written again with the verdict given."""
        again, earlier = [], {}
        for case, (verdict,) in self._asked(self.cases, 0, 1):
            if not self._taken(case, verdict, "zero_shot"):
                again.append(case)
                earlier[case.id] = verdict.completion.whole()
        self._hinted(again, 0, earlier, "rewritten")

    def rejection(self) -> None:
        """Keep the right ones of several samples where they do not all agree with gold, and a hinted one."""
        for case, verdicts in self._asked(self.cases, 0, self.how.samples):
            easy = self.how.drop_easy and not any(_wrong(verdict, case) for verdict in verdicts)
            for verdict in verdicts:
                self._drop("too easy") if easy else self._taken(case, verdict, "sampled")
        if self.how.hinted:
            self._hinted(self.cases, self.how.samples, {}, "hinted")

    def labels(self) -> None:
        """Write the verdict that gold gives, and nothing else."""
        for case in self.cases:
            self.report.samples += 1
            self._keep(*self._labelled(case), "labels")

    def _labelled(self, case: Case) -> tuple[Prompt, str]:
        prompt = self.protocol.render(case, self.order(case, 0))
        if len(case.candidates) == 1 or not prompt.verdicts:
            raise BadInput(f"{self.protocol.id} has no verdict text for {case.id!r} to learn from; give a teacher")
        return prompt, prompt.verdicts[prompt.order.index(best(case))]

    def _hinted(self, cases: Sequence[Case], sample: int, earlier: dict[str, str], source: Any) -> None:
        """Ask once more with the verdict given; keep what is right and does not speak of it."""
        asked = Hinted(self.protocol, earlier)
        for case, (verdict,) in self._asked(cases, sample, 1, asked):
            self._taken(case, verdict, source, hint(case, verdict.order, self.protocol))

    def _asked(
        self, cases: Sequence[Case], first: int, k: int, hinted: Protocol | None = None
    ) -> Iterator[tuple[Case, Sequence[Verdict]]]:
        """Ask about each case, samples `first` to `first + k`."""
        if not cases:
            return
        how = self.how
        journal = self.journal
        if hinted is not None and journal is not None:
            journal = journal.with_name(f"{journal.name}.hinted")
        engine = (hinted and how.second) or how.teacher
        sampling = msgspec.structs.asdict(how.sampling)
        strategy = _Draws(k, first, how.orders == "as_is")
        with Judge(
            hinted or self.protocol, engine, strategy, seed=how.seed, journal=journal, budget=self.budget, **sampling
        ) as judge:
            # An engine whose errors are about items may have no words for a hint; that is not for another try.
            counted = hinted is None or judge.engine.breaker > 0
            error = ""
            for case, judgment in judge.run(cases):
                self.report.samples += len(judgment.verdicts)
                yield case, judgment.verdicts
                lost = [one.outcome.detail for one in judgment.verdicts if _unanswered(one.outcome)]
                self.calls += len(judgment.verdicts) * counted
                self.unanswered += len(lost) * counted
                error = (lost or [error])[-1]
        self._check_answered(error)

    def _check_answered(self, error: str) -> None:
        """Refuse to go on without what an outage took: the journal has the rest."""
        if self.unanswered > self.lost * self.calls:
            raise BadInput(
                f"{self.unanswered} of {self.calls} samples were not answered and {len(self.rows)} traces kept; "
                "nothing was written: the same command asks for what is missing (--max-lost SHARE goes on without); "
                f"the last error: {error}"
            )

    def _taken(self, case: Case, verdict: Verdict, source: Any, told: str = "") -> bool:
        """Keep a sample, or count why not."""
        prompt = self.protocol.render(case, verdict.order)
        text = verdict.completion.whole()
        reason = _wrong(verdict, case)
        if reason is None and told:
            found = leak(text, "\n".join(message.content for message in prompt.messages), told)
            reason = found and f"leak: {found}"
        if reason is not None:
            self._drop(reason)
            return False
        self._keep(prompt, text, source)
        return True

    def _keep(self, prompt: Prompt, text: str, source: Any) -> None:
        _count(self.report.kept, source)
        self.rows.append(Traced(prompt.messages, text, id=prompt.case.id, order=prompt.order, source=source))

    def _drop(self, reason: str) -> None:
        _count(self.report.dropped, reason)


def _count(counts: dict[str, int], name: str) -> None:
    counts.update(Counter(counts) + Counter([name]))


_FAILURES = {"truncated": "truncated", "engine_error": "not answered", "too_long": "too long for the teacher"}


def _unanswered(outcome: Outcome) -> TypeGuard[Failure]:
    return isinstance(outcome, Failure) and outcome.kind == "engine_error"


def _wrong(verdict: Verdict, case: Case) -> str | None:
    """Say why a sample is no example of a right judgment; None if it is one. A single response must get its label."""
    outcome, gold = verdict.outcome, case.gold or ()
    if isinstance(outcome, Failure):
        return _FAILURES.get(outcome.kind, "unreadable")
    right = outcome == Scores(tuple(gold)) if len(gold) == 1 else agrees(outcome, gold)
    return None if right else "wrong"


@dataclass(frozen=True)
class _Draws(Strategy):
    """So many samples of each case, all at once."""

    k: int
    first: int
    as_given: bool

    def step(self, state: State, left: int | None = None) -> list[Ask] | Stop:
        if state.verdicts:
            return Stop("all asked")
        n, samples = len(state.case.candidates), range(self.first, self.first + self.k)
        return [
            Ask(tuple(range(n)) if self.as_given else balanced_order(state.case, state.seed, sample), sample)
            for sample in samples
        ]

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        return Vote(self.k).fold(case, verdicts, stop_reason)

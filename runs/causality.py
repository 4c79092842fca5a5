"""Does the embedded judge's verdict follow from what it wrote? Corrupt one line of its own trace and regenerate.

    python runs/causality.py [--engine embedded] [--protocol rm_r1] [--n 600] [--seed 11]

On held-out pairs that the judge decides rightly (greedy): one solution or evaluation line of its trace is made wrong,
the rest is cut off, and the judge writes on from there. Where the oracle, which carries the same error on, comes to
the other verdict, the judge should as well. Control: the same with a line that is only re-worded, or with two rubric
or evaluation lines in the other order; there the verdict should stay. Wilson intervals, 95 %.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from thinkscore.engines._base import Engine
from thinkscore.judge import make_engine, make_protocol
from thinkscore.lab import oracle, world
from thinkscore.protocols._base import Protocol
from thinkscore.stats import wilson
from thinkscore.train._lab_rows import outcome_of, split_after
from thinkscore.types import Case, Prompt, Sampling, Scores, Trace, Verdict, Winner


class Probe(NamedTuple):
    """One prefix to regenerate from."""

    kind: str
    family: str
    prompt: Prompt
    before: int
    """The winner that the judge named by itself."""
    other: bool
    """Whether the oracle, re-reading the prefix, names the other one."""


def winner(verdict: Verdict) -> int | None:
    """Return the winner of a verdict, None for a tie or a failure."""
    outcome = verdict.outcome
    if isinstance(outcome, Winner):
        return outcome.winner
    if isinstance(outcome, Scores) and len(set(outcome.scores)) > 1:
        return max(range(len(outcome.scores)), key=lambda i: outcome.scores[i] or 0)
    return None


def asked(protocol: Protocol, case: Case, order: Sequence[int], prefill: str = "") -> Prompt:
    """Make a greedy prompt."""
    prompt = protocol.render(case, order)
    return msgspec.structs.replace(prompt, prefill=prefill, sampling=Sampling(temperature=0, max_tokens=256))


def prefix(protocol: Protocol, case: Case, started: Trace, order: Sequence[int]) -> tuple[str, int | None]:
    """Write a started trace as a prefix; also return the winner that the oracle comes to from there."""
    trace, scores = oracle.judge(case, order, started)
    outcome = outcome_of(protocol, scores)
    if outcome is None:
        return "", None
    best = [i for i in order if scores[i] == max(s for s in scores if s is not None)]
    return split_after(protocol, started, trace, scores, order)[0], best[0] if len(best) == 1 else None


def probes(protocol: Protocol, case: Case, verdict: Verdict, rng: random.Random) -> Iterator[Probe]:
    """Yield one corruption that turns the oracle, one that does not, and the controls."""
    before, order = winner(verdict), verdict.order
    trace = oracle.understood(verdict.trace).unplaced()
    family = str(case.tags["family"])
    lines = [t for t in oracle.corruptions(case, trace, order) if t.solution or t.evaluation]
    rng.shuffle(lines)
    seen = set()
    for started in lines:
        text, best = prefix(protocol, case, started, order)
        kind = "turned" if best == 1 - before else "not turned"
        if best is not None and kind not in seen:
            seen.add(kind)
            yield Probe(kind, family, asked(protocol, case, order, text), before, kind == "turned")
    for kind, started in controls(trace, order, rng):
        text, best = prefix(protocol, case, started, order)
        if best == before:
            yield Probe(kind, family, asked(protocol, case, order, text), before, False)
    text = swapped(verdict.completion.text)
    if text:
        yield Probe("re-ordered", family, asked(protocol, case, order, text), before, False)


def controls(trace: Trace, order: Sequence[int], rng: random.Random) -> Iterator[tuple[str, Trace]]:
    """Yield started traces that say the same in other words or in another order."""
    places = [(k, oracle.reworded(line)) for k, line in enumerate(trace.solution)]
    places = [(k, line) for k, line in places if line is not None]
    if places:
        k, line = rng.choice(places)
        yield "re-worded", msgspec.structs.replace(trace, solution=(*trace.solution[:k], line), evaluation=())
    said = [note for i in order for note in trace.evaluation if note.candidate == i]
    notes = [(k, oracle.reworded(note)) for k, note in enumerate(said)]
    notes = [(k, note) for k, note in notes if note is not None]
    if notes:
        k, note = rng.choice(notes)
        kept = sorted([*said[:k], note], key=lambda n: n.candidate)
        yield "re-worded", msgspec.structs.replace(trace, evaluation=tuple(kept))
    if len(trace.rubric) > 1 and not trace.solution:
        i, j = rng.sample(range(len(trace.rubric)), 2)
        rubric = list(trace.rubric)
        rubric[i], rubric[j] = rubric[j], rubric[i]
        yield "re-ordered", Trace(task=trace.task, rubric=tuple(rubric), justification=trace.justification)


def swapped(text: str) -> str:
    """Put the evaluation of the second candidate first, and cut after both."""
    lines = text.split("\n")
    at = [k for k, line in enumerate(lines) if re.match(r"<(?:quote|summary)_|(?:Assistant|Response) \d:", line)]
    if len(at) != 2:
        return ""
    lines[at[0]], lines[at[1]] = lines[at[1]], lines[at[0]]
    return "\n".join(lines[: at[1] + 1])


async def measure(engine: Engine, protocol: Protocol, n: int, seed: int) -> dict[str, dict[str, list[int]]]:
    """Return, by kind of probe and by family, [flips, probes]."""
    rng, cases = random.Random(seed), list(world.make(seed, "test", n))
    await engine.open()
    try:
        prompts = [asked(protocol, case, (0, 1) if k % 2 else (1, 0)) for k, case in enumerate(cases)]
        verdicts = [protocol.parse(c, p) for c, p in zip(await engine.generate(prompts), prompts, strict=True)]
        right = [
            (case, verdict)
            for case, verdict in zip(cases, verdicts, strict=True)
            if winner(verdict) is not None and case.gold and case.gold[winner(verdict) or 0] == max(case.gold)
        ]
        found = [probe for case, verdict in right for probe in probes(protocol, case, verdict, rng)]
        after = await engine.generate([probe.prompt for probe in found])
    finally:
        await engine.close()
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for probe, completion in zip(found, after, strict=True):
        now = winner(protocol.parse(completion, probe.prompt))
        for group in ("all", probe.family):
            counts[probe.kind][group][0] += now == 1 - probe.before
            counts[probe.kind][group][1] += 1
    counts["right"]["all"] = [len(right), n]
    return counts


def main() -> None:
    """Print a table and, last, one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", default="embedded")
    parser.add_argument("--protocol", default="rm_r1")
    parser.add_argument("--n", type=int, default=600)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    engine, protocol = make_engine(options.engine), make_protocol(options.protocol)
    counts = asyncio.run(measure(engine, protocol, options.n, options.seed))
    rows = {}
    for kind, groups in counts.items():
        for group, (flips, total) in groups.items():
            low, high = wilson(flips, total)
            rows[f"{kind} {group}"] = [flips, total, round(flips / total, 4), round(low, 4), round(high, 4)]
            share = f"{100 * flips / total:5.1f} %  [{100 * low:.1f}, {100 * high:.1f}]"
            print(f"{kind:12} {group:10} {flips:5} of {total:5}  {share}")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()

"""What is measured: recorded pools and what strategies make of them, tournaments, and thinking on a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from thinkscore import Judge
from thinkscore.judge import Summary
from thinkscore.lab import world
from thinkscore.report._recorded import Recorded, read_pool
from thinkscore.report.ranking import Ranking
from thinkscore.report.rescore import read_setup
from thinkscore.report.scale import Estimate, Scale, compare, ladder
from thinkscore.scaling._driver import at_once, decide
from thinkscore.scaling.vote import Vote
from thinkscore.stats import paired
from thinkscore.types import Case, Failure, Judgment

SEED = 92_001
"""Of the cases; nothing was ever trained or tuned on them."""
MAX_TOKENS = 300


class Sizes(msgspec.Struct, frozen=True):
    """How much of everything."""

    pairs: int = 3_000
    others: int = 600
    """Pairs for the protocols beside rm_r1."""
    votes: int = 32
    lists: int = 300
    candidates: int = 16
    repeats: int = 8
    thinking: int = 600


QUICK = Sizes(40, 24, 8, 4, 8, 2, 24)


class Where(NamedTuple):
    """A judge and the cases that it judges."""

    protocol: str
    engine: str
    split: str
    meta: str = ""
    """Its meta reward model, if there is one."""
    read: bool = False
    """Whether every verdict is read from log-probabilities as well."""


def cases(split: str, n: int, candidates: int = 2) -> list[Case]:
    """Make cases of a split."""
    return [world.make_case(SEED, split, i, candidates=candidates) for i in range(n)]


def pool(where: Where, n: int, sizes: Sizes, journal: Path) -> dict[str, Any]:
    """Record a pool, and try every strategy of the ladder on it."""
    rows = cases(where.split, n)
    strategy, others = f"vote:k={sizes.votes}", None
    if where.meta:
        strategy, others = f"meta:k={sizes.votes}", {"meta": f"scalar@{where.meta}"}
    how: dict[str, Any] = {"max_tokens": MAX_TOKENS, "seed": 1, "journal": journal}
    for text in [f"vote_logprob:k={sizes.votes}"] * where.read + [strategy]:  # the second asks nothing anew
        with Judge(where.protocol, where.engine, text, others=others, **how) as judge:
            for _ in judge.judge(rows):
                pass
    recorded = read_pool(journal, read_setup(journal), rows)
    found = compare(recorded, ladder(recorded), 1, sizes.repeats)
    return {
        **found.as_dict("family"),
        "pairs": {name: _said(estimate) for name, estimate in _pairs(found, recorded)},
        "votes": [_said(found.arms[i + 1].against(found.arms[i])) for i in _doublings(found)],
        **({"resolution": _resolution(recorded)} if recorded.pool.scored else {}),
    }


def _doublings(found: Scale) -> list[int]:
    """List the plain votes, from 2 on, that are followed by one twice as large."""
    plain = [i for i, arm in enumerate(found.arms) if arm.text.startswith("vote:k=") and "," not in arm.text]
    return plain[1:-1]


def _pairs(found: Scale, recorded: Recorded) -> list[tuple[str, Estimate]]:
    """Compare the allocator with an even split, and guided with plain votes, family by family."""
    arms = {arm.text: arm for arm in found.arms}
    most = recorded.size
    wanted = [(f"allocate:mean={k},k={most}", f"vote:k={k}") for k in (4, 8, 16)]
    wanted += [(f"allocate:mean={k},k={most},read=True", f"vote:k={most}") for k in (4, 8)]
    wanted += [(f"vote_logprob:k={k}", f"vote:k={k}") for k in (2, 4, 8)]
    wanted += [(f"meta:k=8,form={recorded.pool.form}", other) for other in ("vote:k=8", f"vote:k={most}")]
    return [(f"{a} - {b}", arms[a].against(arms[b])) for a, b in wanted if a in arms and b in arms]


def _said(found: Estimate) -> list[float]:
    return [round(value, 5) for value in found]


def _resolution(recorded: Recorded) -> list[dict[str, float]]:
    """Tell how many summed scores differ, over all candidates, and how often the best tie, by the votes summed."""
    found = []
    for k in (1, 2, 4, 8, 16, 32):
        if k <= recorded.size:
            judged = [at_once(decide(Vote(k), case, recorded.pool, 1)) for case in recorded.cases]
            sums = [score for judgment in judged for score in judgment.scores or ()]
            tied = sum(one.winner is None and one.failure is None for one in judged) / len(judged)
            found.append({"k": k, "distinct": len(set(sums)), "tied": tied})
    return found


def tournaments(protocol: str, engine: str, strategies: list[str], sizes: Sizes, journal: Path) -> dict[str, Any]:
    """Choose the best of many by each strategy: regret, comparisons, and the paired difference to the last one."""
    rows = cases("test", sizes.lists, sizes.candidates)
    found: dict[str, Ranking] = {}
    for strategy in strategies:
        ranking = found[strategy] = Ranking()
        with Judge(protocol, engine, strategy, max_tokens=MAX_TOKENS, seed=1, journal=journal) as judge:
            for case, judgment in judge.run(rows):
                ranking.add(case, judgment)
    return {
        strategy: {**ranking.as_dict(), "regrets": ranking.regrets, "hits": ranking.hits}
        for strategy, ranking in found.items()
    }


def apart(a: list[float], b: list[float]) -> list[float]:
    """Return the mean paired difference with its 95 % interval."""
    return [float(np.mean(a) - np.mean(b)), *paired(a, b, 0)] if len(a) == len(b) else []


def thinking(where: Where, strategies: list[str], sizes: Sizes, journal: Path) -> dict[str, Any]:
    """Run strategies live: traces cut at a budget, or begun in a certain way."""
    rows = cases(where.split, sizes.thinking)
    found = {}
    for strategy in strategies:
        summary, kinds, lengths = Summary(), [0, 0], dict[str, list[int]]()
        how: dict[str, Any] = {"max_tokens": MAX_TOKENS, "seed": 1, "journal": journal}
        with Judge(where.protocol, where.engine, strategy, **how) as judge:
            for case, judgment in judge.run(rows):
                summary.add(case, judgment)
                _count(case, judgment, kinds, lengths)
        tally = summary.as_dict()
        found[strategy] = {
            "tally": tally["tally"],
            "by": tally["by"],
            "tokens": summary.usage.completion_tokens / len(rows),
            "kind_right": kinds[0] / kinds[1] if kinds[1] else None,
            "lengths": {name: float(np.mean(values)) for name, values in sorted(lengths.items())},
        }
    return found


def _count(case: Case, judgment: Judgment, kinds: list[int], lengths: dict[str, list[int]]) -> None:
    """Count stated kinds of case that are right, and lengths of traces by family and level."""
    for verdict in judgment.verdicts:
        if verdict.trace.task is not None:
            kinds[0] += (verdict.trace.task.text == "Reasoning") == (case.tags["family"] == "reasoning")
            kinds[1] += 1
        if not isinstance(verdict.outcome, Failure):
            group = f"{case.tags['family']} {case.tags['level']}"
            lengths.setdefault(group, []).append(verdict.completion.usage.completion_tokens)

"""Training text for the embedded judge: documents for the base, oracle traces in every protocol for the judge."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from ..lab import corpus, oracle
from ..lab.world import make_case
from ..protocols._base import Protocol
from ..protocols.deepseek_grm import DeepseekGrm
from ..protocols.rm_r1 import RmR1
from ..protocols.rrm import Rrm
from ..protocols.verdict_only import VerdictOnly
from ..seeds import derive_seed
from ..types import Case, Outcome, Scores, Trace, Winner
from .distill import TraceRow

PROTOCOLS: dict[str, tuple[Protocol, float, tuple[str, str]]] = {
    "rm_r1": (RmR1(), 0.40, ("A", "B")),
    "rrm": (Rrm(), 0.23, ("Assistant 1", "Assistant 2")),
    "deepseek_grm": (DeepseekGrm(), 0.25, ("Response 1", "Response 2")),
    "verdict_only": (VerdictOnly(), 0.12, ("A", "B")),
}
GRM_CANDIDATES = (1, 2, 2, 2, 3, 4)
# Part of the traces start with a wrong line that is read, not trained: what follows must carry the error on.
CARRIED = 0.2
_CUT = "\x00"
_ON_ONE = re.compile(r"<(?:quote|summary)_|(?:Assistant|Response) \d:")


def documents(seed: int, n: int) -> Iterator[corpus.Document]:
    """Yield the base's text."""
    return corpus.documents(seed, n, _show)


def _show(case: Case, rng: random.Random) -> corpus.Shown:
    protocol, _, names = PROTOCOLS[rng.choice(list(PROTOCOLS))]

    def remark(candidate: int, quote: str, said: str) -> str:
        name = names[candidate]
        if len(name) > 1:
            return f'{name}: "{quote}" {said}'
        return f"<quote_{name}>{quote}</quote_{name}><summary_{name}>{said}</summary_{name}>"

    return corpus.Shown(protocol.render(case, (0, 1)).messages[-1].content, remark)


def traces(seed: int, n: int, start: int = 0, reordered: float = 0.1) -> Iterator[TraceRow]:
    """Yield the oracle traces `start`, `start + 1`, ... on training cases."""
    return (trace_row(seed, index, reordered) for index in range(start, start + n))


def trace_row(seed: int, index: int, reordered: float = 0.1) -> TraceRow:
    """Make trace number `index` of a seed: fresh case, protocol, order and wording.

    A share `reordered` weighs the candidates in another order than shown: the verdict must not hang on it.
    """
    rng = random.Random(derive_seed("traces", seed, index))
    name = rng.choices(list(PROTOCOLS), [share for _, share, _ in PROTOCOLS.values()])[0]
    protocol = PROTOCOLS[name][0]
    n = rng.choice(GRM_CANDIDATES) if name == "deepseek_grm" else 2
    case = make_case(rng.getrandbits(40), "train", 0, n)
    order = rng.sample(range(n), n)
    trace, scores = oracle.judge(case, order, rng=rng)
    prefill = ""
    if name != "verdict_only" and rng.random() < CARRIED:
        started = rng.choice(oracle.corruptions(case, trace, order))
        trace, scores = oracle.judge(case, order, started, rng)
        if outcome_of(protocol, scores) is None:
            return trace_row(seed, index + 10**9, reordered)
        prefill, text = split_after(protocol, started, trace, scores, order)
    else:
        text = protocol.write(_sure(outcome_of(protocol, scores)), trace, order)
        text = _reordered(text, rng) if rng.random() < reordered else text
    return TraceRow(protocol.render(case, order).messages, text, prefill)


def outcome_of(protocol: Protocol, scores: Sequence[float | None]) -> Outcome | None:
    """Turn the oracle's scores into a protocol's outcome; None where a pairwise protocol would tie."""
    if protocol.arity[1] > 2:
        return Scores(tuple(scores))
    known = [score for score in scores if score is not None]
    best = [i for i, score in enumerate(scores) if score == max(known)]
    return Winner(best[0]) if len(best) == 1 else None


def _sure(outcome: Outcome | None) -> Outcome:
    assert outcome is not None, "lab pairs have no ties"
    return outcome


def _reordered(text: str, rng: random.Random) -> str:
    """Shuffle the lines of a written trace that weigh one candidate each."""
    lines = text.split("\n")
    places = [k for k, line in enumerate(lines) if _ON_ONE.match(line)]
    for place, line in zip(places, rng.sample([lines[k] for k in places], len(places)), strict=True):
        lines[place] = line
    return "\n".join(lines)


def split_after(
    protocol: Protocol, started: Trace, trace: Trace, scores: Sequence[float | None], order: Sequence[int]
) -> tuple[str, str]:
    """Write a trace that carries on `started`; return its text up to the end of `started`, and the rest."""
    text = protocol.write(_sure(outcome_of(protocol, scores)), oracle.marked(started, trace, order, _CUT), order)
    head, _, tail = text.partition(_CUT)
    stem = head.rstrip(" ")
    return stem, head[len(stem) :] + tail

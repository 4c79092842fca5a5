"""Rewards of a verdict for reinforcement learning, and the function that TRL's GRPOTrainer calls with completions.

Sits after verdict. RM-R1 (arXiv 2505.02387), RRM (arXiv 2505.14674) and DeepSeek-GRM (arXiv 2504.02495, equation 11)
pay +1 for a verdict that gold confirms and -1 for any other; so do we, for every protocol. We differ: a score for a
single response is held against its label as the paper says, and refused where the label is not on the judge's scale.
J1 (arXiv 2505.10320) pays only if the verdicts in both orders are right (1, else 0 there): `consistent`.

Our own is the faithful reward: a right verdict is paid only if it follows from the trace's own evaluation, the quotes
exist, the numbers come out and the rubric covers what it set out. Each check closes an escape: what is left out counts
as not passed, since a policy that is paid for silence falls silent.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import Any, Literal, NamedTuple

import msgspec

from .. import grounding
from ..data import parse_case
from ..errors import BadInput
from ..grounding import Finding, Kind
from ..lab import grounding as lab_grounding
from ..protocols._base import Protocol, agrees
from ..types import Case, Completion, Failure, FailureKind, Line, Note, Outcome, Prompt, Scores, Trace, Verdict, Winner

__all__ = ["FAITHFUL", "Ground", "Paid", "Reward", "consistent", "ground", "reasons", "reward_function"]

Ground = Callable[[Verdict, Case], Sequence[Finding]]
Rule = Literal["strict", "official"]
FAITHFUL = ("follows", "quotes", "numbers", "covers")
"""The checks that a faithful verdict passes."""
_OWED = ("follows", "covers")


class Paid(NamedTuple):
    """What a verdict is paid, and why."""

    reward: float
    """+1 or -1."""
    right: bool
    """Whether gold confirms the verdict."""
    faults: tuple[str, ...] = ()
    """The checks it failed, each once, in the order of `FAITHFUL`; empty if none were made."""
    failure: FailureKind | None = None
    """Why no verdict could be read; None if one could."""


def ground(verdict: Verdict, case: Case) -> Sequence[Finding]:
    """Check a trace line by line if its case is one of the lab, else by the general rules."""
    try:
        return lab_grounding.findings(verdict, case)
    except BadInput:
        return grounding.findings(verdict, case)


class Reward:
    """A rule that pays verdicts: +1 or -1."""

    range = (-1.0, 1.0)
    """Least and greatest reward."""

    def __init__(
        self,
        protocol: Protocol,
        *,
        rule: Rule = "strict",
        faithful: bool | Literal["lenient"] = False,
        watch: bool = False,
        both_orders: bool = False,
        checks: Collection[str] = FAITHFUL,
        ground: Ground = ground,
    ) -> None:
        """Choose what is paid. Raises `BadInput`.

        `rule` "official" reads verdicts as the authors' reward does (RM-R1: in the last 80 characters). `faithful`
        pays a right verdict only without faults; "lenient" does not mind what the trace does not state, for judges
        that reason in free prose. `watch` finds faults without minding them. `both_orders` makes `reward_function` pay
        a verdict only if that of the other order is paid as well. `checks` are the kinds of finding that count,
        `ground` makes them.
        """
        if rule not in ("strict", "official"):
            raise BadInput(f"the rule of a reward is strict or official; got {rule!r}")
        if faithful not in (False, True, "lenient"):
            raise BadInput(f"faithful is strict or lenient; got {faithful!r}")
        if faithful and not reasons(protocol):
            raise BadInput(
                f"{protocol.id} writes no reasoning that a faithful reward could check; use another protocol"
            )
        self.protocol = protocol if rule == "strict" else _as_published(protocol)
        """How verdicts are asked and read."""
        self.faithful, self.watch, self.both_orders = faithful, watch, both_orders
        self.checks, self.ground = tuple(checks), ground

    def read(self, completion: Completion, prompt: Prompt) -> Verdict:
        """Read a completion the way this reward does."""
        return self.protocol.parse(completion, prompt)

    def pay(self, verdict: Verdict, case: Case) -> Paid:
        """Pay a verdict. Raises `BadInput` if the case has no gold that could confirm one."""
        problem = self.unusable(case)
        if problem is not None:
            raise BadInput(f"case {case.id!r} {problem}")
        outcome = verdict.outcome
        if isinstance(outcome, Failure):
            return Paid(-1.0, False, failure=outcome.kind)
        # What was not shown can win nothing.
        gold = [value if i in verdict.order else -inf for i, value in enumerate(case.gold or ())]
        right = agrees(outcome, gold)
        faults = self._faults(verdict, case) if self.faithful or self.watch else ()
        return Paid(1.0 if right and not (self.faithful and faults) else -1.0, right, faults)

    def unusable(self, case: Case) -> str | None:
        """Say why no verdict on a case can be paid, as the end of "the case ..."; None if it can."""
        gold = case.gold
        if gold is None:
            return "has no gold"
        if len(gold) > 1:
            return "has more than one best candidate" if sum(value == max(gold) for value in gold) > 1 else None
        least, most = getattr(self.protocol, "range", (1, 0))
        if self.protocol.arity[0] > 1 or gold[0] not in range(least, most + 1):
            scale = f"scores from {least} to {most}" if most else "no score for a single one"
            return (
                f"is a single response with gold {gold[0]:g}, and {self.protocol.id} gives {scale}; labels of 0 and 1 "
                "need --protocol deepseek_grm --template own:single"
            )
        return None

    def check(self, cases: Sequence[Case]) -> None:
        """Raise `BadInput`, with a count, if some cases cannot be paid: to be called before any training."""
        problems = [(case.id, problem) for case in cases if (problem := self.unusable(case)) is not None]
        if problems:
            name, problem = problems[0]
            raise BadInput(f"{len(problems):,} of {len(cases):,} cases cannot be paid; the first, {name!r}, {problem}")

    def settings(self) -> dict[str, object]:
        """Return what a manifest must hold to pay in the same way again."""
        return {
            "protocol": self.protocol.id, "parser": self.protocol.parser, "faithful": self.faithful,
            "checks": list(self.checks), "both_orders": self.both_orders,
        }  # fmt: skip

    def _faults(self, verdict: Verdict, case: Case) -> tuple[str, ...]:
        found = self.ground(verdict, case)
        failed = {finding.kind for finding in found if finding.ok is False}
        if self.faithful != "lenient":
            failed |= _unstated(found, verdict.order)
        return tuple(kind for kind in self.checks if kind in failed)


def _unstated(found: Sequence[Finding], order: Sequence[int]) -> set[Kind]:
    """Name the checks that a trace escapes by silence: a verdict that nothing leads to, a candidate nobody quotes."""
    escaped: set[Kind] = {finding.kind for finding in found if finding.ok is None and finding.kind in _OWED}
    quoted = {finding.candidate for finding in found if finding.kind == "quotes" and finding.ok}
    return escaped if set(order) <= quoted else escaped | {"quotes"}


def reasons(protocol: Protocol) -> bool:
    """Tell whether a protocol has room for reasoning: whether it writes what a trace holds."""
    trace = Trace(thinking=(Line("because"),), evaluation=(Note("because", candidate=0),))
    outcome = Winner(0) if protocol.arity == (2, 2) else Scores((1.0,))
    try:
        return "because" in protocol.write(outcome, trace, range(2 if protocol.arity == (2, 2) else 1))
    except BadInput:  # it writes levels of a rubric, and no other scores
        return True


def _as_published(protocol: Protocol) -> Protocol:
    if "official_reward" not in protocol.parsers:
        raise BadInput(f"{protocol.id} has no published reading of rewards; rm_r1, rm_r1_think and rrm have one")
    other = copy.copy(protocol)
    other.parser = "official_reward"
    return other


def consistent(by_order: Mapping[tuple[int, ...], Sequence[Paid]]) -> dict[tuple[int, ...], list[Paid]]:
    """Pay the i-th verdict of each order only if the i-th verdicts of all orders are paid (J1's consistency reward).

    All are of one case, which was shown in two orders or more, equally often in each. Raises `BadInput` otherwise.
    """
    counts = {len(paid) for paid in by_order.values()}
    if len(by_order) < 2 or len(counts) != 1:
        told = {order: len(paid) for order, paid in by_order.items()}
        raise BadInput(f"consistency needs each case in both orders, equally often, in one batch; got {told}")
    together = [min(paid.reward for paid in row) for row in zip(*by_order.values(), strict=True)]
    return {
        order: [one._replace(reward=least) for one, least in zip(paid, together, strict=True)]
        for order, paid in by_order.items()
    }


RewardFunction = Callable[..., list[float]]


def reward_function(
    reward: Reward, tokenizer: Any = None, *, ends: Collection[int] | None = None, prefix: str = "judge/"
) -> RewardFunction:
    """Make the function that `trl.GRPOTrainer` takes as `reward_funcs`.

    The dataset has the columns `prompt`, `case` (a case row, as JSON or dict) and `order` (the candidates as shown; by
    default those of the case). A completion that does not end with one of `ends` (by default the tokenizer's end and
    padding) was cut; without either none counts as cut. Shares are logged under `prefix`.
    """
    stops = frozenset(ends if ends is not None else _ends(tokenizer))

    @lru_cache(4096)
    def asked(case: str, order: tuple[int, ...]) -> Prompt:
        known = parse_case(case)
        return reward.protocol.render(known, order or range(len(known.candidates)))

    def pay(
        completions: Sequence[Any],
        case: Sequence[Any],
        order: Sequence[Sequence[int]] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float]:
        prompts = [asked(_json(row), tuple(shown)) for row, shown in zip(case, order or [()] * len(case), strict=True)]
        cut = [bool(stops and ids and ids[-1] not in stops) for ids in completion_ids or [()] * len(case)]
        verdicts = [
            reward.read(_completion(said, prompt, late), prompt)
            for said, prompt, late in zip(completions, prompts, cut, strict=True)
        ]
        paid = [reward.pay(verdict, prompt.case) for verdict, prompt in zip(verdicts, prompts, strict=True)]
        if reward.both_orders:
            paid = _in_both_orders(paid, verdicts)
        if log_metric is not None:
            for name, share in _shares(paid, verdicts, reward).items():
                log_metric(prefix + name, share)
        return [one.reward for one in paid]

    pay.__name__ = "faithful" if reward.faithful else "verdict"
    return pay


def _ends(tokenizer: Any) -> set[int]:
    found = {getattr(tokenizer, "eos_token_id", None), getattr(tokenizer, "pad_token_id", None)}
    return {number for number in found if number is not None}


def _json(case: Any) -> str:
    return case if isinstance(case, str) else msgspec.json.encode(case).decode()


def _completion(said: Any, prompt: Prompt, cut: bool) -> Completion:
    """Read what TRL hands over: a text, or a list of messages of which the last is the answer."""
    message = {"content": said} if isinstance(said, str) else said[-1]
    text = message.get("content") or ""
    if not isinstance(text, str):
        text = "".join(block.get("text") or "" for block in text)
    thought = message.get("reasoning_content") or message.get("thinking")
    return Completion(prompt.prefill + text, thought, "length" if cut else "stop")


def _in_both_orders(paid: Sequence[Paid], verdicts: Sequence[Verdict]) -> list[Paid]:
    places: dict[str, dict[tuple[int, ...], list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, verdict in enumerate(verdicts):
        places[verdict.case_id][verdict.order].append(place)
    together = list(paid)
    for orders in places.values():
        settled = consistent({order: [paid[place] for place in rows] for order, rows in orders.items()})
        for order, rows in orders.items():
            for place, one in zip(rows, settled[order], strict=True):
                together[place] = one
    return together


def _shares(paid: Sequence[Paid], verdicts: Sequence[Verdict], reward: Reward) -> dict[str, float]:
    """Return the shares that show what a policy does; those of nothing are left out."""
    read = [one for one in paid if one.failure is None]
    won = [(best, verdict.order[0]) for verdict in verdicts if (best := _winner(verdict.outcome)) is not None]
    right = [one for one in read if one.right]
    shares = {
        "right": _share([one.right for one in paid]),
        "unreadable": _share([one.failure is not None for one in paid]),
        "cut": _share([verdict.completion.finish == "length" for verdict in verdicts]),
        "first_place": _share([best == first for best, first in won]),
    }
    if reward.faithful or reward.watch:
        shares["right_with_fault"] = _share([bool(one.faults) for one in right])
        shares |= {f"fault/{kind}": _share([kind in one.faults for one in read]) for kind in reward.checks}
    return {name: share for name, share in shares.items() if share is not None}


def _winner(outcome: Outcome) -> int | None:
    """Name the one best of two or more."""
    if not isinstance(outcome, Scores):
        return outcome.winner if isinstance(outcome, Winner) else None
    known = {i: score for i, score in enumerate(outcome.scores) if score is not None}
    best = [i for i, score in known.items() if score == max(known.values())]
    return best[0] if len(best) == 1 < len(known) else None


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None

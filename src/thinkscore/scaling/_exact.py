"""What a strategy is worth on a pair, exactly: every course of the verdicts with its probability.

The strategy itself is run, by the same `step` and `fold` as anywhere, on every state that can come about. Courses that
differ only in the order of what was said are one state, so that dozens of verdicts are few states; for a strategy that
looks at verdicts two by two, the two stay together (`unit=2`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..data import standing
from ..types import Case, Completion, Failure, Message, Outcome, Trace, Usage, Verdict, Winner
from ._base import Ask, Read, State, Stop, Strategy, Weigh

__all__ = ["Expected", "exact"]

_CASE = Case("exact", (Message("user", ""),), ("better", "worse"), gold=(1.0, 0.0))
_UNREAD = Failure("no_verdict", "unread by chance")

_Said = tuple[tuple[int, ...], int]
"""Order, and who won; -1 for unread."""
_Units = tuple[tuple[_Said, ...], ...]
"""All that was said, unit by unit and sorted; a unit that is not complete stands last."""


class Expected(NamedTuple):
    """Means over all courses."""

    accuracy: float
    """Ties count half, nothing readable counts as wrong."""
    verdicts: float
    tied: float
    """Probability."""
    unread: float
    """Probability that nothing was readable."""


def exact(
    strategy: Strategy,
    p: float | Callable[[tuple[int, ...]], float],
    *,
    unread: float = 0.0,
    unit: int = 1,
    most: int | None = None,
    seed: int = 0,
) -> Expected:
    """Return what a strategy comes to if each readable verdict is right with probability p, independently.

    `p` may depend on the order shown (candidate 0 is the better one); `unread` is the chance that a verdict cannot be
    read. The strategy may depend on what was said within each `unit` verdicts, not on the order of units. Raises
    `ValueError` for a strategy that looks at traces, of which there are none.
    """
    right = p if callable(p) else lambda order: p
    accuracy = verdicts = tied = lost = 0.0
    for units, chance, reason in _ends(strategy, right, unread, unit, most, seed):
        judgment = strategy.fold(_CASE, _verdicts(units), reason)
        name = standing(_CASE, judgment)
        accuracy += chance * {"right": 1.0, "tied": 0.5}.get(name or "", 0.0)
        verdicts += chance * len(judgment.verdicts)
        tied += chance * (name == "tied")
        lost += chance * (judgment.failure is not None)
    return Expected(accuracy, verdicts, tied, lost)


def _ends(
    strategy: Strategy, right: Callable[[tuple[int, ...]], float], unread: float, unit: int, most: int | None, seed: int
) -> Iterator[tuple[_Units, float, str]]:
    """Yield every state in which the strategy stops, with its probability and why it stops."""
    # By number of verdicts: a state's probability is whole once all shorter ones are done, so it is done once.
    open_: defaultdict[int, defaultdict[_Units, float]] = defaultdict(lambda: defaultdict(float))
    open_[0][()] = 1.0
    while open_:
        done = min(open_)
        for units, chance in open_.pop(done).items():
            left = None if most is None else most - done
            move = strategy.step(State(_CASE, _verdicts(units), seed), left)
            if isinstance(move, Weigh | Read):
                raise ValueError(f"{strategy} looks at traces; only what rests on verdicts alone can be enumerated")
            asks = [] if isinstance(move, Stop) else move[:left]
            if not asks:
                yield units, chance, move.reason if isinstance(move, Stop) else "budget"
                continue
            for after, share in _answers({units: chance}, asks, right, unread, unit).items():
                open_[done + len(asks)][after] += share


def _answers(
    states: dict[_Units, float], asks: list[Ask], right: Callable[[tuple[int, ...]], float], unread: float, unit: int
) -> dict[_Units, float]:
    """Let every ask be answered in every way."""
    for ask in asks:
        p = right(ask.order)
        after: defaultdict[_Units, float] = defaultdict(float)
        for units, chance in states.items():
            for winner, share in ((0, p * (1 - unread)), (1, (1 - p) * (1 - unread)), (-1, unread)):
                if share:
                    after[_extended(units, (ask.order, winner), unit)] += chance * share
        states = after
    return states


def _extended(units: _Units, said: _Said, unit: int) -> _Units:
    if units and len(units[-1]) < unit:
        units, said_ = units[:-1], (*units[-1], said)
    else:
        said_ = (said,)
    return tuple(sorted((*units, said_))) if len(said_) == unit else (*units, said_)


def _verdicts(units: _Units) -> tuple[Verdict, ...]:
    return tuple(_verdict(order, winner) for said in units for order, winner in said)


_TRACE, _COMPLETION = Trace(), Completion(usage=Usage(1, 0, 1))
_OUTCOMES: dict[int, Outcome] = {0: Winner(0), 1: Winner(1), -1: _UNREAD}


def _verdict(order: tuple[int, ...], winner: int) -> Verdict:
    return Verdict(_CASE.id, order, _OUTCOMES[winner], _TRACE, _COMPLETION)

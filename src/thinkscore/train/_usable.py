"""What no recipe can learn from: cases whose gold names no winner, that say nothing, or that no prompt can show.

Every recipe on cases with gold asks here, before anything is paid or trained, and counts what it leaves out by the
reasons below; they read as the end of "3 cases ...".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..errors import BadInput
from ..protocols._base import Protocol
from ..types import Case

__all__ = ["best", "check_apart", "check_labels", "check_sides", "contradicts", "unusable"]

ONE_SIDED = 10
"""So many verdicts for one and the same place are no accident."""


def unusable(case: Case, protocol: Protocol) -> str | None:
    """Say why a case cannot be learned from; None if it can."""
    least, most = protocol.arity
    if case.gold is None:
        return "without gold"
    if not least <= len(case.candidates) <= most:
        return f"with {len(case.candidates)} candidates"
    if sum(value == max(case.gold) for value in case.gold) > 1:
        return "without a single best candidate"
    if not any(message.content.strip() for message in case.messages):
        return "with an empty prompt"
    if not all(text.strip() for text in case.candidates):
        return "with empty candidates"
    return "with one text at two golds" if contradicts(case) else None


def contradicts(case: Case) -> bool:
    """Tell whether gold says two things of one and the same text."""
    return len(set(case.candidates)) < len(set(zip(case.candidates, case.gold or (), strict=True)))


def best(case: Case) -> int:
    """Return the candidate that gold puts first; the case must be usable."""
    gold = case.gold or ()
    return gold.index(max(gold))


def check_sides(cases: Sequence[Case]) -> None:
    """Refuse usable cases whose labels are all on one side, for where they are shown as they are.

    What is learned from them is the side. Raises `BadInput`.
    """
    pairs = [case for case in cases if len(case.candidates) > 1]
    sides = {best(case) for case in pairs}
    if len(sides) == 1 and len(pairs) >= ONE_SIDED:
        raise BadInput(
            f"in all {len(pairs)} cases the best candidate is number {sides.pop() + 1}: a judge would learn the "
            "place; show them in balanced orders (--orders balanced)"
        )


def check_labels(cases: Sequence[Case]) -> None:
    """Refuse usable cases that are single responses of one and the same gold: what is learned is to say it always.

    Raises `BadInput`.
    """
    labels = {case.gold for case in cases}
    if len(labels) == 1 and len(cases) >= ONE_SIDED and len(cases[0].candidates) == 1:
        raise BadInput(
            f"all {len(cases)} cases are single responses with gold {(cases[0].gold or (0,))[0]:g}: a judge would "
            "learn to say that of everything; add responses with other labels"
        )


def check_apart(cases: Iterable[Case], held_out: Iterable[Case], tell: Callable[[str], object]) -> None:
    """Say how many held-out cases are trained on as well: figures on them are no figures on new cases."""
    trained = {case.content() for case in cases}
    both = sum(case.content() in trained for case in held_out)
    if both:
        tell(f"{both} held-out cases are among the training cases: they do not tell how it does on new ones")

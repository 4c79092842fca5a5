"""Duels: what verdicts on two candidates amount to, and the judgment of a tournament.

Shared by the tournaments: verdicts, DUELS, judgment. Verdicts that name a winner and verdicts with scores both count;
a tie is half a duel for each, and what cannot be read counts for nobody. A triad of candidates is cyclic if a beats b,
b beats c and c beats a: how often that happens says how far the judge is from any ranking (Kendall and Babington Smith
1940). A pair with as many wins on either side has no winner, and its triads are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..types import Case, Judgment, Scores, Tie, Verdict, Winner
from ._base import Strategy, usage

__all__ = ["Duel", "Pair", "cyclic_triads", "duels", "leads", "ranked", "rounds", "unread_pairs", "won"]

Pair = tuple[int, int]
"""Two candidates, the lower number first."""


class Duel(NamedTuple):
    """A readable comparison of two candidates."""

    a: int
    """The one shown first."""
    b: int
    """The one shown second."""
    share: float
    """What a won of it: 1, 0, or 1/2 for a tie."""


def won(verdict: Verdict) -> float | None:
    """Return what the first of two won of a duel: 1, 0, or 1/2 for a tie; None if it cannot be read."""
    outcome = verdict.outcome
    if isinstance(outcome, Winner):
        return 1.0 if outcome.winner == verdict.order[0] else 0.0
    if isinstance(outcome, Scores):
        first, second = (outcome.scores[i] for i in verdict.order)
        return None if first is None or second is None else (first > second) + (first == second) / 2
    return 0.5 if isinstance(outcome, Tie) else None


def duels(verdicts: Sequence[Verdict]) -> list[Duel]:
    """Read all that can be read, in the order asked."""
    shares = [(verdict.order, won(verdict)) for verdict in verdicts if len(verdict.order) == 2]
    return [Duel(order[0], order[1], share) for order, share in shares if share is not None]


def leads(found: Iterable[Duel]) -> dict[Pair, float]:
    """Count how many more duels the lower-numbered of each pair won; pairs in the order of their first duel."""
    lead: defaultdict[Pair, float] = defaultdict(float)
    for a, b, share in found:
        if a < b:
            lead[a, b] += 2 * share - 1
        else:
            lead[b, a] -= 2 * share - 1
    return dict(lead)


def unread_pairs(verdicts: Sequence[Verdict], found: Iterable[Duel]) -> int:
    """Count the pairs that were asked about without one readable answer."""
    known = {frozenset((a, b)) for a, b, _ in found}
    return len({frozenset(verdict.order) for verdict in verdicts} - known)


def rounds(n: int, results: Iterable[Pair], lives: int = 1) -> list[float]:
    """Say how far each candidate came, from (winner, loser) of every match in order; who lost `lives` of them is out.

    A match is played in the later round of the two that its players have reached. The loser stays there, the winner is
    one round further (two if neither had lost before and one may lose twice: those who have lost need two matches for
    it). A candidate that sat out comes as far as whoever it then meets. Who wins the last match of all is alone on top.
    """
    reached, lost = [0.0] * n, [0] * n
    for winner, loser in results:
        stage = max(reached[winner], reached[loser])
        unbeaten = not lost[winner] and not lost[loser]
        reached[winner], reached[loser] = stage + (lives if unbeaten else 1), stage
        lost[loser] += 1
    return reached


def cyclic_triads(lead: dict[Pair, float]) -> float | None:
    """Return the share of cyclic triads among those whose three pairs all have a winner; None without any."""
    over: defaultdict[int, int] = defaultdict(int)  # bit j of over[i]: i beats j
    under: defaultdict[int, int] = defaultdict(int)
    edges = [(i, j) if won > 0 else (j, i) for (i, j), won in lead.items() if won]
    for winner, loser in edges:
        over[winner] |= 1 << loser
        under[loser] |= 1 << winner
    # Each triad is counted at each of its edges.
    met = {i: over[i] | under[i] for edge in edges for i in edge}
    triads = sum((met[winner] & met[loser]).bit_count() for winner, loser in edges)
    cyclic = sum((over[loser] & under[winner]).bit_count() for winner, loser in edges)
    return cyclic / triads if triads else None


def ranked(
    case: Case,
    scores: Sequence[float],
    found: Sequence[Duel],
    verdicts: Sequence[Verdict],
    strategy: Strategy,
    stop_reason: str,
    **notes: float,
) -> Judgment:
    """Judge by scores; how sure is the smoothed share of its duels that the best candidate won.

    The notes also say how many comparisons were paid for, and the share of cyclic triads where there are triads.
    """
    highest = max(scores)
    top = [i for i, score in enumerate(scores) if score == highest]
    cyclic = cyclic_triads(leads(found))
    measured = {"comparisons": len(verdicts), **notes, **({} if cyclic is None else {"cyclic_triads": cyclic})}
    return Judgment(
        case.id,
        tuple(scores),
        top[0] if len(top) == 1 else None,
        _confidence(top, found) if len(scores) > 1 else 1.0,
        tuple(verdicts),
        usage(verdicts),
        str(strategy),
        stop_reason,
        notes={name: float(value) for name, value in measured.items()},
    )


def _confidence(top: Sequence[int], found: Sequence[Duel]) -> float:
    """Return the share won, after one win and one loss before the first duel (Laplace); of several, the highest."""
    won, played = dict.fromkeys(top, 1.0), dict.fromkeys(top, 2)
    for a, b, share in found:
        for one, part in ((a, share), (b, 1 - share)):
            if one in won:
                won[one] += part
                played[one] += 1
    return max(won[i] / played[i] for i in top)

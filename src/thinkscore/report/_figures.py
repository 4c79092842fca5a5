"""What the charts of a report show, added up judgment by judgment; its size does not grow with the run.

Calibration: expected calibration error over ten equal bins of confidence (Guo et al., arXiv 1706.04599). We differ in
that a judged tie counts half, as in the tally.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from ..data import standing
from ..judge import Summary
from ..scaling.vote import Vote
from ..stats import wilson
from ..types import Case, Failure, Judgment, Scores, Tally, Verdict, Winner

__all__ = ["Bin", "Figures", "Lost", "Point", "Share", "sole_winner"]

BINS = 10
WORTH = {"right": 1.0, "tied": 0.5, "wrong": 0.0}


class Point(NamedTuple):
    """Accuracy over all cases after so many votes of each."""

    votes: int
    cases: int
    """Cases that have as many votes; the others enter with all they have."""
    accuracy: float
    low: float
    high: float


class Bin(NamedTuple):
    """Judgments of like confidence."""

    start: float
    end: float
    n: int
    confidence: float
    """Mean."""
    accuracy: float
    low: float
    high: float


class Share(NamedTuple):
    """How often one place wins among those shown."""

    shown: int
    place: int
    """From 1."""
    wins: int
    votes: int
    share: float
    """Mean over cases of the share of their votes."""
    low: float
    high: float


@dataclass
class Lost:
    """What could not be read, of one kind."""

    cases: int = 0
    votes: int = 0
    case_id: str = ""
    """The first case that has it."""
    detail: str = ""


@dataclass
class _Sum:
    n: int = 0
    wins: int = 0
    votes: int = 0
    first: float = 0.0
    second: float = 0.0


@dataclass
class Figures:
    """Adds up a run: the summary that `judge` prints, and what the charts need."""

    summary: Summary = field(default_factory=Summary)
    tokens: Counter[int] = field(default_factory=Counter)
    """Completion tokens of a case -> cases."""
    lost: dict[str, Lost] = field(default_factory=dict)
    """By kind of failure."""
    votes: int = 0
    _bins: list[_Sum] = field(default_factory=lambda: [_Sum() for _ in range(BINS)])
    _after: list[Tally] = field(default_factory=list)
    _final: list[Tally] = field(default_factory=list)
    _places: dict[tuple[int, int], _Sum] = field(default_factory=dict)

    def add(self, case: Case, judgment: Judgment) -> None:
        """Count one judgment; gold and tags are the case's."""
        self.summary.add(case, judgment)
        self.votes += len(judgment.verdicts)
        self.tokens[judgment.usage.completion_tokens] += 1
        self._add_failures(judgment)
        self._add_places(judgment)
        worth = WORTH.get(standing(case, judgment) or "")
        if worth is not None and judgment.confidence is not None:
            found = self._bins[min(int(judgment.confidence * BINS), BINS - 1)]
            found.n, found.first, found.second = found.n + 1, found.first + judgment.confidence, found.second + worth
        if case.gold is not None and len(case.gold) > 1 and judgment.verdicts and not case.anchors:
            self._add_votes(case, judgment)

    def _add_failures(self, judgment: Judgment) -> None:
        failed = [verdict.outcome for verdict in judgment.verdicts if isinstance(verdict.outcome, Failure)]
        for failure in [*failed, *([judgment.failure] if judgment.failure else [])]:
            if failure.kind not in self.lost:
                self.lost[failure.kind] = Lost(case_id=judgment.case_id, detail=failure.detail)
        for failure in failed:
            self.lost[failure.kind].votes += 1
        if judgment.failure is not None:
            self.lost[judgment.failure.kind].cases += 1

    def _add_places(self, judgment: Judgment) -> None:
        """Count where the winners stood, per case, so that the votes of one case are no independent observations."""
        won: dict[int, Counter[int]] = {}
        for verdict in judgment.verdicts:
            winner = sole_winner(verdict)
            if winner in verdict.order and len(verdict.order) > 1:
                won.setdefault(len(verdict.order), Counter())[verdict.order.index(winner)] += 1
        for shown, wins in won.items():
            for place in range(shown):
                found = self._places.setdefault((shown, place), _Sum())
                found.n, found.wins, found.votes = found.n + 1, found.wins + wins[place], found.votes + wins.total()
                found.first += wins[place] / wins.total()

    def _add_votes(self, case: Case, judgment: Judgment) -> None:
        tally = Tally()
        for j in range(len(judgment.verdicts)):
            folded = Vote().fold(case, judgment.verdicts[: j + 1], "")
            name = standing(case, folded)
            tally = Tally(**{name: 1}) if name else Tally()
            if j == len(self._after):
                self._after.append(Tally())
                self._final.append(Tally())
            self._after[j] += tally
        self._final[len(judgment.verdicts) - 1] += tally

    def curve(self) -> list[Point]:
        """Return the accuracy after 1, 2, ... votes, folded as `vote` folds them; cases with anchors have none."""
        points, ended = [], Tally()
        for j, after in enumerate(self._after):
            tally = after + ended
            points.append(
                Point(j + 1, after.n, tally.accuracy_all or 0.0, *wilson(tally.right + tally.tied / 2, tally.n))
            )
            ended += self._final[j]
        return points

    def bins(self) -> list[Bin]:
        """Return the bins of confidence that hold judgments with gold."""
        return [
            Bin(i / BINS, (i + 1) / BINS, b.n, b.first / b.n, b.second / b.n, *wilson(b.second, b.n))
            for i, b in enumerate(self._bins)
            if b.n
        ]

    def calibration_error(self) -> float | None:
        """Return the mean distance of accuracy and confidence over judgments, by bin; None without gold."""
        bins = self.bins()
        n = sum(b.n for b in bins)
        return sum(b.n * abs(b.accuracy - b.confidence) for b in bins) / n if n else None

    def places(self) -> list[Share]:
        """Return each place's share of wins, by number of candidates shown; the interval counts a case once."""
        return [
            Share(shown, place + 1, s.wins, s.votes, s.first / s.n, *wilson(min(s.first, s.n), s.n))
            for (shown, place), s in sorted(self._places.items())
        ]

    def quantile(self, q: float) -> int:
        """Return the completion tokens that a share q of cases does not exceed."""
        rest = q * self.tokens.total()
        for tokens, cases in sorted(self.tokens.items()):
            rest -= cases
            if rest <= 0:
                return tokens
        return 0


def sole_winner(verdict: Verdict) -> int | None:
    """Return the one candidate that a verdict puts first; None for a tie or a failure."""
    match verdict.outcome:
        case Winner(winner):
            return winner
        case Scores(scores):
            top = max((score for score in scores if score is not None), default=None)
            first = [i for i, score in enumerate(scores) if score is not None and score == top]
            return first[0] if len(first) == 1 else None
        case _:
            return None

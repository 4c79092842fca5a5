"""Recorded runs read again: another parser, strategy or protocol over the same completions, without any call.

A journal holds what the judge wrote, its manifest how it was asked. Both make a judge that answers from the journal
(engine `replay:`), and what is different in its settings is all that can change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..engines._base import Engine
from ..errors import BadInput
from ..judge import Judge, make_protocol
from ..protocols._base import Protocol
from ..types import Case, Failure, Judgment, Outcome, Sampling

__all__ = ["Changes", "Setup", "read_setup"]


class Template(msgspec.Struct, frozen=True):
    """The template of a recorded run."""

    name: str = "own"


class Setup(msgspec.Struct, frozen=True):
    """How a recorded run asked, read and judged, as its manifest has it."""

    protocol: str
    """Its id, or the path of a user's file."""
    strategy: str
    """As text."""
    guard: str | None = None
    """What was done about our delimiters inside candidates; None is the protocol's default."""
    parser: str = "strict"
    """How verdicts were read."""
    template: Template = Template()
    """In which wording it was asked."""
    settings: Mapping[str, Any] = {}
    """What else the protocol was made with."""
    sampling: Sampling = Sampling()
    """How tokens were drawn."""
    seed: int = 0
    """The run's seed."""
    others: Mapping[str, str] = {}
    """The other judges that it asked, as PROTOCOL@ENGINE."""
    most: int | None = None
    """Verdicts that a case could cost at most."""

    def but(self, protocol: str | None = None, **given: Any) -> Setup:
        """Return the same with other settings; those that are None stay. Another protocol starts from its defaults."""
        changes = {name: value for name, value in given.items() if value is not None}
        if protocol is None or protocol == self.protocol:
            return msgspec.structs.replace(self, **changes)
        fresh = Setup(protocol, self.strategy, sampling=self.sampling, seed=self.seed)
        return msgspec.structs.replace(fresh, **changes)

    def make_protocol(self) -> Protocol:
        """Make the protocol."""
        if self.guard not in (None, "escape", "none"):
            raise BadInput(f"guard is escape or none; got {self.guard!r}")
        rest = self.settings.get("rest")
        name = f"{self.protocol}:{rest}" if rest else self.protocol
        return make_protocol(name, self.guard, self.parser, self.template.name)  # type: ignore[arg-type]

    def replay(self, journal: str | Path, engine: Engine | None = None) -> Judge:
        """Make a judge that answers from the journal, or from what `engine` has read of it, and its others likewise."""
        kept = {
            name: text.partition("@")[0] for name, text in self.others.items() if Path(f"{journal}.{name}").exists()
        }
        return Judge(
            self.make_protocol(),
            engine or f"replay:{journal}",
            self.strategy,
            seed=self.seed,
            temperature=self.sampling.temperature,
            top_p=self.sampling.top_p,
            max_tokens=self.sampling.max_tokens,
            others={name: f"{protocol}@replay:{journal}.{name}" for name, protocol in kept.items()},
            most=self.most,
        )


def read_setup(journal: str | Path, protocol: str | None = None, strategy: str | None = None) -> Setup:
    """Read the manifest of a journal; what is given stands in only where there is no manifest.

    Raises `BadInput` if there is none and protocol or strategy are not given, or if it cannot be read.
    """
    path = Path(f"{journal}.manifest.json")
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        if protocol is None or strategy is None:
            raise BadInput(f"{path} is not there; name the protocol and the strategy of the run") from None
        return Setup(protocol, strategy)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read as a manifest ({error})") from error
    try:
        return msgspec.convert(manifest, Setup)
    except ValueError as error:
        raise BadInput(f"{path}: is no manifest of a run ({error})") from error


class Changes:
    """Counts the verdicts that a protocol reads in another way than a run was read."""

    def __init__(self, before: Protocol) -> None:
        self._before = before
        self.verdicts = 0
        self.by_kind: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """Verdicts that changed."""
        return self.by_kind.total()

    def add(self, case: Case, judgment: Judgment) -> None:
        """Read the completions of a judgment in the old way and compare."""
        shown = case.widened()
        for verdict in judgment.verdicts:
            if verdict.completion.finish != "error":
                self.verdicts += 1
                old = self._before.parse(verdict.completion, self._before.render(shown, verdict.order)).outcome
                if _said(old) != _said(verdict.outcome):
                    self.by_kind[f"{_kind(old)} -> {_kind(verdict.outcome)}"] += 1

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {"verdicts": self.verdicts, "changed": self.count, "by_kind": dict(sorted(self.by_kind.items()))}


def _kind(outcome: Outcome) -> str:
    return outcome.kind if isinstance(outcome, Failure) else type(outcome).__name__.lower()


def _said(outcome: Outcome) -> object:
    """Leave out the words of a failure: only its kind counts."""
    return outcome.kind if isinstance(outcome, Failure) else outcome

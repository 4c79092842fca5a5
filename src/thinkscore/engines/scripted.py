"""`scripted:` answers every prompt with the same valid verdict; `scripted:FILE` with recorded texts where it has them.

The engine of the sentence for tests and first steps: no model, no randomness. The fixed verdict lets the first place
win, so bare `scripted:` is a judge that only looks at positions.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Completion, Prompt, Usage
from ._base import Engine
from ._records import Records

__all__ = ["Scripted"]


class Scripted(Engine):
    """Serves the records of a file (journal or JSONL), and a fixed verdict for everything else."""

    batch = 64
    recorded = True

    async def open(self) -> None:
        self._records = Records(self.rest) if self.rest else None
        self._identity = f"scripted:{self._records.identity if self._records else ''}"

    @property
    def identity(self) -> str:
        """A hash of the records; known after `open`."""
        return self._identity

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [(self._records and self._records.find(prompt)) or _fixed(prompt) for prompt in prompts]


def _fixed(prompt: Prompt) -> Completion:
    if not prompt.verdicts:
        return Completion(finish="error", error=f"{prompt.protocol} names no verdict text that could be repeated")
    return Completion(prompt.prefill + prompt.verdicts[0], usage=Usage(calls=1))

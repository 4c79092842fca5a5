"""`replay:FILE`: answers from a journal or from JSONL rows; the engine of the sentence, without a model.

A prompt without a record is a completion with an error: nothing is made up.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import BadInput
from ..types import Completion, Prompt
from ._base import Engine
from ._records import Records

__all__ = ["Replay"]


class Replay(Engine):
    """Serves recorded completions by (case id, sample)."""

    batch = 256
    recorded = True

    def __init__(self, rest: str = "", records: Records | None = None) -> None:
        super().__init__(rest)
        self._given = records

    async def open(self) -> None:
        if not self.rest:
            raise BadInput("got replay without a file; use replay:FILE, a journal or JSONL rows")
        self._records = self._given or Records(self.rest)
        self._identity = f"replay:{self._records.identity}"

    @property
    def identity(self) -> str:
        """A hash of the records; known after `open`."""
        return self._identity

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [self._records.find(prompt) or self._nothing(prompt) for prompt in prompts]

    def _nothing(self, prompt: Prompt) -> Completion:
        what = f"case {prompt.case.id!r} sample {prompt.sample} under {prompt.protocol}"
        return Completion(finish="error", error=f"no recorded completion for {what} in {self.rest}")

"""The packaged judge on a small numpy decoder, without torch: case -> prompt -> ENGINE -> completion.

`embedded` runs the judge that ships with thinkscore, `embedded:DIR` any folder with a Qwen3 model of that kind.
A sample depends only on its own prompt, seed and sample index: samples are drawn in groups of about one length, each
always in the same of eight rows, whatever else is asked at the same time and however many workers there are
(THINKSCORE_WORKERS; default: one per core, at most 8). A folder whose model has a scalar head, as `thinkscore
train scalar` and `train meta` write it, gives `values` of conversations instead.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import zlib
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ..errors import BadInput, EngineUnavailable, ThinkscoreError
from ..types import Completion, Failure, Message, Prompt, Usage
from ._base import Announce, Deliver, Engine
from ._decoder import Config
from ._jobs import ROWS, Row, Sample, Scores, Values
from ._line import Line
from ._tokens import Tokens, chat_template

__all__ = ["Embedded"]

PACKAGED = Path(__file__).parent.parent / "models" / "embedded"
FILES = ("config.json", "model.safetensors", "tokenizer.json")
TEXTS = 16
"""Conversations that a worker values in one go."""
SHOWN = 5
"""Unknown words that an error names."""
CONTEXT = 4
"""Tokens before an answer that may bear on how its first word is spaced."""


class Embedded(Engine):
    """Generates with a tiny model on all cores, reproducibly; gives exact log-probabilities."""

    batch = 256  # enough to find eight rows of about one length; a killed run loses what its workers draw, no more

    def __init__(self, rest: str = "") -> None:
        super().__init__(rest)
        self.folder = Path(rest).absolute() if rest else PACKAGED
        self._hash = ""
        self._line: Line | None = None

    @property
    def identity(self) -> str:
        """Hash of weights, tokenizer, chat template and config; known after `open`."""
        return f"embedded:{self._hash}"

    async def open(self) -> None:
        """Load the tokenizer and start a worker.

        Raises `EngineUnavailable` for a folder without a usable model, `BadInput` for one of another architecture.
        """
        await asyncio.to_thread(self._open)

    async def close(self) -> None:
        """End the workers; what is queued is dropped."""
        line, self._line = self._line, None
        if line is not None:
            await asyncio.to_thread(line.close)

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """Complete each prompt; same length and order.

        Text outside the vocabulary, and a prompt that fills the model, are completions with `error`. Raises `BadInput`
        if the model has a scalar head instead.
        """
        completions: dict[int, Completion] = {}
        await self.stream(prompts, lambda places: None, completions.__setitem__)
        return [completions[place] for place in range(len(prompts))]

    async def stream(self, prompts: Sequence[Prompt], announce: Announce, deliver: Deliver) -> None:
        """Complete each prompt, and hand it over when its group is done."""
        line = self._opened(scalar=False)
        announce(range(len(prompts)))
        rows = await asyncio.to_thread(self._rows, prompts)
        drawn = {
            place: line.put(row, prompts[place].sampling) for place, row in enumerate(rows) if isinstance(row, Row)
        }
        line.send()

        async def land(place: int, row: Row | BadInput) -> None:
            try:
                if isinstance(row, BadInput):
                    raise row
                completion = self._completion(prompts[place], row, await drawn[place])
            except ThinkscoreError as error:
                completion = _failed(error)
            deliver(place, completion)

        await asyncio.gather(*map(land, range(len(prompts)), rows))

    async def logprobs(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[float]:
        """Sum the natural log-probabilities of `continuations[i]` after prompt i and its prefill (T = 1).

        Raises `BadInput` for text outside the vocabulary or beyond the model's length.
        """
        line = self._opened(scalar=False)
        asked = await asyncio.to_thread(lambda: list(map(self._heard, prompts, continuations)))
        places: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, (head, _) in enumerate(asked):
            places[head].append(place)
        jobs = [Scores(head, [asked[place][1] for place in told]) for head, told in places.items()]
        found: dict[int, float] = {}
        for told, result in zip(places.values(), await line.run(jobs), strict=True):
            if isinstance(result, BaseException):
                raise result
            found |= zip(told, result, strict=True)
        return [found[place] for place in range(len(asked))]

    async def values(self, conversations: Sequence[Sequence[Message]]) -> list[float | Failure]:
        """Score whole conversations with the scalar head; one that the model cannot read is a `Failure`.

        Raises `BadInput` if the model has no such head.
        """
        line = self._opened(scalar=True)
        rows = await asyncio.to_thread(lambda: [self._whole(messages) for messages in conversations])
        texts = [row for row in rows if not isinstance(row, Failure)]
        jobs = [Values(texts[start : start + TEXTS]) for start in range(0, len(texts), TEXTS)]
        found: list[float | Failure] = []
        for job, values in zip(jobs, await line.run(jobs), strict=True):
            failed = isinstance(values, BaseException)
            found += [Failure("engine_error", str(values))] * len(job.texts) if failed else values
        rest = iter(found)
        return [row if isinstance(row, Failure) else next(rest) for row in rows]

    def _opened(self, *, scalar: bool) -> Line:
        if self._line is None:
            raise EngineUnavailable("the embedded engine is not open; call open() first")
        if self._scalar != scalar:
            raise BadInput(
                f"{self.folder} has a scalar head and writes no text; use --protocol scalar"
                if self._scalar
                else f"{self.folder} writes text and has no scalar head; use a folder that `train scalar` wrote"
            )
        return self._line

    def _open(self) -> None:
        missing = [name for name in FILES if not (self.folder / name).is_file()]
        if missing:
            raise EngineUnavailable(
                f"no embedded judge in {self.folder}: {', '.join(missing)} missing. Give embedded:DIR with a folder "
                f"that `thinkscore train` or save_pretrained wrote ({', '.join(FILES)} and a chat template)"
            )
        try:
            config = Config.read(self.folder)
            self._positions, self._scalar = config.max_positions, config.scalar
            self._tokens = Tokens(self.folder)
            self._hash = _identity(self.folder)
            self._line = Line(self.folder, _workers(), self._tokens.ends)
        except ThinkscoreError:
            raise
        except Exception as error:  # tokenizers raises nothing narrower
            raise EngineUnavailable(f"the model in {self.folder} cannot be read: {error!r}") from error

    def _rows(self, prompts: Sequence[Prompt]) -> list[Row | BadInput]:
        """Say what is to be drawn for each prompt, or why the model cannot read it."""
        read = cache(self._read)

        def row(prompt: Prompt) -> Row | BadInput:
            try:
                ids = read(prompt.messages, prompt.prefill)
            except BadInput as error:
                return error
            return Row(_place(prompt), ids, prompt.seed, min(prompt.sampling.max_tokens, self._positions - len(ids)))

        return list(map(row, prompts))

    def _whole(self, messages: Sequence[Message]) -> tuple[int, ...] | Failure:
        """Return the tokens of a conversation, or why the model cannot read it."""
        try:
            self._refuse_forged([message.content for message in messages])
            ids = self._encode(self._tokens.render(messages, answer=False))
        except BadInput as error:
            return Failure("engine_error", str(error))
        if len(ids) > self._positions:
            return Failure("too_long", f"too long: {len(ids)} tokens; the model reads {self._positions}")
        return ids

    def _refuse_forged(self, said: Sequence[str]) -> None:
        forged = [token for token in self._tokens.control if any(token in text for text in said)]
        if forged:
            raise _outside(forged)

    def _read(self, messages: tuple[Message, ...], prefill: str) -> tuple[int, ...]:
        """Return the tokens of a prompt. Raises `BadInput` if the model cannot read it."""
        self._refuse_forged([*(message.content for message in messages), prefill])
        ids = self._encode(self._tokens.render(messages) + prefill)
        if len(ids) >= self._positions:
            raise BadInput(
                f"too long: the prompt has {len(ids)} tokens; the embedded judge reads {self._positions}, "
                "its own answer included"
            )
        return ids

    def _encode(self, text: str) -> tuple[int, ...]:
        ids = tuple(self._tokens.encode(text))
        if self._tokens.unknown_id in ids:
            raise _outside(self._tokens.unknown(text))
        back = self._tokens.decode(ids)
        if back != text:  # a closed tokenizer knows one spacing only; what it cannot give back it has not read
            at = next((i for i, pair in enumerate(zip(text, back, strict=False)) if pair[0] != pair[1]), len(back))
            raise _outside([text[max(0, at - 10) : at + 10]])
        return ids

    def _heard(self, prompt: Prompt, continuation: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the tokens of a prompt and of what is to come after it. Raises `BadInput`."""
        head = self._read(prompt.messages, prompt.prefill)
        whole = self._encode(self._tokens.render(prompt.messages) + prompt.prefill + continuation)
        if whole[: len(head)] != head:
            raise BadInput(
                f"{continuation!r} cannot be scored after {prompt.prefill[-40:]!r}: it changes the last token"
            )
        if len(whole) > self._positions:
            raise BadInput(f"too long: {len(whole)} tokens; the embedded judge reads {self._positions}")
        return head, whole[len(head) :]

    def _completion(self, prompt: Prompt, row: Row, sample: Sample) -> Completion:
        written = sample.tokens[:-1] if sample.ended else sample.tokens
        return Completion(
            text=prompt.prefill + self._tokens.continuation(row.prompt[-CONTEXT:], written),
            finish="stop" if sample.ended else "length",
            usage=Usage(1, len(row.prompt), len(sample.tokens)),
            logprobs=tuple(sample.logprobs),
        )


def _place(prompt: Prompt) -> int:
    """Return the row of a sample: those of one case follow each other, different cases begin anywhere."""
    shown = json.dumps([prompt.case.id, prompt.case.content(), sorted(prompt.order)])
    return (zlib.crc32(shown.encode()) + prompt.sample) % ROWS


def _outside(unknown: Sequence[str]) -> BadInput:
    shown = ", ".join(map(repr, unknown[:SHOWN])) + (", ..." if len(unknown) > SHOWN else "")
    return BadInput(
        f"the embedded judge reads lab cases only; for free text point --engine at a model (unknown here: {shown})"
    )


def _failed(error: BaseException) -> Completion:
    return Completion(finish="error", error=str(error) or type(error).__name__)


def _identity(folder: Path) -> str:
    digest = hashlib.blake2b(chat_template(folder).encode(), digest_size=8)
    for name in FILES:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _workers() -> int:
    given = os.environ.get("THINKSCORE_WORKERS", "")
    if given and not (given.isdecimal() and int(given)):
        raise BadInput(f"THINKSCORE_WORKERS is {given!r}; it takes a number of processes, 1 or more")
    return int(given) if given else min(os.cpu_count() or 1, 8)

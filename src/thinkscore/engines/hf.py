"""`hf:ID_OR_DIR`: a Hugging Face model in this process, through transformers: case -> prompt -> ENGINE -> completion.

Causal models write completions and give exact log-probabilities; models with a scalar head (Bradley-Terry reward
models such as Skywork-Reward-V2, arXiv 2507.01352) give `values`. Options follow as a query:
`hf:DIR?adapter=LORA_DIR&device=cuda&dtype=bfloat16&batch=16`; `_hf_options.py` lists them.

A sample depends on its own prompt, seed and sample index; what else is in its batch moves the last bits of its logits,
as float arithmetic does. A prefill goes on where generation would start, right after what the template opens the answer
with. The model's own sampling defaults are not used: only what a prompt says.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import BadInput, EngineUnavailable, require
from ..types import Completion, Failure, Message, Prompt, Usage
from ._base import Announce, Deliver, Engine
from ._hf_batches import Batches, Row, Score
from ._hf_options import Options
from ._jobs import Sample

if TYPE_CHECKING:
    from ._hf_model import Model

__all__ = ["Hf"]

T = TypeVar("T")
R = TypeVar("R")


def _nobody(places: Iterable[int]) -> None:
    """Announce calls to nobody."""


class Hf(Engine):
    """Runs a model with transformers, in one thread of its own, in batches of like length."""

    def __init__(self, rest: str = "") -> None:
        """Read the options. Raises `BadInput` for one that is unknown."""
        super().__init__(rest)
        self.options = Options.read(rest)
        self.batch = 4 * self.options.batch  # enough to sort by length
        self._thread: ThreadPoolExecutor | None = None
        self._loaded: Model | None = None

    @property
    def identity(self) -> str:
        """Hash of the folder, or id and commit, of model and adapter, and the number format; known after `open`."""
        return self._opened.identity

    @property
    def model(self) -> str:
        """The id or folder."""
        return self.options.model

    async def open(self) -> None:
        """Load the model. Raises `EngineUnavailable` if there is none, `MissingExtra` without transformers."""
        name, adapter = self.options.model, self.options.adapter
        if not name:
            raise BadInput("got hf without a model; use hf:ID_OR_DIR, a folder or an id on the Hugging Face Hub")
        if name[0] in "./" and not Path(name).is_dir():
            raise EngineUnavailable(f"there is no model folder {name}")
        if adapter and not (Path(adapter) / "adapter_config.json").is_file():
            raise EngineUnavailable(f"there is no LoRA adapter in {adapter}: adapter_config.json is missing")
        if (Path(name) / "adapter_config.json").is_file() and not (Path(name) / "config.json").is_file():
            raise BadInput(f"{name} is an adapter; use hf:BASE_MODEL?adapter={name}")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="thinkscore-hf")
        try:
            self._loaded = await self._work(self._load)
        except BaseException:
            await self.close()
            raise
        self._batches = Batches(self.options.batch, self._loaded.free)

    async def close(self) -> None:
        """Stop at the next token and let go of the model; what is queued is dropped."""
        thread, model = self._thread, self._loaded
        self._thread = self._loaded = None
        if model is not None:
            model.closed.set()
        if thread is not None:
            await asyncio.to_thread(thread.shutdown, wait=True, cancel_futures=True)

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """Complete each prompt; same length and order. A prompt that is too long is a completion with `error`.

        Raises `BadInput` if the model has a scalar head instead.
        """
        done: dict[int, Completion] = {}
        await self.stream(prompts, _nobody, done.__setitem__)
        return [done[place] for place in range(len(prompts))]

    async def stream(self, prompts: Sequence[Prompt], announce: Announce, deliver: Deliver) -> None:
        """Complete the prompts, announced and delivered batch by batch."""
        if self._opened.scalar:
            raise BadInput(f"{self.model} has a scalar head and writes no text; use --protocol scalar")
        rows = await self._work(self._rows, prompts)
        async for place, sample in self._results(self._opened.draw, rows, lambda row: len(row.prompt), announce):
            deliver(place, self._completion(prompts[place], rows[place], sample))

    async def logprobs(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[float]:
        """Sum the natural log-probabilities of `continuations[i]` after prompt i and its prefill (T = 1).

        Raises `BadInput` for a continuation that changes the last token before it, and beyond the model's length.
        """
        if self._opened.scalar:
            raise BadInput(f"{self.model} has a scalar head and gives no log-probabilities of text")
        pairs = list(zip(prompts, continuations, strict=True))
        scores = await self._work(lambda: [self._score(prompt, text) for prompt, text in pairs])
        sums: dict[int, float] = {}
        async for place, result in self._results(self._opened.score, scores, lambda score: sum(map(len, score))):
            if isinstance(result, Failure):
                raise EngineUnavailable(f"{self.model} could not score a continuation: {result.detail}")
            sums[place] = result
        return [sums[place] for place in range(len(pairs))]

    async def values(self, conversations: Sequence[Sequence[Message]]) -> list[float | Failure]:
        """Score whole conversations with the scalar head: raw numbers, of which only differences mean something.

        Raises `BadInput` if the model has no such head.
        """
        if not self._opened.scalar:
            raise BadInput(
                f"{self.model} writes text and has no scalar head; use a protocol that asks for text (rm_r1), "
                "or a reward model whose architecture is ...ForSequenceClassification"
            )
        rows = await self._work(lambda: [self._ids(messages, answer=False) for messages in conversations])
        once = list(dict.fromkeys(rows))  # what is equal ties: another batch would move the last bits
        values = {once[place]: value async for place, value in self._results(self._opened.value, once, len)}
        return [_finite(values[row]) for row in rows]

    @property
    def _opened(self) -> Model:
        if self._loaded is None:
            raise EngineUnavailable("the hf engine is not open; call open() first")
        return self._loaded

    def _load(self) -> Model:
        require("torch", "train")
        require("transformers", "train")
        from ._hf_model import Model

        return Model(self.options)

    async def _work(self, function: Callable[..., R], *values: object) -> R:
        """Run a function in the engine's thread."""
        if self._thread is None:
            raise EngineUnavailable("the hf engine is not open; call open() first")
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *values))

    async def _results(
        self,
        work: Callable[[Sequence[T]], Sequence[R]],
        rows: Sequence[T | Failure],
        length: Callable[[T], int],
        announce: Announce = _nobody,
    ) -> AsyncIterator[tuple[int, R | Failure]]:
        """Yield the place and the result of every row; a row that is a failure stays one."""
        good: list[tuple[int, T]] = []
        for place, row in enumerate(rows):
            if isinstance(row, Failure):
                announce([place])
                yield place, row
            else:
                good.append((place, row))
        for batch in self._batches.cut(good, length):
            announce([place for place, _ in batch])
            results = await self._work(self._batches.run, work, [row for _, row in batch])
            for (place, _), result in zip(batch, results, strict=True):
                yield place, result

    def _rows(self, prompts: Sequence[Prompt]) -> list[Row | Failure]:
        read = cache(self._ids)  # votes on one prompt
        return [self._row(prompt, read(prompt.messages, prompt.prefill)) for prompt in prompts]

    def _row(self, prompt: Prompt, ids: tuple[int, ...] | Failure) -> Row | Failure:
        if isinstance(ids, Failure):
            return ids
        context = self._opened.context or len(ids) + prompt.sampling.max_tokens
        return Row(ids, prompt.sampling, prompt.seed, min(prompt.sampling.max_tokens, context - len(ids)))

    def _ids(self, messages: Sequence[Message], prefill: str = "", *, answer: bool = True) -> tuple[int, ...] | Failure:
        """Return the tokens of a conversation, or why the model cannot read it."""
        try:
            ids = self._opened.chat.ids(messages, prefill, answer=answer)
        except BadInput as error:
            return Failure("engine_error", str(error))
        context = self._opened.context
        if context is None or len(ids) + answer <= context:
            return ids
        own = ", its own answer included" if answer else ""
        return Failure("too_long", f"too long: the prompt has {len(ids)} tokens; the model reads {context}{own}")

    def _score(self, prompt: Prompt, continuation: str) -> Score:
        chat = self._opened.chat
        head = chat.ids(prompt.messages, prompt.prefill)
        whole = chat.ids(prompt.messages, prompt.prefill + continuation)
        if whole[: len(head)] != head:
            raise BadInput(
                f"{continuation!r} cannot be scored after {prompt.prefill[-40:]!r}: it changes the last token"
            )
        if self._opened.context is not None and len(whole) > self._opened.context:
            raise BadInput(f"too long: {len(whole)} tokens; the model reads {self._opened.context}")
        return Score(head, whole[len(head) :])

    def _completion(self, prompt: Prompt, row: Row | Failure, sample: Sample | Failure) -> Completion:
        if isinstance(sample, Failure):
            return Completion(finish="error", error=sample.detail)
        assert isinstance(row, Row)  # what could not be read was not drawn
        written = sample.tokens[:-1] if sample.ended else sample.tokens
        return Completion(
            text=prompt.prefill + self._opened.chat.continuation(row.prompt, written),
            finish="stop" if sample.ended else "length",
            usage=Usage(1, len(row.prompt), len(sample.tokens)),
            logprobs=tuple(sample.logprobs),
        )


def _finite(value: float | Failure) -> float | Failure:
    if isinstance(value, Failure) or math.isfinite(value):
        return value
    return Failure("engine_error", f"the scalar head gave {value}; with bfloat16 or float16, try dtype=float32")

"""A judge that says what it is told, or a well-formed verdict that a hash decides."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from ...seeds import derive_seed
from ...types import Completion, Usage, content_hash
from ._behind import Behind, Reply, Value, words
from ._verdicts import Asked, verdict
from ._wire import ChatRequest, Token

__all__ = ["Answer", "Scripted"]

Answer = str | Callable[[ChatRequest, int], str]
"""What a script says: always the same, or a function of the request and the number of the choice."""
_PIECE = re.compile(r"\s*\S+(?:\s+\Z)?|\s+")
"""What a script counts as a token."""


class Scripted(Behind):
    """Answers with a text, a function, or a verdict decided by a hash of messages, seed and choice."""

    def __init__(self, answer: Answer | None = None, protocol: str | None = None, value: Value | None = None) -> None:
        self._answer, self._protocol, self._value = answer, protocol, value or _hashed

    def count(self, request: ChatRequest) -> int:
        return sum(words(turn.text) for turn in request.messages)

    async def reply(self, request: ChatRequest, seed: int, room: int) -> Reply:
        """Texts are cut at `room` pieces; one that starts with the prefill is cut to what follows it."""
        paid = self.count(request)
        completions, tokens = [], []
        for i, text in enumerate(self._texts(request, seed)):
            pieces = _PIECE.findall(text.removeprefix(request.prefill))
            said = pieces[:room]
            completions.append(
                Completion(
                    "".join(said),
                    finish="length" if len(pieces) > room else "stop",
                    usage=Usage(1, paid, len(said)),
                )
            )
            if request.logprobs:
                tokens.append(_made_up(said, request.top_logprobs or 0, derive_seed(seed, i)))
        asked = "\n".join(turn.text for turn in request.messages)
        top = request.prompt_logprobs
        return Reply(completions, tokens or None, None if top is None else _made_up(_PIECE.findall(asked), top, 0))

    async def values(self, conversations: Sequence[object]) -> list[float]:
        return [self._value(conversation) for conversation in conversations]

    def _texts(self, request: ChatRequest, seed: int) -> list[str]:
        if isinstance(self._answer, str):
            return [self._answer] * request.n
        if self._answer is not None:
            return [self._answer(request, i) for i in range(request.n)]
        asked = Asked.read(request.conversation, self._protocol)
        return [_continued(request.prefill, *verdict(asked, derive_seed(seed, i))) for i in range(request.n)]


def _continued(prefill: str, text: str, short: str) -> str:
    """Carry a prefill on: with the text that starts so, or with the part of the verdict that it lacks."""
    if text.startswith(prefill):
        return text
    overlap = next(size for size in range(len(short), -1, -1) if prefill.endswith(short[:size]))
    return prefill + ("" if overlap or prefill.endswith("\n") else "\n") + short[overlap:]


def _made_up(pieces: Sequence[str], top: int, seed: int) -> list[Token]:
    """Give each piece a log-probability from a hash: a script has none, and a client must still read them."""
    tokens = []
    for i, piece in enumerate(pieces):
        id_, logprob = derive_seed(piece) % 50_000, -(1 + derive_seed(piece, seed, i) % 1000) / 500
        rival = Token("?", math.log1p(-math.exp(logprob)), id_ + 1)
        both = sorted((Token(piece, logprob, id_), rival), key=lambda token: -token.logprob)
        ranked = tuple(token._replace(rank=rank) for rank, token in enumerate(both, 1))
        tokens.append(next(token for token in ranked if token.id == id_)._replace(top=ranked[:top]))
    return tokens


def _hashed(conversation: object) -> float:
    """Return a value from -4 to 4."""
    return int(content_hash(conversation)[:8], 16) / 2**29 - 4

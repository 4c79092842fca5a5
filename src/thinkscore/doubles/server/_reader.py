"""Tokens and log-probabilities of the embedded judge, whose completions hold neither token texts nor rivals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from ...engines._decoder import Config, Decoder
from ...engines._jobs import Doubles
from ...engines._tokens import Tokens
from ...types import Completion, Message
from ._wire import Token

__all__ = ["Reader"]

_CONTEXT = 4
"""Tokens before one that may bear on how it is spaced."""
Messages = tuple[Message, ...]


class Reader:
    """Reads whole texts with a judge's own weights, in one pass each."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._tokens = folder, Tokens(folder)
        self.limit = Config.read(folder).max_positions
        self.ids = lru_cache(256)(self._ids)

    def prompt(self, messages: Messages, prefill: str, top: int) -> list[Token]:
        """Return the tokens of a prompt; the first has no log-probability (0 stands there)."""
        ids = self.ids(messages, prefill)
        return [Token(self._text(ids, 0, ids[0]), 0.0, ids[0]), *self._placed(ids, 1, top)]

    def written(self, messages: Messages, prefill: str, completion: Completion, top: int) -> list[Token]:
        """Return the tokens of a completion, its end token included, each with the `top` likeliest at its place."""
        whole = self._ids(messages, prefill + completion.text)
        if completion.finish == "stop":
            whole = (*whole, min(self._tokens.ends))
        tokens = self._placed(whole, len(self.ids(messages, prefill)), top)
        exact = completion.logprobs or ()
        if len(exact) != len(tokens):
            return tokens
        return [token._replace(logprob=value) for token, value in zip(tokens, exact, strict=True)]

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self._folder)

    def _ids(self, messages: Messages, prefill: str) -> tuple[int, ...]:
        return tuple(self._tokens.encode(self._tokens.render(messages) + prefill))

    def _placed(self, ids: Sequence[int], start: int, top: int) -> list[Token]:
        """Read a text and return its tokens from `start` on."""
        logprobs_TV = self._decoder.logits(ids)[start - 1 : -1].astype(np.float64)
        logprobs_TV -= logprobs_TV.max(-1, keepdims=True)
        logprobs_TV -= np.log(np.exp(logprobs_TV).sum(-1, keepdims=True))
        return [self._token(ids, start + i, logprobs_V, top) for i, logprobs_V in enumerate(logprobs_TV)]

    def _token(self, ids: Sequence[int], place: int, logprobs_V: Doubles, top: int) -> Token:
        def token(id_: int, rank: int) -> Token:
            return Token(self._text(ids, place, id_), float(logprobs_V[id_]), id_, rank)

        likeliest = np.argsort(-logprobs_V)[:top].tolist()
        rank = int((logprobs_V > logprobs_V[ids[place]]).sum()) + 1
        return token(ids[place], rank)._replace(top=tuple(map(token, likeliest, range(1, top + 1))))

    def _text(self, ids: Sequence[int], place: int, id_: int) -> str:
        return self._tokens.continuation(ids[max(0, place - _CONTEXT) : place], [id_])

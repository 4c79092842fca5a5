"""The address of an OpenAI-compatible server, with options: `http://HOST/v1?model=NAME&n=8`.

Several addresses, separated by commas before the `?`, are one pool. What can change an answer is part of the model's
identity in the journal; addresses, limits and keys never are.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Meta

from ..errors import BadInput

__all__ = ["Address", "Options", "read_address"]

_Count = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(gt=0)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may follow the `?`."""

    model: str = ""
    """The name the server knows; may be left out where it serves one."""
    revision: str = ""
    """Tells apart models that have the same name, in the journal."""
    n: _Count = 8
    """Most samples per request; votes on one order of a case share a request."""
    concurrency: _Count = 64
    """Most requests under way per address; fewer while the server is overloaded."""
    timeout: _Seconds = 600.0
    """Seconds for one attempt."""
    connect: _Seconds = 10.0
    """Seconds for a connection."""
    read: _Seconds = 600.0
    """Seconds without a byte."""
    total: _Seconds = 1800.0
    """Seconds for a request with all its attempts."""
    retries: Annotated[int, Meta(ge=0)] = 8
    """Attempts after the first."""
    backoff: _Seconds = 0.25
    """Mean seconds before the first retry; doubles with each, up to 30."""
    rpm: float = 0.0
    """Requests per minute; 0 is no limit."""
    tpm: float = 0.0
    """Tokens per minute, prompt and answer; 0 is no limit."""
    effort: str = ""
    """`reasoning_effort` of a thinking model."""
    thinking: Annotated[int, Meta(ge=0)] = 0
    """Most tokens of thinking (vLLM's `thinking_token_budget`); 0 leaves it to the server."""
    logprobs: bool = False
    """Ask for the log-probability of each token."""
    prefill: Literal["auto", "yes", "no"] = "auto"
    """Whether the server continues a begun answer; auto: vLLM and SGLang do."""
    dialect: Literal["auto", "vllm", "sglang", "openai"] = "auto"
    """What the server is; auto: as it says in its list of models."""
    values: Literal["auto", "vllm", "sglang"] = "auto"
    """Whose way a scalar head is asked in; auto: the dialect's."""
    tokenizer: str = ""
    """Folder of the tokenizer, where a scalar head's server takes rendered text (SGLang)."""
    key: str = ""
    """Environment variable that holds the key; default THINKSCORE_API_KEY."""


class Address(msgspec.Struct, frozen=True):
    """A pool of servers and how to use it."""

    urls: tuple[str, ...]
    """Base addresses, without a slash at the end."""
    options: Options
    body: dict[str, object] = {}
    """`body.KEY=JSON`: further fields of every request."""
    template: dict[str, object] = {}
    """`template.KEY=JSON`: `chat_template_kwargs`."""

    def identity(self, model: str) -> str:
        """Name the model and what else can change its answers."""
        o = self.options
        said = {"revision": o.revision, "effort": o.effort, "thinking": o.thinking, "logprobs": o.logprobs}
        said |= {"body": self.body, "template": self.template}
        known = {name: value for name, value in said.items() if value}
        return f"http:{model}" + (f" {msgspec.json.encode(known, order='sorted').decode()}" if known else "")

    def key_name(self) -> str:
        """Name the environment variable of the key."""
        openai = any(urlsplit(url).hostname == "api.openai.com" for url in self.urls)
        return self.options.key or ("OPENAI_API_KEY" if openai else "THINKSCORE_API_KEY")

    def api_key(self) -> str | None:
        """Return the key; None if the variable is unset. A variable that was named must be set."""
        key = os.environ.get(self.key_name(), "").strip() or None
        if self.options.key and not key:
            raise BadInput(f"the environment has no {self.options.key}, which the engine's address names as its key")
        return key


def read_address(uri: str) -> Address:
    """Read "http://a/v1,http://b/v1?model=m&n=4". Raises `BadInput` with the accepted options."""
    places, _, query = uri.partition("?")
    try:
        urls = tuple(_base(place) for place in places.split(","))
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        if len(dict(pairs)) < len(pairs):
            raise ValueError("an option is given twice")
        plain = {key: value for key, value in pairs if "." not in key}
        if {"api_key", "api-key", "token"} & plain.keys():
            raise ValueError("a key does not belong in an address; put it in the environment and name it with key=NAME")
        options = msgspec.convert(plain, Options, strict=False)
        if options.key and not options.key.isidentifier():
            raise ValueError("key=NAME names an environment variable; what was given cannot be the name of one")
        return Address(urls, options, _below("body.", pairs), _below("template.", pairs))
    except ValueError as error:
        names = ", ".join(field.name for field in msgspec.structs.fields(Options))
        shown = re.sub("[^,]*@", "***@", places)
        raise BadInput(
            f"engine {shown!r}: {error}. An address is http://HOST:PORT/v1?model=NAME&option=value; several, "
            f"separated by commas, are one pool; options: {names}, body.KEY, template.KEY"
        ) from error


def _base(place: str) -> str:
    if "@" in place:
        raise ValueError("a password does not belong in an address; put a key in the environment")
    parts = urlsplit(place.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValueError(f"{place.strip()!r} is no http(s) address")
    _ = parts.port  # raises for a port that is no number
    path = parts.path.rstrip("/") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _below(prefix: str, pairs: list[tuple[str, str]]) -> dict[str, object]:
    """Collect `PREFIXKEY=JSON`; what is no JSON is text."""
    found: dict[str, object] = {}
    for key, value in pairs:
        if key.startswith(prefix):
            try:
                found[key.removeprefix(prefix)] = msgspec.json.decode(value)
            except msgspec.DecodeError:
                found[key.removeprefix(prefix)] = value
        elif "." in key and not key.startswith(("body.", "template.")):
            raise ValueError(f"unknown option {key!r}")
    return found

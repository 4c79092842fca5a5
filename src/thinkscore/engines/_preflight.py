"""Checks a server before the first case: that it is there, speaks the API, takes the key and has the model."""

from __future__ import annotations

from contextlib import suppress

import aiohttp
import msgspec

from ..errors import EngineUnavailable
from ._address import Address
from ._chat import Dialect
from ._servers import explain

__all__ = ["preflight"]

SHOWN = 10
"""Models that an error lists."""
NO_LIST = {404, 405, 501}


class _Model(msgspec.Struct):
    id: str
    owned_by: str | None = None
    max_model_len: int | None = None


class _Models(msgspec.Struct):
    data: list[_Model]


async def preflight(session: aiohttp.ClientSession, url: str, address: Address) -> Dialect:
    """Ask a server for its models. Raises `EngineUnavailable` with what is wrong and what to do."""
    try:
        async with session.get(f"{url}/models", timeout=aiohttp.ClientTimeout(total=30)) as reply:
            status, content = reply.status, await reply.read()
    except (aiohttp.ClientError, OSError) as error:
        cause = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise EngineUnavailable(f"no server answers at {url} ({cause}); start it, or check host and port") from error
    if status in (401, 403):
        name = address.key_name()
        cause = (
            f"refuses the key in {name}" if address.api_key() else f"wants a key: put it in the environment as {name}"
        )
        raise EngineUnavailable(f"{url} {cause} (HTTP {status}: {explain(content)})")
    listed = _listed(content) if status == 200 else None
    if listed is None:
        return await _unlisted(session, url, address, status, content)
    model = _chosen(listed, url, address.options.model)
    return Dialect(_dialect(address, model), model.id, model.max_model_len or 0)


async def _unlisted(session: aiohttp.ClientSession, url: str, address: Address, status: int, content: bytes) -> Dialect:
    """Let a server without a list of models answer one token; some have none."""
    model = address.options.model
    if status in NO_LIST and model:
        ask = {"model": model, "messages": [{"role": "user", "content": "1"}], "max_tokens": 1}
        with suppress(aiohttp.ClientError, OSError):
            async with session.post(f"{url}/chat/completions", json=ask) as reply:
                if reply.status == 200 and b'"choices"' in await reply.read():
                    return Dialect(_dialect(address, _Model(model)), model)
    raise EngineUnavailable(
        f"{url}/models does not answer as an OpenAI-compatible API (HTTP {status}: {explain(content)}); "
        "check the address, which usually ends in /v1"
    )


def _listed(content: bytes) -> list[_Model] | None:
    try:
        return msgspec.json.decode(content, type=_Models).data
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _chosen(models: list[_Model], url: str, name: str) -> _Model:
    found = next((model for model in models if model.id == name), None)
    if found is not None:
        return found
    if not name and len(models) == 1:
        return models[0]
    listed = ", ".join(model.id for model in models[:SHOWN]) + (", ..." if len(models) > SHOWN else "")
    wanted = f"has no model {name!r}" if name else "has more than one model, or none"
    raise EngineUnavailable(f"{url} {wanted}; it serves {listed or 'nothing'}; name one with ?model=NAME")


def _dialect(address: Address, model: _Model) -> str:
    if address.options.dialect != "auto":
        return address.options.dialect
    return model.owned_by if model.owned_by in ("vllm", "sglang") else "openai"

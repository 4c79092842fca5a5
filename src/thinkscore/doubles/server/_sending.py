"""How an answer leaves the server, whole or broken on purpose."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

from ._endpoints import EVENTS, JSON, Content
from ._faults import Faults
from ._wire import Refusal, error_body

__all__ = ["fail", "not_found", "plain", "refuse", "send"]

_DRIPS = 20
"""Pieces of a slow answer."""


def plain(content: Content) -> web.Response:
    """Answer with a body."""
    return web.Response(body=content.body, content_type=content.kind)


def refuse(refusal: Refusal) -> web.Response:
    """Turn a request away."""
    return web.Response(status=refusal.status, body=refusal.body, content_type=JSON)


def not_found(path: str) -> web.Response:
    """Say that nothing lives at a path, as vLLM does."""
    return web.json_response({"detail": "Not Found", "path": path}, status=404)


async def fail(request: web.BaseRequest, fault: str, faults: Faults, headers: dict[str, str]) -> web.Response | None:
    """Answer with a fault that needs no answer of the judge; None for the other kinds."""
    if fault in ("502", "504"):  # from a proxy in front of the server, which speaks HTML
        page = f"<html><body><h1>{fault} Bad Gateway</h1></body></html>".encode()
        return web.Response(status=int(fault), body=page, content_type="text/html")
    if fault.isdecimal():
        body = error_body(int(fault), f"status {fault}, a fault on purpose")
        return web.Response(status=int(fault), body=body, content_type=JSON, headers=headers)
    if fault == "stall":
        await asyncio.sleep(faults.stall)
    if fault in ("reset", "stall"):
        return _reset(request)
    return web.Response(content_type=JSON) if fault == "empty" else None


async def send(
    request: web.BaseRequest, content: Content, fault: str | None, faults: Faults
) -> web.StreamResponse:  # fmt: skip
    """Send an answer whole, in part or slowly; returns when the last byte has left."""
    body = content.body[: len(content.body) // 2] if fault == "truncated" else content.body
    response = web.StreamResponse(headers={"Content-Type": content.kind})
    if content.kind == EVENTS:  # the length of a stream is not told in advance
        response.enable_chunked_encoding()
    else:
        response.content_length = len(body)
    await response.prepare(request)
    if fault == "cut":
        await response.write(body[: len(body) // 2])
        return _reset(request)
    if fault == "slow":
        body = await _drip(response, body, faults.slow / _DRIPS)
    await response.write_eof(body)
    return response


async def _drip(response: web.StreamResponse, body: bytes, pause: float) -> bytes:
    """Write all but the last piece, with pauses; returns that one."""
    size = len(body) // _DRIPS + 1
    while len(body) > size:
        await response.write(body[:size])
        body = body[size:]
        await asyncio.sleep(pause)
    return body


def _reset(request: web.BaseRequest) -> web.Response:
    """Break the connection with a reset instead of an orderly end."""
    if request.transport is not None:
        connection: socket.socket = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()

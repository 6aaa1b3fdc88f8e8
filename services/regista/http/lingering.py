"""How to refuse a request whose body is still coming, so that the refusal arrives.

A connection closed while its peer still sends is reset, and a reset destroys the answer on its way. So the answer is
sent, what still comes is read and thrown away for a while, and only then is the connection closed (the lingering close
of RFC 9112, 9.6). A body that is complete, or small, costs nothing of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

SMALL = 64 * 2**10
"""Bytes of a body that are left to the server to skip, with the connection kept."""
LINGER_BYTES = 256 * 2**20
LINGER_SECONDS = 10.0


def announced(headers: Mapping[bytes, bytes]) -> int | None:
    """The bytes that the body will have; None when it comes in chunks, without a length."""
    length = headers.get(b"content-length")
    if length is not None:
        return int(length) if length.isdigit() else None
    return None if b"transfer-encoding" in headers else 0


class Incoming:
    """A request's body on its way in, that knows whether all of it has come."""

    __slots__ = ("_receive", "complete")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.complete = False

    async def __call__(self) -> Message:
        """The next message of the connection."""
        message = await self._receive()
        self.complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message


async def finish(answer: Response, scope: Scope, incoming: Incoming, send: Send) -> None:
    """Send an answer to a request whose body may not have been read."""
    headers = dict(scope["headers"])
    length = announced(headers)
    if incoming.complete or (length is not None and length <= SMALL):
        await answer(scope, incoming, send)
        return
    answer.headers["connection"] = "close"
    if b"expect" in headers:  # the peer waits for leave to send, and gets none
        await answer(scope, incoming, send)
        return
    await answer(scope, incoming, _held_open(send))
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            await _discard(incoming)
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _held_open(send: Send) -> Send:
    async def forward(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "more_body": True}
        await send(message)

    return forward


async def _discard(incoming: Incoming) -> None:
    left = LINGER_BYTES
    while left > 0 and not incoming.complete:
        left -= len((await incoming()).get("body", b""))

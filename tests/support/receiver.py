"""A receiver of webhooks on 127.0.0.1: takes what comes, and answers as the test says."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from standardwebhooks import Webhook

KEY = "whsec_" + base64.b64encode(b"a key of the tests, 32 bytes long").decode()


@dataclass(frozen=True, slots=True)
class Told:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> Any:
        return orjson.loads(self.body)

    def verify(self, key: str = KEY) -> Any:
        """As any receiver does, with the library that everybody uses. Raises where it is not signed with this key."""
        return Webhook(key).verify(self.body, self.headers)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"


Answering = Callable[[Told], Awaitable[Reply]]


async def take(_told: Told) -> Reply:
    return Reply()


def always(status: int, **headers: str) -> Answering:
    async def answer(_told: Told) -> Reply:
        return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()})

    return answer


class Receiver:
    """``told`` is every request; ``taken`` those that were answered with 2xx, in the order of the answers."""

    def __init__(self, answering: Answering = take) -> None:
        self.answering = answering
        self.told: list[Told] = []
        self.taken: list[Told] = []
        self._came = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/hook"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be down: connections end, new ones are refused. ``start`` brings it back at the same port."""
        assert self._server is not None
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def until(self, reached: Callable[[], bool], within: float = 20.0) -> None:
        """Return when it is so; it is looked at with every request, and with every answer."""
        async with asyncio.timeout(within):
            while not reached():
                self._came.clear()
                await self._came.wait()

    async def until_told(self, count: int, within: float = 20.0) -> None:
        await self.until(lambda: len(self.told) >= count, within)

    async def until_taken(self, count: int, within: float = 20.0) -> None:
        await self.until(lambda: len(self.taken) >= count, within)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                await self._answer(reader, writer)
        self._connections.discard(task)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        told = Told(first.split(" ")[1], headers, body)
        self.told.append(told)
        self._came.set()
        try:
            reply = await self.answering(told)
            said = {"content-length": str(len(reply.body)), **reply.headers}
            lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
            lines += [f"{name}: {value}" for name, value in said.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + reply.body)
            await writer.drain()
            if 200 <= reply.status < 300:
                self.taken.append(told)
        finally:
            self._came.set()


@asynccontextmanager
async def receiving(answering: Answering = take) -> AsyncIterator[Receiver]:
    receiver = Receiver(answering)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()

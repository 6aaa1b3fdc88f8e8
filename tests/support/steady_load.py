"""Clients that keep their connections and never try again: a request that is not answered is a failure.

An answer with ``Connection: close`` is followed by a new connection, as HTTP asks. Whatever else ends a connection
before a whole answer came is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import orjson

BODY = b'{"inputs": [[1, 2]]}'


@dataclass(frozen=True, slots=True)
class Answered:
    """A request by its number and key, and which server answered; ``variant`` is what the proxy says."""

    number: int
    key: str
    ordinal: int
    variant: str
    change: int


@dataclass
class Load:
    """What came back so far."""

    host: str
    port: int
    path: str
    keys: int
    answers: list[Answered] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    connections: int = 0
    _numbers: count[int] = field(default_factory=count)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def since_now(self) -> list[Answered]:
        """One answer for each key, all asked for from now on."""
        start, seen = next(self._numbers), len(self.answers)
        found: dict[str, Answered] = {}
        while True:
            # Only what is new: a look at a million answers would stop the clients for longer than a connection lives.
            for answer in self.answers[seen:]:
                if start < answer.number <= start + self.keys:
                    found[answer.key] = answer
            seen = len(self.answers)
            if len(found) >= self.keys:
                return list(found.values())
            assert not self.failures, self.failures[:3]
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 30)

    async def client(self) -> None:
        writer: asyncio.StreamWriter | None = None
        try:
            while True:
                if writer is None:
                    reader, writer = await asyncio.open_connection(self.host, self.port)
                    self.connections += 1
                if not await self._round(reader, writer):
                    writer.close()
                    writer = None
        finally:
            if writer is not None:
                writer.close()

    async def _round(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and what came of it; whether the connection stays."""
        number = next(self._numbers)
        try:
            answer, stays = await self._ask(reader, writer, number, f"customer-{number % self.keys}")
        except (OSError, EOFError, ValueError) as error:
            self.failures.append(f"{number}: {error!r}")
            return False
        self.answers.append(answer)
        if len(self.answers) % 500 == 0:
            self._more.set()
        return stays

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, key: str
    ) -> tuple[Answered, bool]:
        head = f"POST {self.path} HTTP/1.1\r\nHost: x\r\nX-User: {key}\r\nContent-Length: {len(BODY)}\r\n\r\n"
        writer.write(head.encode() + BODY)
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = orjson.loads(await reader.readexactly(int(headers["content-length"])))
        if not status.startswith("HTTP/1.1 200"):
            raise ValueError(status)
        answer = Answered(number, key, body["ordinal"], headers["regista-variant"], int(headers["regista-change"]))
        return answer, headers["connection"] == "keep-alive"


@asynccontextmanager
async def steady_load(url: str, path: str, *, clients: int, keys: int) -> AsyncIterator[Load]:
    """Clients at work until the block ends."""
    host, _, port = url.removeprefix("http://").partition(":")
    load = Load(host, int(port), path, keys)
    tasks = [asyncio.create_task(load.client()) for _ in range(clients)]
    try:
        yield load
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def murmur2(text: str) -> int:
    """MurmurHash2 of 32 bits as nginx's ``split_clients`` takes it (ngx_murmur_hash2)."""
    data, m = text.encode(), 0x5BD1E995
    h = len(data)
    for i in range(0, len(data) - 3, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & 0xFFFFFFFF
        k = (k ^ k >> 24) * m & 0xFFFFFFFF
        h = (h * m ^ k) & 0xFFFFFFFF
    if rest := data[len(data) & ~3 :]:
        h = (h ^ int.from_bytes(rest, "little")) * m & 0xFFFFFFFF
    h = (h ^ h >> 13) * m & 0xFFFFFFFF
    return h ^ h >> 15


def drawn(text: str, hundredths: int) -> bool:
    """Whether the first part of a split, of so many hundredths of a percent, gets this."""
    return bool(hundredths) and murmur2(text) < hundredths * 0xFFFFFFFF // 10_000

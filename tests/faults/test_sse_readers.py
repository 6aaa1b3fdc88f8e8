"""Many readers of the event stream at once, some of which do not read: these are cut off, and nobody else notices."""

from __future__ import annotations

import asyncio
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.support.server import RunningServer, running_server

import regista

READERS = 500
STANDING_STILL = 20
QUIET_EVENTS = 30
LOUD_EVENTS = 200
LOUD = "x" * 60_000
PATIENCE = 2.0
MEMORY = 256 * 2**20
"""Bytes that the server may have grown by; the newest events, 32 MiB of text, are held for all readers together."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(
        tmp_path / "data", max_streams=READERS, stream_patience=PATIENCE, stream_heartbeat=1
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def enough_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2 * READERS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * READERS, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Reader:
    """One connection that takes all events of a model, and their positions."""

    def __init__(self, url: str, model: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self._request = f"GET /v1/events/stream?model={model} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        self.positions: list[int] = []

    async def read(self, count: int) -> None:
        reader, writer = await asyncio.open_connection(*self._address)
        writer.write(self._request)
        while len(self.positions) < count:
            line = await reader.readline()
            assert line, "the stream ended"
            if found := re.fullmatch(rb"id: (\d+)\n", line):
                self.positions.append(int(found[1]))
        writer.close()
        await writer.wait_closed()

    def stand_still(self) -> socket.socket:
        """Ask, and read nothing."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(self._address)
        connection.sendall(self._request)
        return connection


async def test_readers_that_stand_still_are_cut_off_while_all_others_are_served(server: RunningServer) -> None:
    async with regista.AsyncClient(server.url, actor="ci") as client:
        await client.create_model("quiet")
        await client.create_model("loud")
        before = memory(server)
        readers = [Reader(server.url, "quiet") for _ in range(READERS - STANDING_STILL)]
        async with asyncio.timeout(120):
            with ExitStack() as opened:
                for _ in range(STANDING_STILL):
                    connection = await asyncio.to_thread(Reader(server.url, "loud").stand_still)
                    opened.callback(connection.close)
                reading = [asyncio.create_task(reader.read(1 + QUIET_EVENTS)) for reader in readers]
                await readers_are(server, READERS)
                assert await refused(server) == "too_many_streams"

                slowest = await write_all(client)
                await asyncio.gather(*reading)
                await readers_are(server, 0)
        grown = memory(server) - before
    expected = readers[0].positions
    assert expected == sorted(set(expected))
    assert all(reader.positions == expected for reader in readers)
    print(f"slowest write {slowest:.3f} s, server grew by {grown / 2**20:.0f} MiB")
    assert slowest < PATIENCE + 5
    assert grown < MEMORY


async def write_all(client: regista.AsyncClient) -> float:
    """Write for both kinds of readers; the seconds of the slowest write."""
    slowest = 0.0
    for number in range(LOUD_EVENTS):
        began = time.monotonic()
        await client.update_model("loud", description=f"{number}{LOUD}", reason="loud")
        if number % (LOUD_EVENTS // QUIET_EVENTS) == 0:
            await client.update_model("quiet", description=f"{number}", reason="quiet")
        slowest = max(slowest, time.monotonic() - began)
    return slowest


async def readers_are(server: RunningServer, count: int) -> None:
    """Wait until the server counts so many readers."""
    async with httpx.AsyncClient(base_url=server.url) as client:
        found = -1.0
        while found != count:
            text = (await client.get("/metrics")).text
            found = float(next(iter(re.findall(r"^regista_\w*(?:readers|streams)\w* (\S+)$", text, re.MULTILINE))))


async def refused(server: RunningServer) -> str:
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.get("/v1/events/stream")
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    return str(answer.json()["code"])


def memory(server: RunningServer) -> int:
    """Bytes of the server that are in memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)[0]) * 1024

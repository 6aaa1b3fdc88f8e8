"""A TCP proxy on 127.0.0.1 that a test cuts: a network that fails between two healthy ends.

It runs in a thread of its own, so that sync and async tests use it alike and a busy test does not hold it up.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

_BLOCK = 256 * 1024
_DONE_WITHIN = 10.0
T = TypeVar("T")


class TcpProxy:
    """Listens from its making until ``close``, and passes on what comes to the target's port, which may come and go.

    ``port`` chooses where to listen; 0 takes a free one.
    """

    def __init__(self, target_host: str, target_port: int, port: int = 0) -> None:
        self.target = (target_host, target_port)
        self.passed = 0
        """How many connections were taken and not dropped at once."""
        self._connections: set[asyncio.Task[None]] = set()
        self._refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", port))
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def address(self) -> str:
        """HOST:PORT to connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    def cut(self) -> None:
        """Drop all connections, with a reset; new ones are still taken, unless refused."""
        self._do(self._cut())

    def refuse(self) -> None:
        """From now on drop new connections as they come; those that are open stay."""
        self._refusing = True

    def accept(self) -> None:
        """Take new connections again."""
        self._refusing = False

    def freeze(self) -> None:
        """Hold back every byte, both ways, and keep the connections open: a network that swallows packets."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def thaw(self) -> None:
        """Pass on what was held back and what follows."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def close(self) -> None:
        """Drop all connections and stop listening. A second call does nothing."""
        if not self._loop.is_closed():
            self._do(self._shut())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_DONE_WITHIN)
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_DONE_WITHIN)

    async def _shut(self) -> None:
        # In the loop's own thread: a connection that ends at the same time also looks whether the server is closed.
        self._server.close()
        await self._cut()

    async def _cut(self) -> None:
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        self.passed += 1
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._pass_on(reader, writer)
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self.target)
        ways = [
            asyncio.ensure_future(self._pump(reader, far_writer)),
            asyncio.ensure_future(self._pump(far_reader, writer)),
        ]
        try:
            # When one end is done, so is the connection: no protocol here uses half of one.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            far_writer.transport.abort()  # before anything is awaited: a cut may cancel what ends by itself just now
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while block := await source.read(_BLOCK):
            await self._flowing.wait()
            target.write(block)
            await target.drain()

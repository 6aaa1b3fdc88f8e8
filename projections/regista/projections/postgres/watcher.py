"""Noticing what a projector commits: it notifies, and the event loop sees the connection become readable."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import psycopg

from regista.domain.errors import Unavailable
from regista.projections.postgres.connection import CHANNEL, Connection, connect

_AGAIN = 0.5
"""Seconds between two attempts to listen."""


class PostgresWatcher:
    """Implements ``Watcher``. Belongs to one event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None

    async def changed(self, timeout: float, *, eager: bool) -> bool:  # noqa: ARG002, ASYNC109 - a result, not an exception
        """As ``Watcher.changed``. Whoever begins to listen, or could not, knows nothing: that counts as a change."""
        if self._connection is None:
            try:
                await self._listen()
            except Unavailable:
                await asyncio.sleep(min(_AGAIN, timeout))
            return True
        try:
            return self._heard(self._connection) or await self._hear(self._connection, timeout)
        except psycopg.Error:
            self._drop()
            return True

    def close(self) -> None:
        """As ``Watcher.close``."""
        if self._connecting is not None:
            self._connecting.add_done_callback(_close_late)
            self._connecting = None
        self._drop()

    async def _listen(self) -> None:
        if self._connecting is None:
            self._connecting = asyncio.create_task(asyncio.to_thread(_listening, self._url))
        try:
            connection = await asyncio.shield(self._connecting)
        except Exception:
            self._connecting = None
            raise
        self._connection, self._connecting = connection, None

    async def _hear(self, connection: Connection, timeout: float) -> bool:  # noqa: ASYNC109 - a result
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(connection.fileno(), readable.set)
        try:
            async with asyncio.timeout(timeout):
                await readable.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(connection.fileno())
        return self._heard(connection)

    @staticmethod
    def _heard(connection: Connection) -> bool:
        """Whether notices came in; waits for nothing."""
        connection.pgconn.consume_input()
        heard = False
        while connection.pgconn.notifies() is not None:
            heard = True
        return heard

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()


def _listening(url: str) -> Connection:
    return connect(url, "watcher", f"LISTEN {CHANNEL}")


def _close_late(connecting: asyncio.Task[Connection]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().close()

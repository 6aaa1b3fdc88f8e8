"""Noticing what a projector commits: it notifies, and the event loop sees the connection become readable."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Lock

import psycopg

from regista.domain.errors import Unavailable
from regista.projections.postgres.connection import CHANNEL, Connection, connect
from regista.within import set_within

_AGAIN = 0.5
"""Seconds between two attempts to listen."""


class PostgresWatcher:
    """Implements ``Watcher``. Belongs to one event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._connecting: asyncio.Future[None] | None = None
        self._lock = Lock()
        self._is_closed = False

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
        with self._lock:
            self._is_closed = True
        self._drop()

    async def _listen(self) -> None:
        """Begin to listen, in a thread; one that is under way goes on when this is cancelled."""
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().run_in_executor(None, self._connect)
        connecting = self._connecting
        try:
            await asyncio.shield(connecting)
        finally:
            if connecting.done():
                self._connecting = None

    def _connect(self) -> None:
        connection = connect(self._url, "watcher", f"LISTEN {CHANNEL}")
        with self._lock:
            if not self._is_closed:
                self._connection = connection
                return
        connection.close()

    async def _hear(self, connection: Connection, timeout: float) -> bool:  # noqa: ASYNC109 - a result
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(connection.fileno(), readable.set)
        try:
            if not await set_within(readable, timeout):
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

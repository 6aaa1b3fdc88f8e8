"""Connections to the database: how a session is set up, and a pool of them that hands out none that has died.

The session settings do not depend on the server's: what is promised of an append holds on every one.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, TypeAlias

import psycopg

from regista.store.idle import IdleConnections
from regista.store.postgres.address import Address

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_STATEMENT_TIMEOUT = 30_000
"""Milliseconds."""
_IDLE_TIMEOUT = 10_000
"""Milliseconds within a transaction: a session whose process hangs gives the write lock to the next registrar."""
_READERS = 16
_PATIENCE = 10.0
_SESSION = f"""
    SET search_path = pg_catalog;
    SET default_transaction_isolation = 'read committed';
    SET statement_timeout = {_STATEMENT_TIMEOUT};
    SET idle_in_transaction_session_timeout = {_IDLE_TIMEOUT};
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
# Read committed: what is read after the write lock was taken is what the holder before it left. No sequential scans:
# every statement looks up by index, and a plan that was cached while the tables were small would go on scanning them.


def connect(address: Address, *, lock_timeout: float, to_write: bool = False) -> Connection:
    """A session in autocommit; ``lock_timeout`` in seconds.

    Raises:
        psycopg.Error: the database cannot be reached.
    """
    connection = psycopg.connect(address.conninfo(to_write=to_write), autocommit=True)
    try:
        connection.execute(_SESSION)
        connection.execute(f"SET lock_timeout = {int(lock_timeout * 1000)}")
    except BaseException:
        connection.close()
        raise
    return connection


def is_alive(connection: Connection) -> bool:
    """Whether an idle connection can still be used. The server speaks unasked when it ends a session, as do the dead."""
    if connection.closed or connection.broken:
        return False
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return not waiting.poll(0)


class ReaderPool(IdleConnections[Connection]):
    """Connections for reading, one for each read that runs at the same time, kept for the next.

    ``to_write``: those of a server that can be written, where the address names several.
    """

    def __init__(
        self, address: Address, *, lock_timeout: float = 5.0, size: int = _READERS, to_write: bool = False
    ) -> None:
        super().__init__()
        self._address = address
        self._to_write = to_write
        self._lock_timeout = lock_timeout
        self._free = BoundedSemaphore(size)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for one read. One that failed is not kept.

        Raises:
            psycopg.Error: the pool is closed, all of it is busy for long, or the database cannot be reached.
        """
        if self._closed:
            raise psycopg.InterfaceError("the log is closed")
        if not self._free.acquire(timeout=_PATIENCE):
            raise psycopg.OperationalError("too many reads at the same time")
        try:
            connection = self._take()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._give_back(connection)
        finally:
            self._free.release()

    def _take(self) -> Connection:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return connect(self._address, lock_timeout=self._lock_timeout, to_write=self._to_write)
            if is_alive(connection):
                return connection
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        self._idle.append(connection)
        if self._closed:
            self._close_idle()

"""Which of several processes works while the others stand by, by a lock that ends with the session that holds it.

For peace only: a session that was cut off believes in its lock a little longer than the server does.
"""

from __future__ import annotations

import asyncio
import logging

import psycopg

from regista.store.leadership import lock_key
from regista.store.postgres.address import Address

_LOOK = 0.5
_log = logging.getLogger("regista.store")


class PostgresLeadership:
    """An advisory lock of the database, one for each ``name``. Needs sessions: a pooler of transactions breaks it."""

    def __init__(self, url: str, name: str = "relay") -> None:
        """Ask for nothing yet.

        Raises:
            Invalid: ``settings_invalid``: the address cannot be read.
        """
        self._address = Address(url)
        self._key = lock_key(name)
        self._session: psycopg.AsyncConnection[tuple[object, ...]] | None = None

    async def acquire(self) -> None:
        """Wait until it is ours; while the database cannot be reached it is nobody's."""
        complained = False
        while not await self._is_held():
            try:
                if await self._try():
                    return
            except psycopg.Error as error:
                if not complained:
                    complained = True
                    text = self._address.scrubbed(" ".join(str(error).split()))
                    _log.warning("waiting for the lock in %s: %s", self._address.shown, text)
                await self.release()
            except BaseException:
                await self.release()
                raise
            await asyncio.sleep(_LOOK)

    async def release(self) -> None:
        """Give it up; nothing happens where it is not ours."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _is_held(self) -> bool:
        """Whether the session that took the lock is still there."""
        if self._session is None:
            return False
        try:
            found = await (
                await self._session.execute(
                    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted LIMIT 1"
                )
            ).fetchone()
        except psycopg.Error:
            await self.release()
            return False
        return found is not None

    async def _try(self) -> bool:
        if self._session is None:
            self._session = await psycopg.AsyncConnection.connect(
                self._address.conninfo(to_write=True), autocommit=True
            )
        cursor = await self._session.execute("SELECT pg_try_advisory_lock(%s)", (self._key,))
        found = await cursor.fetchone()
        return bool(found and found[0])

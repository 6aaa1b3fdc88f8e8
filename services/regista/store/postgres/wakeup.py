"""Hears of appends, also by other processes, the moment they are committed: LISTEN and NOTIFY.

A wake-up may be missed, while there is no connection above all: whoever is woken must poll as well.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

import psycopg

from regista.store.postgres.address import Address
from regista.store.postgres.schema import CHANNEL

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_CHECK = 30.0
"""Seconds after which the connection is asked whether it is alive."""
_log = logging.getLogger("regista.store")


class PostgresWakeup:
    """Calls ``notify`` on the event loop after appends, and after each time of not listening."""

    def __init__(self, url: str, *notify: Callable[[], None]) -> None:
        """Listen to nothing yet.

        Raises:
            Invalid: ``settings_invalid``: the address cannot be read.
        """
        self._address = Address(url)
        self._notify = notify

    async def run(self) -> None:
        """Listen until cancelled. A connection that is lost is made again, for as long as it takes."""
        pause = _FIRST_PAUSE
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._address.conninfo(to_write=True), autocommit=True
                ) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    pause = _FIRST_PAUSE
                    await self._listen(connection)
            except psycopg.Error as error:
                text = self._address.scrubbed(" ".join(str(error).split()))
                _log.warning("not woken by %s, polling goes on: %s", self._address.shown, text)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnections
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _listen(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        while True:
            self._wake()
            async for _ in connection.notifies(timeout=_CHECK):
                self._wake()
            await connection.execute("SELECT 1")

    def _wake(self) -> None:
        for notify in self._notify:
            notify()

"""Reads of the work database that wait until a consumer has followed the log far enough."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from regista.domain.errors import BeyondLog, Unavailable
from regista.work.cursors import position_of

WITHIN = 2.0
"""Seconds that a read waits."""
_LOOK_EVERY = 0.02
T = TypeVar("T")


class Database(Protocol):
    """What runs a function in a transaction."""

    async def run(self, function: Callable[[Connection], T]) -> T:
        """Run it, and return what it returns."""


async def wait_for(
    database: Database, name: str, position: int, end: Callable[[], int], behind: Callable[[int], Unavailable]
) -> None:
    """Return when the consumer has followed the log to a position, in whichever process it is.

    ``end`` gives the log's newest position, and may block. ``behind`` makes the error of one that has come only to the
    position it is given.

    Raises:
        BeyondLog: the log ends before it.
        Unavailable: what ``behind`` made, after two seconds.
    """

    def reached(connection: Connection) -> int:
        return position_of(connection, name)

    if await database.run(reached) >= position:
        return
    if position > (newest := await asyncio.to_thread(end)):
        raise BeyondLog(f"the log ends at {newest}, before position {position}")
    clock = asyncio.get_running_loop().time
    until = clock() + WITHIN
    while (found := await database.run(reached)) < position:
        if clock() > until:
            raise behind(found)
        await asyncio.sleep(_LOOK_EVERY)

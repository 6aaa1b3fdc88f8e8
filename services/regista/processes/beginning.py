"""From where on events have effects, for a process that follows the log by a topic and does so for the first time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from regista.domain.errors import RegistaError

if TYPE_CHECKING:
    from regista.client import AsyncClient
    from regista.projections.feed import Feed
    from regista.store.log import LogReader

_WITHIN: Final = 5.0
logger = logging.getLogger("regista.workers")


class Beginning:
    """How far the log had come when this process began: what was written before is only known.

    The registry is asked, not the topic. That may lag behind the log, and old events would come as if they were new; or
    it is empty yet, and the first changes are there before anything can be read.
    """

    def __init__(self, ask: Callable[[], Awaitable[tuple[str, int]]], feed: Feed) -> None:
        """``ask`` gives the identity of the registry's log and its newest position, and may raise ``RegistaError``."""
        self._ask = ask
        self._feed = feed
        self._noted: tuple[str, int] | None = None

    async def note(self) -> None:
        """Remember how far the log is now, where the registry answers: it begins here."""
        self._noted = await self._asked()

    async def end(self, log_id: str) -> int:
        """The position of a log's newest event when it was noted; where that was not possible, as it is now.

        Raises:
            RegistaError: what the feed raises.
        """
        found = self._noted
        if found is None or found[0] != log_id:
            found = await self._asked()
        if found is None or found[0] != log_id:
            newest = await self._feed.newest()
            logger.warning("the registry does not say how far the log %s is: effects begin behind %d", log_id, newest)
            return newest
        return found[1]

    async def _asked(self) -> tuple[str, int] | None:
        """The log of the registry, and how far it is; None where it does not answer."""
        try:
            async with asyncio.timeout(_WITHIN):
                return await self._ask()
        except (RegistaError, TimeoutError):
            return None


async def told_by(client: AsyncClient) -> tuple[str, int]:
    """What a registry says of its log.

    Raises:
        RegistaError: it does not answer.
    """
    status = await client.status()
    return status.log_id, status.log_position


async def read_from(log: LogReader) -> tuple[str, int]:
    """What the store has of a log.

    Raises:
        Unavailable: it cannot be read.
    """
    return await asyncio.to_thread(lambda: (log.log_id, log.max_position()))

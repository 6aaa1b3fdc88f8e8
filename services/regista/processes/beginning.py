"""From where on events have effects, for a process that follows the log by a topic and does so for the first time."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from regista.client import AsyncClient
from regista.domain.errors import RegistaError
from regista.projections.feed import Feed

_WITHIN: Final = 5.0
logger = logging.getLogger("regista.workers")


class Beginning:
    """How far the log had come when this process began: what was written before is only known.

    The registry is asked, not the topic. That may lag behind the log, and old events would come as if they were new; or
    it is empty yet, and the first changes are there before anything can be read.
    """

    def __init__(self, client: AsyncClient, feed: Feed) -> None:
        """Closing both is their owner's business."""
        self._client = client
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
                status = await self._client.status()
        except (RegistaError, TimeoutError):
            return None
        return status.log_id, status.log_position

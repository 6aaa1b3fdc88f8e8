"""Waiting for the other side to come back: patiently, with jitter, and not in silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from regista.client.retry import Patience
from regista.domain.errors import RegistaError, Unavailable

logger = logging.getLogger("regista.subscriber")


class Outage:
    """How long nothing has come, and how often it was tried.

    After ``give_up_after`` seconds of it the error is raised; None waits for ever. ``told`` hears of each failed
    attempt, and by None that it is over.
    """

    def __init__(self, give_up_after: float | None, told: Callable[[RegistaError | None], None] | None) -> None:
        self._give_up_after = give_up_after
        self._told = told
        self._pauses = Patience()
        self._since: float | None = None
        self._attempts = 0

    def over(self) -> None:
        """The other side answers. One that does and hangs up again is not hammered all the same."""
        if self._since is None:
            return
        if self._told is not None:
            self._told(None)
        else:
            logger.info("the other side answers again, after %.1f s", monotonic() - self._since)
        self._since = None

    def came(self) -> None:
        """Something came."""
        self._attempts = 0

    async def wait(self, error: RegistaError | None) -> None:
        """Wait before the next attempt. ``error`` is what this one ended with; None: it was closed in order.

        Raises:
            RegistaError: the error, after ``give_up_after`` seconds of them.
        """
        if error is not None:
            now = monotonic()
            begins, self._since = self._since is None, self._since or now
            if self._give_up_after is not None and now - self._since >= self._give_up_after:
                raise error
            if self._told is not None:
                self._told(error)
            elif begins:
                logger.warning("no events come, waiting: %s", error)
        self._attempts += 1
        asked = error.retry_after if isinstance(error, Unavailable) else None
        await asyncio.sleep(self._pauses.pause(self._attempts, asked))

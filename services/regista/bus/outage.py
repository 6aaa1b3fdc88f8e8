"""Waiting for the other side to come back: patiently, with jitter, and not in silence."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from regista.client.retry import Patience
from regista.domain.errors import RegistaError, Unavailable

logger = logging.getLogger("regista.subscriber")


class Outage:
    """How long nothing has come, and how often it was tried.

    ``give_up_after`` seconds the error is raised; None waits for ever. ``told`` hears of each failed attempt.
    """

    def __init__(self, give_up_after: float | None, told: Callable[[RegistaError], None] | None) -> None:
        self._give_up_after = give_up_after
        self._told = told
        self._pauses = Patience()
        self._since: float | None = None
        self._attempts = 0

    def over(self) -> None:
        """Something came."""
        if self._attempts and self._since is not None:
            logger.info("events come again, after %.1f s", time.monotonic() - self._since)
        self._since, self._attempts = None, 0

    async def wait(self, error: RegistaError | None) -> None:
        """Wait before the next attempt. ``error`` is what this one ended with; None: it was closed in order.

        Raises:
            RegistaError: the error, after ``give_up_after`` seconds of them.
        """
        now = time.monotonic()
        if error is not None:
            self._since = self._since or now
            if self._give_up_after is not None and now - self._since >= self._give_up_after:
                raise error
            if self._told is not None:
                self._told(error)
            elif not self._attempts:
                logger.warning("no events come, waiting: %s", error)
        self._attempts += 1
        asked = error.retry_after if isinstance(error, Unavailable) else None
        await asyncio.sleep(self._pauses.pause(self._attempts, asked))

"""Waiting for something to grow: woken within this process, polled for what other processes add."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from regista.within import set_within


class Growth:
    """Belongs to one event loop. ``poll``: seconds between looks."""

    def __init__(self, poll: float) -> None:
        self._poll = poll
        self._grown = asyncio.Event()

    def notify(self) -> None:
        """Something was added."""
        self._grown.set()
        self._grown = asyncio.Event()

    async def wait(self, is_there: Callable[[], Awaitable[bool]], timeout: float) -> None:  # noqa: ASYNC109 - a poll interval, not a deadline
        """Return when ``is_there`` says so, after ``timeout`` seconds at the latest: it is cancelled then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while True:
                    grown = self._grown
                    if await is_there():
                        return
                    await set_within(grown, self._poll)

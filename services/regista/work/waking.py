"""Waiting for a time to pass or for somebody to say that there is work: no wake-up between two waits is lost."""

from __future__ import annotations

import asyncio

from regista.within import set_within


class Waking:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be waited for any more."""
        return self._ended.is_set()

    def wake(self) -> None:
        """There may be work."""
        self._woken.set()

    def end(self) -> None:
        """Wait no longer, and never again."""
        self._ended.set()
        self.wake()

    async def wait(self, seconds: float) -> None:
        """Return when somebody called since the last time, after some seconds at the latest."""
        if not self.is_over:
            await set_within(self._woken, seconds)
            self._woken.clear()

    async def over_within(self, seconds: float) -> None:
        """Let some seconds pass, unless nothing is to be waited for any more before."""
        if not self.is_over and seconds > 0:
            await set_within(self._ended, seconds)

"""Waiting for a time to pass or for somebody to say that there is work: no wake-up between two waits is lost."""

from __future__ import annotations

import asyncio

from regista.within import set_within


class Waking:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._over = False

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be waited for any more."""
        return self._over

    def wake(self) -> None:
        """There may be work."""
        self._woken.set()

    def end(self) -> None:
        """Wait no longer, and never again."""
        self._over = True
        self.wake()

    async def wait(self, seconds: float) -> None:
        """Return when somebody called since the last time, after some seconds at the latest."""
        if not self._over:
            await set_within(self._woken, seconds)
            self._woken.clear()

"""Whoever waits for views to come as far as a position."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

Reached: TypeAlias = Callable[[int, frozenset[str]], bool]
"""Whether the views of these names answer for a position."""


class Waiters:
    """Futures that become true when a position is reached. Belongs to one event loop."""

    def __init__(self, reached: Reached) -> None:
        self._reached = reached
        self._waiting: list[tuple[int, frozenset[str], asyncio.Future[bool]]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    async def wait(self, position: int, names: frozenset[str], seconds: float, wake: Callable[[], None]) -> bool:
        """Whether the position is reached within some seconds; ``wake`` is called when that has to be waited for."""
        if self._reached(position, names):
            return True
        if seconds <= 0:
            return False
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((position, names, future))
        wake()
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            return False
        finally:
            self._waiting = [waiter for waiter in self._waiting if waiter[2] is not future]

    def settle(self) -> None:
        """Answer those whose position is reached."""
        for position, names, future in self._waiting:
            if not future.done() and self._reached(position, names):
                future.set_result(True)

    def dismiss(self) -> None:
        """Answer all of them: no."""
        for _, _, future in self._waiting:
            if not future.done():
                future.set_result(False)


class Pause:
    """One wait at a time that others can cut short. Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: asyncio.Task[object] | None = None
        self._over = False

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be waited for any more."""
        return self._over

    async def until(self, happens: Coroutine[Any, Any, object]) -> None:
        """Wait until it happens, or until ``wake``; not at all once this is over."""
        if self._over:
            happens.close()
            return
        self._waiting = asyncio.create_task(happens)
        try:
            await asyncio.wait([self._waiting])
        finally:
            self._waiting.cancel()
        if not self._waiting.cancelled():
            self._waiting.result()

    def wake(self) -> None:
        """Wait no longer."""
        if self._waiting is not None:
            self._waiting.cancel()

    def end(self) -> None:
        """Wait no longer, and never again."""
        self._over = True
        self.wake()

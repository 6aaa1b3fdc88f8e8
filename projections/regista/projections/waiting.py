"""Whoever waits for views to come as far as a position."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

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

"""The long-running parts of a process as tasks: started together, ended together, and none ends unnoticed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Literal, TypeAlias

End: TypeAlias = Literal["itself", "cancelling"]
ITSELF: End = "itself"
CANCELLING: End = "cancelling"
logger = logging.getLogger("regista.tasks")


class Tasks:
    """Runs parts until they are told to end. Belongs to one event loop.

    ``failed`` is set when a part ended that was not told to: with an error, which is logged, or just so.
    """

    def __init__(self) -> None:
        self._running: list[tuple[asyncio.Task[None], End]] = []
        self._leaving = False
        self.failed = asyncio.Event()

    def start(self, name: str, work: Coroutine[Any, Any, None], *, ends_by: End = ITSELF) -> None:
        """Run a part, which is told to end by its owner or else, with ``CANCELLING``, by ``leave``."""
        self._running.append((asyncio.create_task(self._watched(name, work), name=name), ends_by))

    def leave(self) -> None:
        """From now on parts may end, and those that end by being cancelled are."""
        self._leaving = True
        for task, ends_by in self._running:
            if ends_by == CANCELLING:
                task.cancel()

    async def ended(self) -> None:
        """Wait until every part has ended."""
        self.leave()
        if self._running:
            await asyncio.wait([task for task, _ in self._running])

    async def _watched(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            logger.exception("%s has stopped", name)
        else:
            if not self._leaving:
                logger.error("%s has ended by itself", name)
        finally:
            if not self._leaving:
                self.failed.set()

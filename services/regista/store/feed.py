"""The log store as a feed: what projections read from while there is no Kafka between."""

from __future__ import annotations

import asyncio

from regista.domain.chain import Row
from regista.projections.feed import Batch, Mark, diverged
from regista.store.command_sets import command_of
from regista.store.growth import Growth
from regista.store.log import LogReader, newest_known

_POLL = 1.0
_STEP = 32


class StoreFeed:
    """Implements ``Feed`` over a log store. Belongs to one event loop.

    ``notify`` wakes waiters at once; another process's appends are seen by polling, within a second.
    """

    def __init__(self, store: LogReader, *, poll: float = _POLL) -> None:
        self._store = store
        self._growth = Growth(poll)
        self._looking: asyncio.Task[int] | None = None

    def notify(self) -> None:
        """Something was appended."""
        self._looking = None  # what it finds may be from before
        self._growth.notify()

    async def log_id(self) -> str:
        """The identity of the log."""
        return self._store.log_id

    async def newest(self) -> int:
        """The newest position."""
        return await asyncio.to_thread(self._store.max_position)

    async def read(self, after: Mark, limit: int) -> Batch:
        """As ``Feed.read``; the database works in a thread of its own."""
        return await asyncio.to_thread(self._read, after, limit)

    async def wait(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - a poll interval, not a deadline
        """As ``Feed.wait``. A store that cannot be asked keeps the waiter waiting; ``read`` will say why."""
        await self._growth.wait(lambda: self._is_beyond(position), timeout)

    async def _is_beyond(self, position: int) -> bool:
        """Whether there is more. However many wait, one asks where the answer is not at hand."""
        if self._store.immediate:
            return newest_known(self._store) > position
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(asyncio.to_thread(newest_known, self._store))
        # The others go on waiting for it when one gives up.
        return await asyncio.shield(self._looking) > position

    def _read(self, after: Mark, limit: int) -> Batch:
        rows = self._store.read(max(after.position, 1), limit + 1 if after.position else limit)
        if after.position:
            if not rows or rows[0].position != after.position:
                raise diverged(after, missing=True)
            if Mark.of(rows[0]) != after:
                raise diverged(after, missing=False)
            del rows[0]
        if len(rows) >= limit:
            self._complete(rows)
        return Batch(rows)

    def _complete(self, rows: list[Row]) -> None:
        """Add what is missing of the last row's atomic set; one that cannot be read is a set of its own."""
        command = command_of(rows[-1])
        while following := self._store.read(rows[-1].position + 1, _STEP):
            for row in following:
                if command is None or command_of(row) != command:
                    return
                rows.append(row)

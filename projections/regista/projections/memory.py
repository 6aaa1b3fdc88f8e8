"""A feed that holds its rows in memory: for tests, and for folding an export without a store."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from regista.domain.chain import Row
from regista.projections.feed import Batch, Mark, diverged
from regista.within import set_within


class MemoryFeed:
    """A ``Feed`` over a list. Every ``append`` is one atomic set. Belongs to one event loop."""

    def __init__(self, log_id: str = "memory") -> None:
        self.rows: list[Row] = []
        self._id = log_id
        self._ends: list[int] = []
        self._grown = asyncio.Event()

    def append(self, *rows: Row) -> None:
        """Add one atomic set and wake whoever waits.

        Raises:
            ValueError: a position that does not follow the last.
        """
        for row in rows:
            if self.rows and row.position <= self.rows[-1].position:
                raise ValueError(f"position {row.position} does not follow {self.rows[-1].position}")
            self.rows.append(row)
        self._ends.append(len(self.rows))
        self._grown.set()
        self._grown = asyncio.Event()

    def replace(self, rows: Sequence[Row]) -> None:
        """Become another log, each row a set of its own: what a store looks like that lost or changed rows."""
        self.rows = list(rows)
        self._ends = list(range(1, len(self.rows) + 1))

    @property
    def end(self) -> int:
        """The last position, 0 when empty."""
        return self.rows[-1].position if self.rows else 0

    async def log_id(self) -> str:
        """The identity that it was made with."""
        return self._id

    async def newest(self) -> int:
        """As ``Feed.newest``."""
        return self.end

    async def read(self, after: Mark, limit: int) -> Batch:
        """As ``Feed.read``."""
        start = bisect_right(self.rows, after.position, key=lambda row: row.position)
        if after.position:
            there = self.rows[start - 1] if start else None
            if there is None or there.position != after.position:
                raise diverged(after, missing=True)
            if Mark.of(there) != after:
                raise diverged(after, missing=False)
        if start == len(self.rows):
            return Batch()
        wanted = min(start + limit, len(self.rows))
        return Batch(tuple(self.rows[start : self._whole(wanted)]))

    def _whole(self, stop: int) -> int:
        return self._ends[bisect_left(self._ends, stop)]

    async def wait(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - the port's signature
        """As ``Feed.wait``."""
        if self.end <= position:
            await set_within(self._grown, timeout)

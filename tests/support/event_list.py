"""A view of events in memory, for the event stream."""

from __future__ import annotations

import asyncio

from regista.http.sse import frame
from regista.http.tail import Part, Told, Wanted

LOG_ID = "log-of-the-test"


def hash_of(position: int) -> str:
    """The hash that an event of this list has."""
    return f"{position:064x}"


class EventList:
    """Implements ``Source`` over a list. Positions are contiguous from 1."""

    def __init__(self, count: int = 0, *, largest: int = 1_000_000) -> None:
        """``largest`` is the most events of one reading, as where events are large."""
        self._largest = largest
        self._events: list[Told] = []
        self._grown = asyncio.Event()
        self.reads = 0
        self.broken: Exception | None = None
        self.add(count)

    def add(self, count: int = 1, *, model: str = "fraud", actor: str = "ci", padding: int = 0) -> None:
        for _ in range(count):
            position = len(self._events) + 1
            data = b'{"position":%d,"padding":"%b"}' % (position, b"x" * padding)
            told = Told(
                position, f"model/{model}", "test.v1", actor, frame(position, "test.v1", data), hash_of(position)
            )
            self._events.append(told)
        self._grown.set()
        self._grown = asyncio.Event()

    def position(self) -> int:
        return len(self._events)

    def end(self) -> int:
        return len(self._events)

    def log_id(self) -> str:
        return LOG_ID

    async def hash_at(self, position: int) -> str | None:
        return hash_of(position) if 0 < position <= len(self._events) else None

    async def read(self, after: int, limit: int, wanted: Wanted) -> Part:
        self.reads += 1
        if self.broken is not None:
            raise self.broken
        await asyncio.sleep(0)
        found = [event for event in self._events[after:] if event.is_wanted(wanted)]
        size = min(limit, self._largest)
        return Part(found[:size], len(found) > size)

    async def wait(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - as the protocol says
        if len(self._events) <= position:
            try:
                async with asyncio.timeout(timeout):
                    await self._grown.wait()
            except TimeoutError:
                pass

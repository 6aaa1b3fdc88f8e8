"""A source of events for subscribers, that a test fills, breaks and mends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from regista.bus.subscriber.logged import Bookmark, LoggedEvent
from regista.bus.subscriber.source import Item, Start
from regista.domain.errors import BeyondLog, RegistaError
from regista.domain.events import AliasRemoved

LOG_ID = "log-of-the-test"


def hash_of(position: int) -> str:
    """The hash that the event at a position has."""
    return f"{position:064x}"


def event(
    position: int,
    *,
    stream: str = "model/fraud",
    sequence: int | None = None,
    actor: str = "ci",
    command: str | None = None,
    log_id: str = LOG_ID,
    type_: str = AliasRemoved.TYPE,
    previous: str | None = None,
) -> LoggedEvent:
    """An event of a log whose one stream it is, unless the test says otherwise."""
    return LoggedEvent(
        position=position,
        stream=stream,
        sequence=position if sequence is None else sequence,
        type=type_,
        time=datetime(2026, 5, 1, tzinfo=UTC),
        actor=actor,
        identity="asserted",
        reason=None,
        command_id=command or f"command-{position}",
        cause=None,
        previous_hash=hash_of(position - 1) if previous is None else previous,
        hash=hash_of(position),
        log_id=log_id,
        data=AliasRemoved("fraud", "champion", "1.0.0", 1),
    )


class EventSource:
    """Implements ``Source`` over a list. ``reads`` are the places that were read on from.

    ``faults`` are raised by the next connections, ``None`` among them for one that works; ``hang_up`` ends those that
    are open, with an error or in order.
    """

    def __init__(self, items: Sequence[Item] = ()) -> None:
        self.items = list(items)
        self.faults: list[RegistaError | None] = []
        self.reads: list[Bookmark] = []
        self.closed = False
        self.piece = 100
        self._changed = asyncio.Event()
        self._ended: RegistaError | bool = False

    @classmethod
    def of(cls, count: int) -> EventSource:
        """A log of one stream with so many events."""
        return cls([event(position) for position in range(1, count + 1)])

    def add(self, *items: Item) -> None:
        self.items += items
        self._wake()

    def hang_up(self, error: RegistaError | None = None) -> None:
        self._ended = error or True
        self._wake()

    async def begin(self, start: Start) -> Bookmark:
        self._fail()
        last = next((item for item in reversed(self.items)), None)
        if start in ("start", 0) or last is None:
            return Bookmark(LOG_ID, 0, "")
        position = last.position if start == "end" else int(start)
        if position > last.position:
            raise BeyondLog(f"the log ends at {last.position}")
        return Bookmark(LOG_ID, position, hash_of(position))

    async def read(self, after: Bookmark) -> AsyncIterator[Sequence[Item]]:
        self.reads.append(after)
        self._fail()
        self._ended = False
        yield ()
        sent = next((n for n, item in enumerate(self.items) if item.position > after.position), len(self.items))
        while True:
            changed = self._changed
            if piece := self.items[sent : sent + self.piece]:
                sent += len(piece)
                yield piece
            elif isinstance(self._ended, RegistaError):
                raise self._ended
            elif self._ended:
                return
            else:
                await changed.wait()

    async def aclose(self) -> None:
        self.closed = True

    def _fail(self) -> None:
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

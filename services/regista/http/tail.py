"""The newest events in memory, read once for all readers of the event stream.

A reader that keeps up is served from here; one that is further behind reads the views by itself until it is not.
Events are pulled, never pushed, so a slow reader holds nothing here. Nothing runs while nobody reads.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from regista.domain.errors import RegistaError
from regista.within import set_within

CAPACITY = 10_000
"""Events kept."""
CAPACITY_BYTES = 32 * 2**20
"""Bytes of events kept."""
_PAGE = 200
logger = logging.getLogger("regista.http")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filters of the event stream, as of ``/v1/events``: None lets everything through."""

    stream: str | None = None
    model: str | None = None
    actor: str | None = None
    type: str | None = None

    def given(self) -> dict[str, str]:
        """The filters that are set."""
        return {name: value for name, value in asdict(self).items() if value is not None}


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Told:
    """An event ready to be sent: ``frame`` is its text in the event stream, ``hash`` the event's in hex."""

    position: int
    stream: str
    type: str
    actor: str
    frame: bytes
    hash: str

    def is_wanted(self, wanted: Wanted) -> bool:
        """Whether the filters let it through."""
        return (
            (wanted.stream is None or self.stream == wanted.stream)
            and (wanted.model is None or self.stream == f"model/{wanted.model.lower()}")
            and (wanted.actor is None or self.actor == wanted.actor)
            and (wanted.type is None or wanted.type in (self.type, _short(self.type)))
        )


def _short(kind: str) -> str:
    """``regista.version.promoted.v1`` may be asked for as ``version.promoted``."""
    return kind.removeprefix("regista.").rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Part:
    """The next events of a source, and whether it holds more behind them."""

    events: Sequence[Told] = ()
    more: bool = False


class Source(Protocol):
    """Where the event stream reads: the view of events, which only ever grows."""

    def log_id(self) -> str:
        """The identity of the log."""
        ...

    async def hash_at(self, position: int) -> str | None:
        """The hash, in hex, of the event at exactly this position of the log; None where there is none."""
        ...

    def position(self) -> int:
        """How far the view is folded."""
        ...

    def end(self) -> int:
        """The newest position of the log."""
        ...

    async def read(self, after: int, limit: int, wanted: Wanted) -> Part:
        """The next events behind a position, in order: ``limit`` at most, fewer where they are large.

        Raises:
            RegistaError: the view cannot be read, or not with these filters.
        """
        ...

    async def wait(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - a poll interval, not a deadline
        """Return when the view is beyond a position, after ``timeout`` seconds at the latest."""
        ...


class Tail:
    """Follows a source from the moment it is started. ``floor`` is the position behind which it holds everything."""

    def __init__(self, source: Source, *, poll: float) -> None:
        self._source = source
        self._poll = poll
        self._events: list[Told] = []
        self._positions: list[int] = []
        self._size = 0
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._hash: str | None = None
        self.floor = self.position = 0

    def start(self) -> None:
        """Follow from the present end of the view, unless it does so already."""
        if self._task is None or self._task.done():
            self._events, self._positions, self._size = [], [], 0
            self.floor = self.position = self._source.position()
            self._hash = None
            self._task = asyncio.create_task(self._follow())

    def stop(self) -> None:
        """Follow no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    @property
    def failed(self) -> bool:
        """Whether following has ended by itself: the views cannot be read."""
        return self._task is None or self._task.done()

    def since(self, position: int, wanted: Wanted) -> list[Told]:
        """The events kept behind a position, which must not be before ``floor``."""
        start = bisect_right(self._positions, position)
        return [event for event in self._events[start:] if event.is_wanted(wanted)]

    async def mark(self) -> tuple[int, str | None]:
        """Its position, and the hash of the event there."""
        position = self.position
        if self._hash is None:
            found = await self._source.hash_at(position)
            if self.position != position:
                return position, found
            self._hash = found
        return position, self._hash

    async def moved(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - the interval of heartbeats
        """Return when something is behind a position, or following ended, or after ``timeout`` seconds."""
        if self.position <= position and not self.failed:
            await set_within(self._moved, timeout)

    def wake(self) -> None:
        """Make everybody who waits look again."""
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _follow(self) -> None:
        try:
            while True:
                await self._source.wait(self.position, self._poll)
                part = await self._source.read(self.position, _PAGE, EVERYTHING)
                if part.events:
                    self._keep(part.events)
                    self.wake()
        except RegistaError as error:
            logger.warning("the views cannot be read, readers of the event stream are sent away: %s", error)
        except Exception:
            logger.exception("the event stream cannot read the views; its readers are sent away")
        finally:
            self.wake()

    def _keep(self, events: Sequence[Told]) -> None:
        self._events.extend(events)
        self._positions.extend(event.position for event in events)
        self.position, self._hash = self._positions[-1], events[-1].hash
        self._size += sum(len(event.frame) for event in events)
        if len(self._events) > CAPACITY or self._size > CAPACITY_BYTES:
            self._forget()

    def _forget(self) -> None:
        """Keep the newer half of what may be kept, so that this happens seldom."""
        surplus, size = 0, self._size
        while len(self._events) - surplus > CAPACITY // 2 or size > CAPACITY_BYTES // 2:
            size -= len(self._events[surplus].frame)
            surplus += 1
        self.floor = self._positions[surplus - 1]
        self._size = size
        del self._events[:surplus], self._positions[:surplus]

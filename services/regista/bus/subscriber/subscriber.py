"""Subscribing to the log: typed events in order, none missed, none twice, from where the last run came to.

One interface over the event stream of a registry (HTTP) and over Kafka. Delivery is at least once: the position is
stored when an event is done with, so that after a crash the first ones may come again. Where the position is stored in
the same transaction as the effects, each event takes effect once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from regista.bus.subscriber.arrivals import Arrivals, Sets
from regista.bus.subscriber.handling import Handler, Retries, handle
from regista.bus.subscriber.interest import Interest, Names
from regista.bus.subscriber.logged import Bookmark, LoggedEvent
from regista.bus.subscriber.opening import open_source
from regista.bus.subscriber.outage import Outage
from regista.bus.subscriber.parking import Park
from regista.bus.subscriber.positions import MemoryPositions, Positions
from regista.bus.subscriber.source import Item, Source, Start
from regista.client.errors import Unreachable
from regista.domain.errors import RegistaError, Unavailable

if TYPE_CHECKING:
    from regista.bus.settings import KafkaSettings

_PASSED_EVERY = 5.0
"""Seconds between two storings of a position that only went past events which nobody wants."""


class Subscriber:
    """A reader of the log with a place of its own.

    ::

        async with Subscriber("http://127.0.0.1:8080", positions=FilePositions("deployer.position")) as subscriber:
            async for event in subscriber:
                ...
                await event.done()

    ``url`` names a registry (default: ``REGISTA_URL``), ``kafka`` brokers instead: ``HOST:PORT``, with everything else
    from ``REGISTA_KAFKA_…``, or a ``KafkaSettings``. Without a stored position it begins at the log's end, or where
    ``from_`` says: ``"start"``, or behind a position. Filters of several values let any of them through; the position
    goes past what is held back. While the other side is away it waits, for ``give_up_after`` seconds at most where that
    is given; ``on_outage`` hears of each failed attempt, and by None that it is over, which is logged otherwise.
    ``silence`` is how many seconds without a sign of life make a connection count as broken.

    Raises:
        Malformed: ``unknown_type``.
        Invalid: ``bad_settings``; ``extra_missing``: Kafka is asked for and its client is not installed.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        kafka: str | KafkaSettings | None = None,
        positions: Positions | None = None,
        from_: Start = "end",
        types: Names = None,
        models: Names = None,
        streams: Names = None,
        actors: Names = None,
        token: str | None = None,
        actor: str | None = None,
        silence: float = 60.0,
        give_up_after: float | None = None,
        on_outage: Callable[[RegistaError | None], None] | None = None,
        source: Source | None = None,
    ) -> None:
        self._interest = Interest.of(types, models, streams, actors)
        self._source = source or open_source(url, kafka, self._interest, token=token, actor=actor, silence=silence)
        self._positions = positions or MemoryPositions()
        self._from = from_
        self._outage = Outage(give_up_after, on_outage)
        self._reading: AsyncIterator[Sequence[Item]] | None = None
        self._receiving: asyncio.Task[None] | None = None
        self._stopped = False
        self._stored = Bookmark("", 0, "")
        self._arrivals = Arrivals(self._stored, self._interest, self._done)
        self._stored_at = time.monotonic()

    @property
    def position(self) -> int:
        """The position stored: all up to it is done with."""
        return self._stored.position

    async def __aenter__(self) -> Self:
        """Find the place to begin at, waiting for the other side where it is away, and store it where it is new.

        Raises:
            RegistaError: the place cannot be found, or the stored position cannot be read.
        """
        try:
            await self._begin()
        except BaseException:
            await self._source.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._hang_up()
            if error is None:
                await self._store_passed()
        finally:
            await self._source.aclose()

    def stop(self) -> None:
        """End the iteration, or ``run``, behind the event that is in work. Call it on the subscriber's event loop."""
        self._stopped = True
        if self._receiving is not None:
            self._receiving.cancel()

    def __aiter__(self) -> AsyncIterator[LoggedEvent]:
        return self

    async def __anext__(self) -> LoggedEvent:
        """The next event; call its ``done`` once it is dealt with.

        Raises:
            Refused: ``another_log``, ``log_diverged``: the log is not the one of the stored position.
            Damaged: ``gap``, ``chain_broken``: events are missing, or were changed.
            RegistaError: what does not pass by waiting, or by waiting long enough.
        """
        while True:
            if (event := await self._next()) is not None:
                return event

    def sets(self) -> AsyncIterator[tuple[LoggedEvent, ...]]:
        """The events in atomic sets: those of one command come together. ``done`` of the last is done of all.

        Filters apply to the events in them.
        """
        return Sets(self._next)

    async def run(self, handler: Handler, *, retries: Retries | None = None, parking: Park | None = None) -> None:
        """Give each event to a handler, and store the position behind it, until ``stop``.

        An event whose handler raises is tried again; when that does not help either, it is parked, or, without
        ``parking``, the error is raised and the position stays before the event.

        Raises:
            Exception: what the handler raised last; besides what iterating raises.
        """
        chosen = retries or Retries()
        async for event in self:
            await handle(handler, event, chosen, parking)
            await event.done()

    async def _begin(self) -> None:
        found = await self._positions.load()
        if found is None:
            found = await self._until_answered(lambda: self._source.begin(self._from))
            await self._positions.store(found)
        self._stored = found
        self._arrivals = Arrivals(found, self._interest, self._done)

    async def _until_answered(self, ask: Callable[[], Awaitable[Bookmark]]) -> Bookmark:
        while True:
            try:
                answer = await ask()
            except (Unavailable, Unreachable) as error:
                await self._outage.wait(error)
            else:
                self._outage.over()
                self._outage.came()
                return answer

    async def _next(self) -> LoggedEvent | None:
        """The next event; None where an atomic set has ended."""
        while not self._arrivals and not self._stopped:
            if self._arrivals.broken is not None:
                raise self._arrivals.broken
            await self._receive()
            if time.monotonic() - self._stored_at >= _PASSED_EVERY:
                await self._store_passed()
        if self._stopped:
            raise StopAsyncIteration
        return self._arrivals.next()

    async def _receive(self) -> None:
        """Take in what comes next, over a new connection where the last has ended."""
        self._receiving = asyncio.ensure_future(self._take_next())
        try:
            await self._receiving
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._stopped or (task is not None and task.cancelling()):
                raise
        finally:
            self._receiving = None

    async def _take_next(self) -> None:
        # What came is taken in without another await: a caller that stops waiting loses nothing.
        fault: RegistaError | None = None
        if self._reading is None:
            self._reading = self._source.read(self._arrivals.passed)
        try:
            piece = await anext(self._reading)
            self._arrivals.take(piece)
        except StopAsyncIteration:
            self._reading = None
        except (Unavailable, Unreachable) as error:
            self._reading, fault = None, error
        except BaseException:
            await self._hang_up()
            raise
        else:
            self._outage.over()
            if piece:
                self._outage.came()
            return
        await self._outage.wait(fault)

    async def _done(self, event: LoggedEvent) -> None:
        if event.position > self._stored.position:
            finished = event.position >= self._arrivals.last_wanted
            await self._store(self._arrivals.passed if finished else event.bookmark)

    async def _store_passed(self) -> None:
        """Store how far the log was read, if everything that was handed out is done with."""
        self._stored_at = time.monotonic()
        passed = self._arrivals.passed
        if self._stored.position >= self._arrivals.last_wanted and passed.position > self._stored.position:
            await self._store(passed)

    async def _store(self, bookmark: Bookmark) -> None:
        await self._positions.store(bookmark)
        self._stored = bookmark
        self._stored_at = time.monotonic()

    async def _hang_up(self) -> None:
        reading, self._reading = self._reading, None
        close = getattr(reading, "aclose", None)
        if close is not None:
            await close()

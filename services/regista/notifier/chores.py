"""What the one that leads does beside sending: replays, disabling what is gone, forgetting, counting.

Each is done a little at a time, and tried again where it went wrong: nothing here stops a delivery.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Protocol

from sqlalchemy import Connection, select

from regista.domain.errors import NotFound, PreconditionFailed, RegistaError, Retired
from regista.domain.times import Clock
from regista.notifier import acts
from regista.notifier.engine import Database
from regista.notifier.ledger import Figures, figures
from regista.notifier.retention import Retention, forget
from regista.notifier.tables import EVENTS, SUBSCRIPTIONS
from regista.within import set_within
from regista.work.logged import Logged

_POLL = 1.0
_COUNT_EVERY = 1.0
_SPARING = 20
_FORGET_EVERY = 60.0
_LONGEST_BACK_OFF = 60.0
_ROWS = 500
logger = logging.getLogger("regista.notifier")


class History(Protocol):
    """The log from its beginning."""

    async def events(self, first: int, limit: int) -> Sequence[Logged]:
        """About ``limit`` events from this position on, itself included: whole atomic sets, so that it may begin before.

        Raises:
            RegistaError: the log cannot be read from here.
        """
        ...


class Registry(Protocol):
    """The registry, where the notifier says that a receiver is gone."""

    async def disable(self, gone: Gone) -> None:
        """Disable the subscription; the same asked again changes nothing.

        Raises:
            RegistaError: it was not done; ``PreconditionFailed``, ``NotFound``, ``Retired``: nor is it wanted any more.
        """
        ...

    async def aclose(self) -> None:
        """Give the connections back."""
        ...


@dataclass(frozen=True, slots=True)
class Gone:
    """A receiver answered a delivery with 410. ``sequence``: the newest event of the subscription then."""

    subscription: str
    sequence: int
    log_id: str
    position: int
    cause: str

    @property
    def key(self) -> str:
        """The idempotency key of what follows."""
        return f"notifier:{self.log_id}:{self.position}:{self.subscription}:gone"


class Chores:
    """Runs beside the engine. ``ready`` as there; ``wake``: something was queued."""

    def __init__(
        self,
        database: Database,
        *,
        registry: Registry,
        history: History,
        retention: Retention,
        clock: Clock,
        check: Callable[[Connection], None],
        ready: Callable[[], bool],
        wake: Callable[[], None],
        poll: float = _POLL,
        rows: int = _ROWS,
    ) -> None:
        self._database = database
        self._registry = registry
        self._history = history
        self._retention = retention
        self._clock = clock
        self._check = check
        self._ready = ready
        self._wake = wake
        self._poll = poll
        self._rows = rows
        self._closing = asyncio.Event()
        self._told: set[Gone] = set()
        self.figures = Figures()

    async def run(self) -> None:
        """Work until ``close``."""
        await asyncio.gather(
            self._every(self._poll, self._disable),
            self._every(self._poll, self._replay),
            self._every(_FORGET_EVERY, self._forget),
            self._every(_COUNT_EVERY, self._count, always=True),
        )

    def close(self) -> None:
        """End after what is in hand."""
        self._closing.set()

    async def _every(self, seconds: float, chore: Callable[[], Awaitable[None]], *, always: bool = False) -> None:
        failures = 0
        while not self._closing.is_set():
            try:
                if always or self._ready():
                    await chore()
                failures = 0
            except RegistaError as error:
                logger.warning("the notifier tries again: %s", error.detail)
                failures += 1
            except Exception:
                logger.exception("the notifier tries again")
                failures += 1
            await set_within(self._closing, min(seconds * 2**failures, max(seconds, _LONGEST_BACK_OFF)))

    async def _disable(self) -> None:
        found = await self._database.run(self._gone)
        self._told &= set(found)
        for gone in found:
            if gone in self._told:
                continue
            try:
                await self._registry.disable(gone)
            except (NotFound, PreconditionFailed, Retired) as error:
                logger.info("%s is not disabled: %s", gone.subscription, error.detail)
            self._told.add(gone)  # what follows from it is known as soon as its event is read

    def _gone(self, connection: Connection) -> list[Gone]:
        rows = connection.execute(
            select(
                SUBSCRIPTIONS.c.subscription,
                SUBSCRIPTIONS.c.sequence.label("newest"),
                EVENTS.c.log_id,
                EVENTS.c.position,
                EVENTS.c.stream,
                EVENTS.c.sequence,
            )
            .join(EVENTS, EVENTS.c.position == SUBSCRIPTIONS.c.gone)
            .where(SUBSCRIPTIONS.c.disabled.is_(False), SUBSCRIPTIONS.c.removed.is_(False))
        )
        return [
            Gone(row.subscription, row.newest, row.log_id, row.position, f"{row.stream}@{row.sequence}") for row in rows
        ]

    async def _replay(self) -> None:
        for replay in await self._database.run(acts.replays):
            await self._carry_out(replay)

    async def _carry_out(self, replay: acts.Replay) -> None:
        while not self._closing.is_set() and self._ready():
            events = await self._history.events(replay.next, self._rows)
            reached = events[-1].position if events else replay.last
            await self._database.run(partial(self._go_on, replay, events, reached, self._clock()))
            self._wake()
            if reached >= replay.last:
                return
            replay = acts.Replay(replay.id, replay.subscription, reached + 1, replay.last)

    def _go_on(
        self, replay: acts.Replay, events: Sequence[Logged], reached: int, now: datetime, connection: Connection
    ) -> None:
        self._check(connection)
        acts.go_on(connection, replay, events, reached, now)

    async def _forget(self) -> None:
        while await self._database.run(partial(forget, retention=self._retention, now=self._clock())):
            if self._closing.is_set():
                return

    async def _count(self) -> None:
        begun = perf_counter()
        self.figures = await self._database.run(figures)
        # Of millions that wait, counting takes its time: it is not to take all of the database's.
        await set_within(self._closing, _SPARING * (perf_counter() - begun))

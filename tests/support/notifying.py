"""The notifier's engine over a work database, fed with events that no log has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, select
from tests.support.receiver import KEY

from regista.domain.events import AliasAssigned, Event
from regista.notifier.effects import NotifierEffects
from regista.notifier.engine import Engine, Means
from regista.notifier.filters import Filter
from regista.notifier.queue import Outcome
from regista.notifier.room import Bounds
from regista.notifier.schedule import Schedule
from regista.notifier.sender import HttpSender, Limits, Sender
from regista.notifier.subscriptions import Secret, Subscription, save
from regista.notifier.tables import DELIVERIES
from regista.work.database import Component
from regista.work.logged import Logged

T = TypeVar("T")
LOG = "0190a5f4-0000-7000-8000-000000000001"
START = datetime(2026, 5, 4, 12, tzinfo=UTC)
AT_ONCE = Schedule((0.01,) * 50, jitter=0)
"""For tests that are not about the schedule."""


def logged(position: int, stream: str = "model/fraud", event: Event | None = None, **given: Any) -> Logged:
    """An event at its place."""
    event = event or AliasAssigned(
        model=stream.partition("/")[2],
        version="1.0.0",
        ordinal=1,
        artifact_digest="sha256:0",
        alias="champion",
        previous_version=None,
    )
    values: dict[str, Any] = {
        "position": position,
        "stream": stream,
        "sequence": position,
        "time": START,
        "actor": "ann",
        "identity": "asserted",
        "reason": None,
        "command_id": f"command-{position}",
        "cause": None,
        "type": type(event).TYPE,
        "event": event,
        "hash": "00",
        "log_id": LOG,
        "previous_hash": "00",
        "traceparent": None,
    }
    return Logged(**{**values, **given})


def subscription(
    url: str, id_: str = "one", *, secrets: Sequence[Secret] = (Secret("key"),), **given: Any
) -> Subscription:
    """One that wants everything."""
    return Subscription(
        id_, 1, url, given.pop("template", "cloudevents"), given.pop("filter", Filter()), tuple(secrets), **given
    )


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


class Kept(Protocol):
    """The work database, or something that stands before it."""

    async def run(self, function: Callable[[Connection], T]) -> T: ...

    def migrate(self, component: Component) -> None: ...


@dataclass
class Running:
    """An engine at work, with what feeds it."""

    work: Kept
    keys: dict[str, str]
    engine: Engine = field(init=False)
    effects: NotifierEffects = field(init=False)
    outcomes: list[Outcome] = field(default_factory=list)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def subscribe(self, *subscriptions: Subscription) -> None:
        for one in subscriptions:
            await self.work.run(lambda connection, one=one: save(connection, one, START))  # type: ignore[misc]

    async def happen(self, *events: Logged) -> None:
        await self.work.run(lambda connection: self.effects.take(connection, events))
        self.effects.taken()

    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._ended.set()

    async def until_tried(self, count: int, within: float = 20.0) -> None:
        """Return when so many attempts have ended."""
        async with asyncio.timeout(within):
            while len(self.outcomes) < count:
                self._ended.clear()
                await self._ended.wait()

    async def until_states(self, wanted: Iterable[str], within: float = 20.0) -> None:
        """Return when the deliveries, by subscription and position, are in these states."""
        expected = list(wanted)
        async with asyncio.timeout(within):
            while (found := await self.states()) != expected:
                assert len(found) <= len(expected), found
                self.engine.wake()
                await asyncio.sleep(0.005)

    async def states(self) -> list[str]:
        query = select(DELIVERIES.c.state).order_by(DELIVERIES.c.subscription, DELIVERIES.c.position)
        return await self.work.run(lambda connection: list(connection.execute(query).scalars()))


@asynccontextmanager
async def notifying(
    work: Kept,
    *,
    schedule: Schedule = AT_ONCE,
    clock: Callable[[], datetime] | None = None,
    bounds: Bounds | None = None,
    sender: Sender | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[Running]:
    """An engine that sends, until the block ends."""
    keys = {"key": KEY}

    async def secret(id_: str) -> str | None:
        return keys.get(id_, id_ if "://" in id_ else None)

    post = sender or HttpSender(allow_private=True, limits=limits or Limits())
    now = clock or (lambda: datetime.now(UTC))
    running = Running(work, keys)
    means = Means(post, secret, schedule, bounds or Bounds(), now, lambda: 0.5, running.ended)
    engine = Engine(work, means, check=lambda _connection: None, ready=lambda: True, grace=0.2)
    running.engine, running.effects = engine, NotifierEffects(engine.wake, now)
    work.migrate(running.effects.component)
    task = asyncio.create_task(engine.run())
    try:
        yield running
    finally:
        engine.close()
        await task
        await post.aclose()

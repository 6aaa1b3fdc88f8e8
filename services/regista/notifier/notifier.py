"""The notifier as a part of a process: follows the log, sends what it leads to, and says how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import CollectorRegistry

from regista.domain.errors import Reason
from regista.domain.times import Clock, micros, moment, utc_now
from regista.http.parts import PartState
from regista.notifier.chores import Chores, History, Registry
from regista.notifier.effects import NAME, NotifierEffects
from regista.notifier.engine import Engine, Means
from regista.notifier.metrics import Gauges, WebhookMetrics
from regista.notifier.retention import Retention
from regista.notifier.room import Bounds
from regista.notifier.schedule import Schedule
from regista.notifier.sender import HttpSender, Limits, Sender
from regista.projections.feed import Feed
from regista.store.log import LogReader
from regista.work.consumer import Consumer, End
from regista.work.database import Work
from regista.work.logged import Logged, decoded


@dataclass(frozen=True, slots=True)
class Configuration:
    """How webhooks are sent and kept."""

    allow_private: bool = False
    schedule: Schedule = field(default_factory=Schedule)
    bounds: Bounds = field(default_factory=Bounds)
    limits: Limits = field(default_factory=Limits)
    retention: Retention = field(default_factory=Retention)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the notifier is given. ``secret`` as in ``Means``; ``end``: the log's.

    ``start`` and ``begins`` are what ``Consumer`` calls ``start`` and ``end``.
    """

    work: Work
    feed: Feed
    history: History
    registry: Registry
    secret: Callable[[str], Awaitable[str | None]]
    end: Callable[[], int]
    start: int | None = None
    begins: End | None = None
    sender: Sender | None = None
    clock: Clock = utc_now


class Notifier:
    """Implements ``Part``. Of several processes one works, the others stand by. Belongs to one event loop."""

    name = NAME

    def __init__(
        self,
        surroundings: Surroundings,
        configuration: Configuration,
        metrics: CollectorRegistry | None = None,
        *,
        hindering: bool = False,
    ) -> None:
        """``metrics``: where the counters go, if anywhere. ``hindering``: trouble here makes the process not ready.

        Raises:
            Damaged: ``work_newer``.
            Unavailable: ``work_unavailable``.
        """
        given = surroundings
        self._hindering = hindering
        self._around = given
        self._sender = given.sender or HttpSender(
            allow_private=configuration.allow_private, limits=configuration.limits
        )
        means = Means(self._sender, given.secret, configuration.schedule, configuration.bounds, given.clock)
        self._followed = False
        self._metrics = WebhookMetrics(metrics, self._gauges) if metrics is not None else None
        if self._metrics is not None:
            means = replace(means, ended=self._metrics.ended)
        self.effects = NotifierEffects(self.wake, given.clock)
        self.consumer = Consumer(given.work, self.effects, given.feed, start=given.start, end=given.begins)
        check = self.consumer.taking.check
        self._engine = Engine(given.work, means, check=check, ready=self._is_ready)
        self._chores = Chores(
            given.work,
            registry=given.registry,
            history=given.history,
            retention=configuration.retention,
            clock=given.clock,
            check=check,
            ready=self._is_ready,
            wake=self.wake,
        )

    def wake(self, _subscriptions: object = None) -> None:
        """There may be something to send."""
        self._engine.wake()

    async def run(self) -> None:
        """Work until ``close``."""
        try:
            await asyncio.gather(self.consumer.run(), self._engine.run(), self._chores.run())
        finally:
            await self._sender.aclose()
            await self._around.registry.aclose()

    async def close(self) -> None:
        """End: what is being sent has a moment to be answered."""
        self._engine.close()
        self._chores.close()
        await self.consumer.close()

    def state(self) -> PartState:
        """How it stands."""
        status, figures = self.consumer.status(), self._chores.figures
        shown: dict[str, Any] = {
            "state": status.state,
            "position": status.position,
            "effects_from": status.effects_from,
            "subscriptions": figures.subscriptions,
            "open": figures.open,
            "dead": figures.dead,
            "oldest_open_since": None if figures.oldest is None else moment(figures.oldest).isoformat(),
            "under_way": self._engine.under_way,
            "error": status.error,
            "hint": status.hint,
        }
        hindrance = None
        if status.error is not None and self._hindering:
            hindrance = Reason(status.code or "waiting", status.error, self.name, status.hint)
        return PartState(shown, hindrance)

    def _is_ready(self) -> bool:
        """Whether this one leads, and has read the log to its end since it began to lead.

        Before that it may not know yet that a subscription was removed. A log that cannot be read for a while later
        stops nothing.
        """
        if not self.consumer.is_leading:
            self._followed = False
        elif self.consumer.status().state == "following":
            self._followed = True
        return self._followed

    def _lag(self) -> int:
        return max(0, self._around.end() - self.consumer.status().position)

    def _gauges(self) -> Gauges:
        figures = self._chores.figures
        waits = 0.0 if figures.oldest is None else (micros(self._around.clock()) - figures.oldest) / 1_000_000
        return Gauges(self._lag(), figures.open, figures.dead, max(0.0, waits), self._engine.under_way)


class LogHistory:
    """Implements ``History`` over a log that can be read beside whoever writes it."""

    def __init__(self, log: LogReader) -> None:
        self._log = log

    async def events(self, first: int, limit: int) -> Sequence[Logged]:
        """As ``History.events``."""
        return await asyncio.to_thread(self._read, first, limit)

    def _read(self, first: int, limit: int) -> list[Logged]:
        events = [decoded(row, self._log.log_id) for row in self._log.read(first, limit)]
        if not events:
            return events
        before = (event for event in self._set_of(events[0]) if event.position < events[0].position)
        behind = (event for event in self._set_of(events[-1]) if event.position > events[-1].position)
        return [*before, *events, *behind]

    def _set_of(self, event: Logged) -> list[Logged]:
        """All events of the command that an event is of."""
        found = self._log.find_command(event.actor, event.command_id)
        rows = [] if found is None or found.count == 1 else self._log.rows_of_command(found)
        return [decoded(row, self._log.log_id) for row in rows]

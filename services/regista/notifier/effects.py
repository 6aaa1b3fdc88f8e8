"""What the notifier makes of the log: what subscriptions are there, and which deliveries an event leads to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from sqlalchemy import Connection, delete
from sqlalchemy.schema import CreateIndex, CreateTable

from regista.domain.times import Clock, utc_now
from regista.notifier import queue
from regista.notifier.cloudevents import document, encode
from regista.notifier.filters import Facts, facts_of
from regista.notifier.queue import Occurred, Queued
from regista.notifier.reading import TYPES, changed, is_of_subscription
from regista.notifier.signing import message_id
from regista.notifier.subscriptions import Subscription, are_there, load, save
from regista.notifier.tables import METADATA
from regista.work.database import Component
from regista.work.logged import Logged

NAME = "notifier"
COMPONENT = Component(
    NAME,
    (
        (
            *(CreateTable(table) for table in METADATA.sorted_tables),
            *(
                CreateIndex(index)
                for table in METADATA.sorted_tables
                for index in sorted(table.indexes, key=lambda i: str(i.name))
            ),
        ),
    ),
)


class NotifierEffects:
    """Implements ``Effects``. ``woken`` is told the subscriptions for which something was queued."""

    def __init__(self, woken: Callable[[Collection[str] | None], None], clock: Clock = utc_now) -> None:
        self._woken = woken
        self._clock = clock

    @property
    def name(self) -> str:
        """Of the cursor."""
        return NAME

    @property
    def component(self) -> Component:
        """The tables."""
        return COMPONENT

    def types(self, connection: Connection) -> frozenset[str] | None:
        """Each, as long as somebody is to be told."""
        return None if are_there(connection) else TYPES

    def fold(self, connection: Connection, events: Sequence[Logged]) -> None:
        """Know the subscriptions; tell nobody."""
        of_subscriptions = [event for event in events if is_of_subscription(event)]
        if not of_subscriptions:
            return
        queue.lock(connection)
        known = load(connection)
        for event in of_subscriptions:
            self._know(connection, known, event)

    def take(self, connection: Connection, events: Sequence[Logged]) -> bool:
        """Queue each event for every subscription that wants it and was there before it; whether something is to be sent."""
        queue.lock(connection)
        known = load(connection)
        queued: list[Queued] = []
        has_news = False
        for event, index, size in numbered(events):
            queued += wanted(event, index, size, known.values())
            if is_of_subscription(event):
                # What was queued for it must be there to be skipped.
                queue.enqueue(connection, queued, self._clock())
                queued = []
                self._know(connection, known, event)
                has_news = True
        queue.enqueue(connection, queued, self._clock())
        return has_news or bool(queued)

    def taken(self) -> None:
        """Wake the sender."""
        self._woken(None)

    def reset(self, connection: Connection) -> None:
        """Forget subscriptions and deliveries: their positions may be those of other events from now on."""
        queue.lock(connection)
        for table in METADATA.sorted_tables:
            connection.execute(delete(table))

    def _know(self, connection: Connection, known: dict[str, Subscription], event: Logged) -> None:
        found = changed(event, known)
        if found is None:
            return
        save(connection, found, self._clock())
        before = known.get(found.id)
        if before is not None and before.address != found.address and found.active:
            queue.hasten(connection, found.id, self._clock())
        if found.removed:
            known.pop(found.id, None)
        else:
            known[found.id] = replace(found, gone=None)


def wanted(event: Logged, index: int, size: int, subscriptions: Iterable[Subscription]) -> list[Queued]:
    """The deliveries of one event. The end of a subscription is not told to itself."""
    facts: Facts = facts_of(event.type, event.stream, event.actor, event.event)
    interested = [one for one in subscriptions if one.active and one.filter.matches(facts)]
    if not interested:
        return []
    body = encode(document(event, index, size))
    occurred = Occurred(event.log_id, event.position, event.stream, event.sequence, event.type, body)
    return [Queued(one.id, message_id(event.log_id, event.position, one.id), occurred) for one in interested]


def numbered(events: Sequence[Logged]) -> Iterator[tuple[Logged, int, int]]:
    """Each event with its place in its atomic set, from 1, and the size of the set: neighbours of one command."""
    for _, members in groupby(events, key=lambda event: (event.actor, event.command_id)):
        together = list(members)
        for index, event in enumerate(together, 1):
            yield event, index, len(together)

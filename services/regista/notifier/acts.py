"""What people ask of deliveries: one again, or a range of the log again. Each is recorded, with who and why.

A replay tells a subscription of events of the log as if they had just happened: those that pass its filters as they are
now, also from before it was there. It goes on step by step, and after the end of a process where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from regista.domain.errors import NotFound, Refused, Retired
from regista.domain.identifiers import new_id
from regista.domain.times import micros
from regista.notifier import queue
from regista.notifier.effects import numbered, wanted
from regista.notifier.subscriptions import Subscription, find
from regista.notifier.tables import ACTS, DELIVERIES, RUNNING
from regista.work.logged import Logged


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and why."""

    actor: str
    reason: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay that is under way: ``next`` is the position to go on at."""

    id: str
    subscription: str
    next: int
    last: int


def need(connection: Connection, subscription: str) -> Subscription:
    """A subscription that is or was there.

    Raises:
        NotFound: ``unknown_subscription``.
    """
    found = find(connection, subscription)
    if found is None:
        raise unknown_subscription(subscription)
    return found


def need_active(connection: Connection, subscription: str) -> Subscription:
    """One that is told of events.

    Raises:
        NotFound: as ``need``.
        Retired: ``subscription_removed``.
        Refused: ``subscription_disabled``.
    """
    found = need(connection, subscription)
    if found.removed:
        raise Retired(f"the subscription {subscription} was removed", code="subscription_removed")
    if not found.active:
        raise Refused(
            f"the subscription {subscription} is disabled",
            code="subscription_disabled",
            hint=f"Enable it first: PATCH /v1/subscriptions/{subscription} with disabled false.",
        )
    return found


def redeliver(connection: Connection, subscription: str, position: int, asked: Asked) -> None:
    """Send a delivery again, with the schedule from its beginning. One that is being sent is left alone.

    Raises:
        NotFound, Retired, Refused: as ``need_active``; ``unknown_delivery``; ``delivery_running``.
    """
    queue.lock(connection)
    need_active(connection, subscription)
    found = connection.execute(
        select(DELIVERIES.c.state).where(DELIVERIES.c.subscription == subscription, DELIVERIES.c.position == position)
    ).scalar()
    if found is None:
        raise unknown_delivery(subscription, position)
    if found == RUNNING:
        raise Refused(
            "it is being sent at this moment", code="delivery_running", hint="Look at what becomes of it first."
        )
    queue.reopen(connection, subscription, [position], "redelivery", asked.at)
    _record(connection, "redeliver", subscription, position, position, asked, done=True)


def ask_replay(connection: Connection, subscription: str, first: int, last: int, asked: Asked) -> str:
    """Ask for the events of these positions, both included; the id of the act. Whoever leads carries it out.

    Raises:
        NotFound, Retired, Refused: as ``need_active``.
    """
    need_active(connection, subscription)
    return _record(connection, "replay", subscription, first, last, asked, done=False)


def replays(connection: Connection) -> list[Replay]:
    """Those under way, in the order in which they were asked for."""
    rows = connection.execute(
        select(ACTS.c.id, ACTS.c.subscription, ACTS.c.next, ACTS.c.last)
        .where(ACTS.c.finished_at.is_(None))
        .order_by(ACTS.c.id)
    )
    return [Replay(row.id, row.subscription, row.next, row.last) for row in rows]


def go_on(connection: Connection, replay: Replay, events: Sequence[Logged], reached: int, now: datetime) -> None:
    """Queue what a subscription wants of the events up to ``reached``; at the last position the replay is over."""
    queue.lock(connection)
    subscription = find(connection, replay.subscription)
    if subscription is None or not subscription.active:
        _end(connection, replay, now, "the subscription was disabled or removed meanwhile")
        return
    queued = [
        one
        for event, index, size in numbered(events)
        if replay.next <= event.position <= replay.last
        for one in wanted(event, index, size, [subscription])
    ]
    queue.enqueue(connection, queued, now, "replay")
    # Behind the others: what waits already is not to be sent before what lies before it.
    queue.reopen(connection, subscription.id, [one.event.position for one in queued], "replay", now)
    connection.execute(
        update(ACTS)
        .where(ACTS.c.id == replay.id)
        .values(next=min(reached, replay.last) + 1, queued=ACTS.c.queued + len(queued))
    )
    if reached >= replay.last:
        _end(connection, replay, now)


def _end(connection: Connection, replay: Replay, now: datetime, error: str | None = None) -> None:
    connection.execute(update(ACTS).where(ACTS.c.id == replay.id).values(finished_at=micros(now), error=error))


def unknown_subscription(subscription: str) -> NotFound:
    """There never was one of this id, as far as the log was read."""
    return NotFound(
        f"the notifier knows no subscription {subscription!r}",
        code="unknown_subscription",
        hint="A new one is known within a second, where a notifier runs: GET /v1/status shows it.",
    )


def unknown_delivery(subscription: str, position: int) -> NotFound:
    """There is none for this event, or it was kept long enough."""
    return NotFound(
        f"there is no delivery of the event at position {position} to {subscription}",
        code="unknown_delivery",
        hint="What was delivered is kept for a while only: "
        f"POST /v1/subscriptions/{subscription}/replay sends events of the log again.",
    )


def _record(
    connection: Connection, act: str, subscription: str, first: int, last: int, asked: Asked, *, done: bool
) -> str:
    id_ = new_id()
    connection.execute(
        insert(ACTS),
        {
            "id": id_,
            "subscription": subscription,
            "act": act,
            "first": first,
            "last": last,
            "next": last + 1 if done else first,
            "queued": int(done),
            "actor": asked.actor,
            "reason": asked.reason,
            "requested_at": micros(asked.at),
            "finished_at": micros(asked.at) if done else None,
        },
    )
    return id_

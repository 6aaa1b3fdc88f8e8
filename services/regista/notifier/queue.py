"""What is to be delivered, and what became of it: the rules of the queue, each inside a transaction of the caller.

Of a stream nothing is sent before what lies before it was taken, given up or skipped. An open delivery always has its
lane, and a lane always names the first open delivery of its stream: whatever changes deliveries sets the lane.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, Table, and_, delete, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from regista.domain.times import micros
from regista.notifier.subscriptions import Subscription, mark_gone, skip_open
from regista.notifier.tables import (
    ATTEMPTS,
    DEAD,
    DELIVERED,
    DELIVERIES,
    EVENTS,
    FAILED,
    LANES,
    OPEN,
    PENDING,
    RUNNING,
)
from regista.work.locks import alone

_LOCK: Final = "notifier queue"
Origin: TypeAlias = Literal["event", "replay", "redelivery"]


@dataclass(frozen=True, slots=True)
class Occurred:
    """An event as it is sent: ``body`` is its CloudEvents JSON."""

    log_id: str
    position: int
    stream: str
    sequence: int
    type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Queued:
    """An event that a subscription is to be told of, under an id that stays the same."""

    subscription: str
    message_id: str
    event: Occurred


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is being sent. ``sequence`` is that of the subscription when it was claimed."""

    subscription: str
    sequence: int
    position: int
    stream: str
    message_id: str
    body: bytes
    failures: int

    @property
    def key(self) -> tuple[str, int]:
        """What names the delivery."""
        return self.subscription, self.position


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt. ``retry_at`` None of one that was not taken: it is given up."""

    claim: Claim
    started_at: datetime
    duration: float
    finished_at: datetime
    taken: bool
    status: int | None = None
    error: str | None = None
    excerpt: str = ""
    retry_at: datetime | None = None
    gone: bool = False

    @property
    def state(self) -> str:
        """The state that it leads to."""
        return DELIVERED if self.taken else DEAD if self.retry_at is None else FAILED


def lock(connection: Connection) -> None:
    """Let nobody else change the queue until the transaction ends. SQLite's transactions are alone anyway.

    Whoever removes a lane must see every delivery that is being added to it. A transaction that checks who works does
    so first: what follows the log holds its cursor when it comes here, and two orders would wait for each other.
    """
    alone(connection, _LOCK)


def enqueue(connection: Connection, queued: Sequence[Queued], now: datetime, origin: Origin = "event") -> None:
    """Queue deliveries that are not there yet."""
    if not queued:
        return
    at = micros(now)
    events = {one.event.position: one.event for one in queued}
    _insert_new(
        connection,
        EVENTS,
        [asdict(event) for event in events.values()],
    )
    _insert_new(
        connection,
        DELIVERIES,
        [
            {
                "subscription": one.subscription,
                "position": one.event.position,
                "stream": one.event.stream,
                "type": one.event.type,
                "message_id": one.message_id,
                "state": PENDING,
                "origin": origin,
                "due": at,
                "failures": 0,
                "attempts": 0,
                "created_at": at,
            }
            for one in queued
        ],
    )
    _make_lanes(connection, min(events), max(events))


def reopen(connection: Connection, subscription: str, positions: Iterable[int], origin: Origin, now: datetime) -> int:
    """Let deliveries that are there be sent again, with the schedule from its beginning; how many.

    One that is being sent is left alone; one that waits for another attempt has it now.
    """
    wanted = and_(DELIVERIES.c.subscription == subscription, DELIVERIES.c.position.in_(list(positions)))
    found = connection.execute(select(DELIVERIES.c.stream, DELIVERIES.c.state).where(wanted)).all()
    changed = connection.execute(
        update(DELIVERIES)
        .where(wanted, DELIVERIES.c.state != RUNNING)
        .values(state=PENDING, origin=origin, due=micros(now), failures=0, finished_at=None)
    )
    for stream in {row.stream for row in found}:
        set_lane(connection, subscription, stream)
    return changed.rowcount


def hasten(connection: Connection, subscription: str, now: datetime) -> None:
    """Let what waits for another attempt have it now: it leads elsewhere."""
    waits = and_(DELIVERIES.c.subscription == subscription, DELIVERIES.c.state == FAILED)
    connection.execute(update(DELIVERIES).where(waits).values(due=micros(now)))
    connection.execute(update(LANES).where(LANES.c.subscription == subscription).values(due=micros(now)))


def set_lane(connection: Connection, subscription: str, stream: str) -> None:
    """Make the lane name the first open delivery of its stream; one whose head is being sent is left to its outcome."""
    key = and_(LANES.c.subscription == subscription, LANES.c.stream == stream)
    if connection.execute(select(LANES.c.position).where(key, LANES.c.running)).first() is not None:
        return
    head = connection.execute(
        select(DELIVERIES.c.position, DELIVERIES.c.due)
        .where(DELIVERIES.c.subscription == subscription, DELIVERIES.c.stream == stream, DELIVERIES.c.state.in_(OPEN))
        .order_by(DELIVERIES.c.position)
        .limit(1)
    ).first()
    if head is None:
        connection.execute(delete(LANES).where(key))
        return
    moved = connection.execute(update(LANES).where(key).values(position=head.position, due=head.due))
    if not moved.rowcount:
        connection.execute(
            insert(LANES),
            {
                "subscription": subscription,
                "stream": stream,
                "position": head.position,
                "due": head.due,
                "running": False,
            },
        )


def claim(connection: Connection, subscription: Subscription, limit: int, now: datetime) -> list[Claim]:
    """Take the heads of at most ``limit`` lanes that are due, the longest due first: from now on they are being sent."""
    rows = connection.execute(
        select(
            LANES.c.stream,
            LANES.c.position,
            DELIVERIES.c.message_id,
            DELIVERIES.c.failures,
            EVENTS.c.body,
        )
        .join(
            DELIVERIES,
            and_(DELIVERIES.c.subscription == LANES.c.subscription, DELIVERIES.c.position == LANES.c.position),
        )
        .join(EVENTS, EVENTS.c.position == LANES.c.position)
        .where(LANES.c.subscription == subscription.id, LANES.c.running.is_(False), LANES.c.due <= micros(now))
        .order_by(LANES.c.due, LANES.c.position)
        .limit(limit)
    ).all()
    if not rows:
        return []
    of_subscription = LANES.c.subscription == subscription.id
    connection.execute(
        update(LANES).where(of_subscription, LANES.c.stream.in_([row.stream for row in rows])).values(running=True)
    )
    connection.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.subscription == subscription.id)
        .where(DELIVERIES.c.position.in_([row.position for row in rows]))
        .values(state=RUNNING)
    )
    return [
        Claim(
            subscription=subscription.id,
            sequence=subscription.sequence,
            position=row.position,
            stream=row.stream,
            message_id=row.message_id,
            body=row.body,
            failures=row.failures,
        )
        for row in rows
    ]


def next_due(connection: Connection, subscription: str) -> int | None:
    """When the next lane that is not being sent is due, in microseconds; None: there is none."""
    found: int | None = connection.execute(
        select(func.min(LANES.c.due)).where(LANES.c.subscription == subscription, LANES.c.running.is_(False))
    ).scalar()
    return found


def settle(connection: Connection, outcome: Outcome) -> None:
    """Record an attempt and what it led to. Of a delivery that was skipped meanwhile only a success changes the state.

    One that was gone where the subscription led when it was claimed, and leads no more, is sent where it leads now.
    """
    claimed = outcome.claim
    key = and_(DELIVERIES.c.subscription == claimed.subscription, DELIVERIES.c.position == claimed.position)
    found = connection.execute(select(DELIVERIES.c.state, DELIVERIES.c.attempts).where(key)).first()
    if found is None:
        return
    _record_attempt(connection, outcome, found.attempts + 1)
    values: dict[str, object] = {"attempts": found.attempts + 1, "status": outcome.status, "error": outcome.error}
    is_gone = outcome.gone and mark_gone(connection, claimed.subscription, claimed.sequence, claimed.position)
    if outcome.gone and not is_gone and found.state == RUNNING:
        values |= {"state": FAILED, "due": micros(outcome.finished_at)}
    elif outcome.taken or found.state == RUNNING:
        values["state"] = outcome.state
        values["failures"] = claimed.failures + (not outcome.taken)
        if outcome.state == FAILED and outcome.retry_at is not None:
            values["due"] = micros(outcome.retry_at)
        else:
            values["finished_at"] = micros(outcome.finished_at)
    connection.execute(update(DELIVERIES).where(key).values(**values))
    connection.execute(
        update(LANES)
        .where(LANES.c.subscription == claimed.subscription, LANES.c.stream == claimed.stream)
        .where(LANES.c.position == claimed.position)
        .values(running=False)
    )
    set_lane(connection, claimed.subscription, claimed.stream)
    if is_gone:
        skip_open(connection, [claimed.subscription], outcome.finished_at)


def resume(connection: Connection, in_hand: Collection[tuple[str, int]]) -> None:
    """Take up what nobody sends any more: whether it arrived is not known, so it is sent again.

    ``in_hand``: subscription and position of what this process sends, or has to settle.
    """
    columns = (DELIVERIES.c.subscription, DELIVERIES.c.position, DELIVERIES.c.stream, DELIVERIES.c.attempts)
    for row in connection.execute(select(*columns).where(DELIVERIES.c.state == RUNNING)).all():
        if (row.subscription, row.position) in in_hand:
            continue
        of_it = and_(DELIVERIES.c.subscription == row.subscription, DELIVERIES.c.position == row.position)
        connection.execute(update(DELIVERIES).where(of_it).values(state=FAILED if row.attempts else PENDING))
        lane = and_(LANES.c.subscription == row.subscription, LANES.c.stream == row.stream)
        connection.execute(update(LANES).where(lane).values(running=False))
    if not in_hand:
        connection.execute(update(LANES).where(LANES.c.running).values(running=False))


def _record_attempt(connection: Connection, outcome: Outcome, number: int) -> None:
    connection.execute(
        insert(ATTEMPTS),
        {
            "subscription": outcome.claim.subscription,
            "position": outcome.claim.position,
            "number": number,
            "started_at": micros(outcome.started_at),
            "duration": round(outcome.duration * 1_000_000),
            "status": outcome.status,
            "error": outcome.error,
            "excerpt": outcome.excerpt,
        },
    )


def _make_lanes(connection: Connection, first: int, last: int) -> None:
    """Make the lanes that are missing for open deliveries of these positions, behind which none is open without one."""
    heads = (
        select(
            DELIVERIES.c.subscription,
            DELIVERIES.c.stream,
            func.min(DELIVERIES.c.position),
            func.min(DELIVERIES.c.due),
            literal(False),
        )
        .where(DELIVERIES.c.position.between(first, last), DELIVERIES.c.state.in_(OPEN))
        .group_by(DELIVERIES.c.subscription, DELIVERIES.c.stream)
    )
    columns = ["subscription", "stream", "position", "due", "running"]
    connection.execute(_insert(connection, LANES).from_select(columns, heads).on_conflict_do_nothing())


def _insert(connection: Connection, table: Table) -> Any:  # noqa: ANN401 - two dialects with the same methods
    of_engine: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return of_engine(table)


def _insert_new(connection: Connection, table: Table, rows: list[dict[str, object]]) -> None:
    """Insert the rows whose keys are not there."""
    connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)

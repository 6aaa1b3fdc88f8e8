"""One turn of the engine: what ended is recorded and what is due is claimed, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from regista.notifier import queue
from regista.notifier.queue import Claim, Outcome
from regista.notifier.room import Room
from regista.notifier.subscriptions import Subscription, find, load


@dataclass(slots=True)
class Step:
    """What a turn found: what to send, when to look again at which subscription, and for which there was no room."""

    claims: list[tuple[Claim, Subscription]] = field(default_factory=list)
    due: dict[str, int | None] = field(default_factory=dict)
    starved: set[str] = field(default_factory=set)


def step(
    connection: Connection, outcomes: Sequence[Outcome], looks: Collection[str] | None, room: Room, now: datetime
) -> Step:
    """Settle ``outcomes``, then claim for the subscriptions named, None: for all. ``room`` counts the claims already."""
    for outcome in outcomes:
        queue.settle(connection, outcome)
    made = Step()
    if looks is None:
        wanted = list(load(connection).values())
    else:
        wanted = [found for id_ in sorted(looks) if (found := find(connection, id_)) is not None]
    for subscription in wanted:
        _claim(connection, subscription, room, now, made)
    return made


def _claim(connection: Connection, subscription: Subscription, room: Room, now: datetime, made: Step) -> None:
    made.due[subscription.id] = None
    if not subscription.active:
        return
    free = room.free(subscription.id)
    claims = queue.claim(connection, subscription, free, now) if free else []
    for claim in claims:
        room.enter(subscription.id)
        made.claims.append((claim, subscription))
    if len(claims) < free:
        made.due[subscription.id] = queue.next_due(connection, subscription.id)
    elif not room.is_full(subscription.id):
        made.starved.add(subscription.id)

"""What can be asked of deliveries, and the figures that status and metrics show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, select

from regista.notifier.tables import ACTS, ATTEMPTS, DEAD, DELIVERIES, EVENTS, OPEN, SUBSCRIPTIONS


@dataclass(frozen=True, slots=True)
class Figures:
    """How many are open and given up, and since when (microseconds) the oldest open one waits; None: nothing waits."""

    subscriptions: int = 0
    open: int = 0
    dead: int = 0
    oldest: int | None = None


def deliveries(
    connection: Connection, subscription: str, *, state: str | None, before: int | None, limit: int
) -> Sequence[Any]:
    """Those of a subscription, by position, the newest first."""
    wanted = select(DELIVERIES).where(DELIVERIES.c.subscription == subscription)
    if state is not None:
        wanted = wanted.where(DELIVERIES.c.state == state)
    if before is not None:
        wanted = wanted.where(DELIVERIES.c.position < before)
    return connection.execute(wanted.order_by(DELIVERIES.c.position.desc()).limit(limit)).mappings().all()


def delivery(connection: Connection, subscription: str, position: int) -> Any | None:  # noqa: ANN401 - a row
    """One of them, with ``body``; None: there is none."""
    return (
        connection.execute(
            select(DELIVERIES, EVENTS.c.body, EVENTS.c.sequence)
            .join(EVENTS, EVENTS.c.position == DELIVERIES.c.position)
            .where(DELIVERIES.c.subscription == subscription, DELIVERIES.c.position == position)
        )
        .mappings()
        .first()
    )


def attempts(connection: Connection, subscription: str, position: int) -> Sequence[Any]:
    """The attempts of a delivery, in their order."""
    of_it = and_(ATTEMPTS.c.subscription == subscription, ATTEMPTS.c.position == position)
    return connection.execute(select(ATTEMPTS).where(of_it).order_by(ATTEMPTS.c.number)).mappings().all()


def acts(connection: Connection, subscription: str, *, before: str | None, limit: int) -> Sequence[Any]:
    """What people asked for, the newest first."""
    wanted = select(ACTS).where(ACTS.c.subscription == subscription)
    if before is not None:
        wanted = wanted.where(ACTS.c.id < before)
    return connection.execute(wanted.order_by(ACTS.c.id.desc()).limit(limit)).mappings().all()


def figures(connection: Connection) -> Figures:
    """How the queue stands."""
    is_open = DELIVERIES.c.state.in_(OPEN)
    open_, oldest = connection.execute(select(func.count(), func.min(DELIVERIES.c.created_at)).where(is_open)).one()
    dead = connection.execute(select(func.count()).where(DELIVERIES.c.state == DEAD)).scalar_one()
    live = and_(SUBSCRIPTIONS.c.removed.is_(False), SUBSCRIPTIONS.c.disabled.is_(False))
    subscriptions = connection.execute(select(func.count()).select_from(SUBSCRIPTIONS).where(live)).scalar_one()
    return Figures(subscriptions, open_, dead, oldest)

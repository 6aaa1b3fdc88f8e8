"""How long finished deliveries are kept: what was taken or skipped for a while, what was given up for longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, delete, exists, or_, select, tuple_

from regista.domain.times import micros
from regista.notifier.queue import lock
from regista.notifier.tables import ATTEMPTS, DEAD, DELIVERED, DELIVERIES, EVENTS, SKIPPED

_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Retention:
    """``finished``: of deliveries that were taken or skipped; ``dead``: of those that were given up."""

    finished: timedelta = timedelta(days=7)
    dead: timedelta = timedelta(days=90)


def forget(connection: Connection, retention: Retention, now: datetime) -> int:
    """Remove what was kept long enough, a thousand deliveries at most, with their attempts and bodies; how many.

    What somebody lets be sent again at this moment is found to be kept no longer, or open, and never both.
    """
    lock(connection)
    expired = or_(
        and_(DELIVERIES.c.state.in_((DELIVERED, SKIPPED)), DELIVERIES.c.finished_at < micros(now - retention.finished)),
        and_(DELIVERIES.c.state == DEAD, DELIVERIES.c.finished_at < micros(now - retention.dead)),
    )
    keys = [
        (row.subscription, row.position)
        for row in connection.execute(
            select(DELIVERIES.c.subscription, DELIVERIES.c.position).where(expired).limit(_AT_ONCE)
        )
    ]
    if not keys:
        return 0
    for table in (ATTEMPTS, DELIVERIES):
        connection.execute(delete(table).where(tuple_(table.c.subscription, table.c.position).in_(keys)))
    positions = {position for _, position in keys}
    still = exists().where(DELIVERIES.c.position == EVENTS.c.position)
    connection.execute(delete(EVENTS).where(EVENTS.c.position.in_(positions), ~still))
    return len(keys)

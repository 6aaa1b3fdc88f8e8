"""What the notifier knows of subscriptions: kept in the work database, as the newest event of each says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, delete, insert, select, update

from regista.domain.times import micros
from regista.notifier.filters import Filter
from regista.notifier.tables import DELIVERIES, LANES, OPEN, SKIPPED, SUBSCRIPTIONS

_IS_THERE = SUBSCRIPTIONS.c.removed.is_(False)
_ANY = select(SUBSCRIPTIONS.c.subscription).where(_IS_THERE).limit(1)


@dataclass(frozen=True, slots=True)
class Secret:
    """A key that signs: its id in the private table, and until when; None: as long as it is the subscription's."""

    id: str
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it still signs."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where to send what. ``sequence`` is that of its newest event; ``secrets`` are the newest first.

    ``address`` is the id of its URL in the private table: who knows a URL can often post there.
    """

    id: str
    sequence: int
    address: str
    template: str
    filter: Filter
    secrets: tuple[Secret, ...]
    disabled: bool = False
    removed: bool = False
    gone: int | None = None

    @property
    def active(self) -> bool:
        """Whether anything is sent to it."""
        return not self.disabled and not self.removed and self.gone is None


def are_there(connection: Connection) -> bool:
    """Whether there are any that were not removed."""
    return connection.execute(_ANY).first() is not None


def load(connection: Connection) -> dict[str, Subscription]:
    """All that were not removed, by id."""
    rows = connection.execute(select(SUBSCRIPTIONS).where(_IS_THERE))
    return {row["subscription"]: _subscription(row) for row in rows.mappings()}


def find(connection: Connection, subscription: str) -> Subscription | None:
    """One of them, also one that was removed; None when there never was one."""
    row = (
        connection.execute(select(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.subscription == subscription)).mappings().first()
    )
    return None if row is None else _subscription(row)


def save(connection: Connection, subscription: Subscription, now: datetime) -> None:
    """Keep it as it is from now on. Of one that is not to be sent anything, what is open is skipped."""
    values = {
        "subscription": subscription.id,
        "sequence": subscription.sequence,
        "address": subscription.address,
        "template": subscription.template,
        "filters": orjson.dumps(asdict(subscription.filter)).decode(),
        "secrets": orjson.dumps([(secret.id, secret.until) for secret in subscription.secrets]).decode(),
        "disabled": subscription.disabled,
        "removed": subscription.removed,
        "gone": None,
    }
    connection.execute(delete(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.subscription == subscription.id))
    connection.execute(insert(SUBSCRIPTIONS), values)
    if not subscription.active:
        skip_open(connection, [subscription.id], now)


def skip_open(connection: Connection, subscriptions: Iterable[str], now: datetime) -> None:
    """Let nothing that is open be sent any more."""
    for subscription in subscriptions:
        connection.execute(
            update(DELIVERIES)
            .where(DELIVERIES.c.subscription == subscription, DELIVERIES.c.state.in_(OPEN))
            .values(state=SKIPPED, finished_at=micros(now))
        )
        connection.execute(delete(LANES).where(LANES.c.subscription == subscription))


def mark_gone(connection: Connection, subscription: str, sequence: int, position: int) -> bool:
    """Note that the receiver said that it is gone (410), unless the subscription was changed since; whether it was noted."""
    noted = connection.execute(
        update(SUBSCRIPTIONS)
        .where(SUBSCRIPTIONS.c.subscription == subscription, SUBSCRIPTIONS.c.sequence == sequence)
        .where(SUBSCRIPTIONS.c.disabled.is_(False), SUBSCRIPTIONS.c.removed.is_(False))
        .values(gone=position)
    )
    return noted.rowcount > 0


def _subscription(row: Any) -> Subscription:  # noqa: ANN401 - a row by its columns
    filters = {name: tuple(values) for name, values in orjson.loads(row["filters"]).items()}
    secrets = tuple(
        Secret(id_, None if until is None else datetime.fromisoformat(until))
        for id_, until in orjson.loads(row["secrets"])
    )
    return Subscription(
        id=row["subscription"],
        sequence=row["sequence"],
        address=row["address"],
        template=row["template"],
        filter=Filter(**filters),
        secrets=secrets,
        disabled=row["disabled"],
        removed=row["removed"],
        gone=row["gone"],
    )

"""The notifier's tables in the work database. Times are microseconds since 1970; positions are those of the log.

A delivery is one event for one subscription: its key is both, and stays the same however often it is sent. A lane is a
stream of a subscription that has something to deliver: its head is the open delivery with the lowest position, and
nothing behind the head is sent. What is sent is made once for an event and kept beside it, so that every attempt of every
subscription sends the same bytes.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

METADATA = MetaData()

PENDING: Final = "pending"
RUNNING: Final = "running"
DELIVERED: Final = "delivered"
FAILED: Final = "failed"
DEAD: Final = "dead"
SKIPPED: Final = "skipped"
STATES: Final = (PENDING, RUNNING, DELIVERED, FAILED, DEAD, SKIPPED)
"""Waits for its turn; is being sent; was taken; will be tried again; was given up; is not wanted any more."""
OPEN: Final = (PENDING, RUNNING, FAILED)
_OPEN = text("state IN ('pending', 'running', 'failed')")

SUBSCRIPTIONS = Table(
    "notifier_subscriptions",
    METADATA,
    Column("subscription", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("filters", Text, nullable=False),
    Column("secrets", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("removed", Boolean, nullable=False),
    Column("gone", BigInteger),
)
"""As the newest event of each says; ``address`` and ``secrets`` are ids of the private table, and nothing of them is here.

``gone``: the position of the delivery that was answered with 410, until acted upon."""

EVENTS = Table(
    "notifier_events",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("log_id", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

DELIVERIES = Table(
    "notifier_deliveries",
    METADATA,
    Column("subscription", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
)
"""``failures``: those in a row that the schedule counts; ``attempts``: all that ever were."""
Index(
    "notifier_deliveries_open",
    DELIVERIES.c.subscription,
    DELIVERIES.c.stream,
    DELIVERIES.c.position,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
Index("notifier_deliveries_waiting", DELIVERIES.c.created_at, sqlite_where=_OPEN, postgresql_where=_OPEN)
Index("notifier_deliveries_finished", DELIVERIES.c.state, DELIVERIES.c.finished_at)
Index("notifier_deliveries_position", DELIVERIES.c.position)

ATTEMPTS = Table(
    "notifier_attempts",
    METADATA,
    Column("subscription", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("duration", BigInteger, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("excerpt", Text, nullable=False),
)

LANES = Table(
    "notifier_lanes",
    METADATA,
    Column("subscription", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("running", Boolean, nullable=False),
)
Index("notifier_lanes_due", LANES.c.subscription, LANES.c.running, LANES.c.due)

ACTS = Table(
    "notifier_acts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("subscription", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("next", BigInteger, nullable=False),
    Column("queued", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    Column("requested_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("error", Text),
)
"""What people asked for: ``redeliver`` and ``replay``. One without ``finished_at`` is under way, at ``next``."""
Index("notifier_acts_subscription", ACTS.c.subscription, ACTS.c.id)

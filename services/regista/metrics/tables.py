"""What is kept of experiments in the work database: what the log says of endpoints, what was counted, what was decided.

Times are seconds since 1970; structures are JSON. A region that there is none of is the empty text.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, Table, Text
from sqlalchemy.schema import CreateIndex, CreateTable

from regista.work.database import Component

_METADATA: Final = MetaData()

ENDPOINTS: Final = Table(
    "metrics_endpoints",
    _METADATA,
    Column("key", Text, primary_key=True),
    Column("log_id", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("targets", Text, nullable=False),
    Column("guardrails", Text, nullable=False),
    Column("automatic", Integer, nullable=False),
    Column("change", BigInteger),
)
"""Endpoints as the log has them; ``key`` is ``<environment>/<endpoint>`` in lower case, ``change`` the newest one."""

CHANGES: Final = Table(
    "metrics_changes",
    _METADATA,
    Column("key", Text, primary_key=True),
    Column("change", BigInteger, primary_key=True, autoincrement=False),
    Column("previous", BigInteger),
    Column("variants", Text, nullable=False),
    Column("canary", Text),
    Column("on_trial", Integer, nullable=False),
    Column("issued_at", Float(53), nullable=False),
    Column("effective_at", Float(53)),
    Column("ended_at", Float(53)),
    Column("succeeded", Text, nullable=False),
    Column("verdict", Text),
    Column("concluded", BigInteger),
)
"""What was to be served from ``issued_at`` to ``ended_at``, and was on all targets from ``effective_at`` on.

``verdict`` is the newest in the log, and ``concluded`` the position of that event.
"""

SEEN: Final = Table(
    "metrics_seen",
    _METADATA,
    Column("key", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("ended_at", Float(53), nullable=False),
)
"""Reports that were counted: each counts once."""

TOTALS: Final = Table(
    "metrics_totals",
    _METADATA,
    Column("key", Text, primary_key=True),
    Column("change", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("totals", Text, nullable=False),
)
"""What counts for a change: reports whose whole interval lies in the time that it was in effect."""

WINDOWS: Final = Table(
    "metrics_windows",
    _METADATA,
    Column("key", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("totals", Text, nullable=False),
)
"""Tumbling windows of everything that was reported."""

WAITING: Final = Table(
    "metrics_waiting",
    _METADATA,
    Column("key", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("ended_at", Float(53), nullable=False),
    Column("report", Text, nullable=False),
)
"""Reports from a time in which the newest change may have been in effect already: its targets will tell."""

VERDICTS: Final = Table(
    "metrics_verdicts",
    _METADATA,
    Column("key", Text, primary_key=True),
    Column("change", BigInteger, primary_key=True, autoincrement=False),
    Column("verdict", Text, primary_key=True),
    Column("explanation", Text, nullable=False),
)
"""Verdicts that the registry is told: each once."""

COMPONENT: Final = Component(
    "metrics",
    (
        (
            *(CreateTable(table) for table in (ENDPOINTS, CHANGES, SEEN, TOTALS, WINDOWS, WAITING, VERDICTS)),
            CreateIndex(Index("metrics_seen_ended", SEEN.c.ended_at)),
            CreateIndex(Index("metrics_windows_start", WINDOWS.c.start)),
            CreateIndex(Index("metrics_waiting_ended", WAITING.c.ended_at)),
            CreateIndex(Index("metrics_changes_on_trial", CHANGES.c.on_trial)),
        ),
    ),
)
FOLLOWED: Final = (ENDPOINTS, CHANGES, TOTALS, VERDICTS)
"""What is known of one log, and forgotten with it. What was reported is kept."""

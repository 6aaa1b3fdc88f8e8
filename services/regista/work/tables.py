"""The tables that every consumer of the log shares: how far it has come, and from where on it was told to act."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table, Text
from sqlalchemy.schema import CreateTable

from regista.work.migrations import Component

_METADATA: Final = MetaData()

CONSUMERS: Final = Table(
    "consumers",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("log_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("effects_from", BigInteger, nullable=False),
    Column("epoch", Text, nullable=False),
)
"""``position`` and ``hash`` are those of the last row taken. Rows before ``effects_from`` are known and have no effects.

``epoch`` names the process that works for this name: whoever finds another one there has been replaced.
"""

STARTS: Final = Table(
    "starts",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("log_id", Text, primary_key=True),
    Column("started_at", Text, primary_key=True),
    Column("effects_from", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
)
"""Each time that effects began at a place: at the first start, with another log, or where somebody said so."""

WORK: Final = Component("work", ((CreateTable(CONSUMERS), CreateTable(STARTS)),))

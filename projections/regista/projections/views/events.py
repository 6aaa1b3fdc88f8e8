"""The events themselves, as audit and history ask for them.

``event_blocks`` is a coarse index: it names the blocks of positions in which an actor or a type occurs, at a fraction
of the cost of an index entry per event; a query then looks through those blocks only. ``version_events`` names the
events that touched a version, also those that displaced it or took its alias, by its number; the empty version
stands for what touched the model itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from regista.projections.changes import Change, insert, writes
from regista.projections.decoding import Item
from regista.projections.views.base import View

BLOCK = 7
"""Blocks hold 2**BLOCK positions."""

_metadata = MetaData()
EVENTS = Table(
    "events",
    _metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("stream", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("running_time", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("command_id", Text, nullable=False),
    Column("ordinal", BigInteger),
    Column("value", LargeBinary, nullable=False),
)
Index(None, EVENTS.c.stream, EVENTS.c.position)
BLOCKS = Table(
    "event_blocks",
    _metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("block", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)
VERSION_EVENTS = Table(
    "version_events",
    _metadata,
    Column("stream", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)
_INSERT = insert(EVENTS)
_INSERT_BLOCKS = insert(BLOCKS, ignore_conflicts=True, late=True)
_INSERT_VERSION_EVENTS = insert(VERSION_EVENTS, late=True)


class _Fold:
    """Every event is a row."""

    def __init__(self) -> None:
        self._events: list[tuple[Any, ...]] = []
        self._blocks: set[tuple[str, str, int]] = set()
        self._touched: list[tuple[str, str, int]] = []

    def add(self, items: Sequence[Item]) -> None:
        for item in items:
            record, meta, position = item.record, item.meta, item.position
            actor, block = meta["actor"], position >> BLOCK
            self._events.append(
                (
                    position,
                    item.stream,
                    item.sequence,
                    item.type,
                    item.time,
                    item.running_time,
                    actor,
                    meta["command_id"],
                    record.get("ordinal") or record.get("previous_ordinal"),
                    item.value,
                )
            )
            self._blocks.add(("actor", actor, block))
            self._blocks.add(("type", item.type, block))
            self._touched.extend((item.stream, version, position) for version in touches(item))

    def changes(self) -> list[Change]:
        return writes(
            (_INSERT, self._events),
            (_INSERT_BLOCKS, list(self._blocks)),
            (_INSERT_VERSION_EVENTS, self._touched),
        )


def touches(item: Item) -> set[str]:
    """The numbers of the versions whose resource an event changes; the empty one where it is the model's."""
    record = item.record
    if "model" not in record:
        return set()
    touched = {record.get("version", "")}
    if "displaced" in record:
        touched.update(other["version"] for other in record["displaced"])
    elif "alias" in record:
        touched = {version for version in (record.get("version"), record["previous_version"]) if version}
    return touched


VIEW = View("events", 1, (EVENTS, BLOCKS, VERSION_EVENTS), _Fold)

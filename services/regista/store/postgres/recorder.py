"""The library's application recorder over our tables, with conditional appends in one transaction of two round trips.

The lock is on a small table that nothing else locks. The library's is on the table of the events, where it is in the
way of autovacuum: each would wait for the other, and a vacuum against wrap-around is not cancelled for a writer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder
from psycopg import errors

from regista.domain.chain import Row
from regista.store.append import Append, Duplicate, Taken
from regista.store.conditions import (
    check_heads,
    check_intakes,
    distinct_commands,
    first_positions,
    placed,
    placed_outcomes,
    sources_of,
    streams_of,
)
from regista.store.postgres.connections import Connection
from regista.store.postgres.datastore import LogDatastore
from regista.store.postgres.schema import CHANNEL, QUERIES
from regista.store.postgres.statements import insert_outcomes, insert_rows, insert_sets, move_intakes, notify
from regista.store.reading import NotificationReader

LOCK = "LOCK TABLE regista.log IN EXCLUSIVE MODE"
_NEXT = (
    "SELECT greatest((SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM regista.events_position), "
    "(SELECT coalesce(max(position), 0) FROM regista.events)) + 1, "
    "greatest((SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM regista.outcomes_id), "
    "(SELECT coalesce(max(id), 0) FROM regista.outcomes)) + 1"
)
_INTAKES = (
    "SELECT wanted.source, intake.next_offset, intake.mark FROM unnest(%s::text[]) AS wanted (source) "
    "JOIN regista.intake USING (source)"
)
_HEADS = (
    "SELECT wanted.stream, head.originator_version, head.state FROM unnest(%s::text[]) AS wanted (stream) CROSS JOIN "
    "LATERAL (SELECT originator_version, state FROM regista.events WHERE originator_id = wanted.stream "
    "ORDER BY originator_version DESC LIMIT 1) AS head"
)
_COMMANDS = (
    "SELECT wanted.actor, wanted.command_id FROM unnest(%s::text[], %s::text[]) AS wanted (actor, command_id) "
    "CROSS JOIN LATERAL (SELECT 1 FROM regista.commands AS known WHERE known.actor = wanted.actor "
    "AND known.command_id = wanted.command_id LIMIT 1) AS found LIMIT 1"
)


class PostgresLogRecorder(NotificationReader, PostgresApplicationRecorder):
    """Records the events of commands: ``insert_events([], appends=...)`` returns the first position of each append.

    Without ``appends`` it records as the library does, unconditional and without a command.
    """

    datastore: LogDatastore
    _queries = QUERIES

    def __init__(self, datastore: LogDatastore) -> None:
        super().__init__(datastore, events_table_name="events")
        self.channel_name = CHANNEL

    def insert_events(
        self, stored_events: Sequence[StoredEvent], *, appends: Sequence[Append] | None = None, **_: object
    ) -> Sequence[int] | None:
        """Insert in one durable transaction under the write lock.

        Raises:
            Conflict: a stream written or read is not where the decision saw it.
            Duplicate: a command is in the log, or twice among the appends.
            IntakeMoved: somebody else took from a queue.
            IntegrityError: without ``appends``: a place in a stream is taken.
        """
        if appends is not None:
            with self.writing() as connection:
                return _append(connection, appends)
        try:
            # What was sent without waiting may be answered at the end of the block only.
            with self.writing() as connection:
                return _insert(connection, stored_events)
        except errors.UniqueViolation as error:
            raise IntegrityError(str(error)) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The writer in a transaction that holds the write lock; it commits with the block.

        Statements are sent without waiting for the answers of those before them. What was read before the lock was
        had is not seen: each statement sees what was committed when it runs.
        """
        with self.datastore.writer() as connection, connection.pipeline(), connection.transaction():
            connection.execute(LOCK)
            yield connection

    def max_notification_id(self) -> int | None:
        """Return the newest position."""
        [[found]] = self._fetch(QUERIES.max_position)
        return None if found is None else int(found)

    def _fetch(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self.datastore.readers.connection() as connection:
            return connection.execute(sql, values, binary=True).fetchall()


def _append(connection: Connection, appends: Sequence[Append]) -> list[int]:
    """Check and insert; the first position of each append, 0 for one without events."""
    commands, sources = distinct_commands(appends), sources_of(appends)
    # All questions are sent before the first answer is looked at.
    taken = connection.execute(_INTAKES, (sources,), prepare=True, binary=True) if sources else None
    keys = [actor for actor, _ in commands], [command_id for _, command_id in commands]
    repeated = connection.execute(_COMMANDS, keys, prepare=True)
    heads = connection.execute(_HEADS, (streams_of(appends),), prepare=True, binary=True)
    following = connection.execute(_NEXT, prepare=True, binary=True)
    known = {source: Taken(offset, mark and bytes(mark)) for source, offset, mark in taken.fetchall()} if taken else {}
    moved = check_intakes(appends, known)
    if (duplicate := repeated.fetchone()) is not None:
        raise Duplicate(*duplicate)
    check_heads(appends, {stream: (sequence, bytes(value)) for stream, sequence, value in heads.fetchall()})
    [[position, outcome_id]] = following.fetchall()
    positions = first_positions(appends, position)
    insert_sets(connection, placed(appends, position))
    move_intakes(connection, moved)
    insert_outcomes(connection, placed_outcomes(appends, positions, outcome_id))
    notify(connection)
    return positions


def _insert(connection: Connection, events: Sequence[StoredEvent]) -> list[int]:
    """Insert unconditionally; the position of each event."""
    [[position, _]] = connection.execute(_NEXT, prepare=True).fetchall()
    rows = [
        Row(place, str(event.originator_id), event.originator_version, event.topic, event.state)
        for place, event in enumerate(events, position)
    ]
    insert_rows(connection, rows)
    notify(connection)
    return [row.position for row in rows]

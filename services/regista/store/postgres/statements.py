"""Inserts of many rows each: one statement per table, whatever the size of a batch; none for no rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from regista.domain.chain import Row
from regista.store.append import OutcomeRow, Taken
from regista.store.command_sets import CommandSet
from regista.store.headers import pack_headers
from regista.store.postgres.connections import Connection
from regista.store.postgres.schema import CHANNEL

_EVENTS = (
    "WITH given AS (INSERT INTO regista.events (position, originator_id, originator_version, topic, state) "
    "SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %b::bytea[]) RETURNING position) "
    "SELECT setval('regista.events_position', greatest(%s::bigint, "
    "(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM regista.events_position)))"
)
_ENTRIES = (
    "INSERT INTO regista.commands (actor, command_id, digest, position, count, hash) "
    "SELECT * FROM unnest(%s::text[], %s::text[], %b::bytea[], %s::bigint[], %s::int[], %b::bytea[])"
)
_INTAKES = (
    "INSERT INTO regista.intake (source, next_offset, mark) "
    "SELECT * FROM unnest(%s::text[], %s::bigint[], %b::bytea[]) "
    "ON CONFLICT (source) DO UPDATE SET next_offset = excluded.next_offset, mark = excluded.mark"
)
_OUTCOMES = (
    "WITH given AS (INSERT INTO regista.outcomes (id, kind, key, value, headers, time_ms, position) SELECT * FROM "
    "unnest(%s::bigint[], %s::text[], %b::bytea[], %b::bytea[], %b::bytea[], %s::bigint[], %s::bigint[])) "
    "SELECT setval('regista.outcomes_id', %s::bigint)"
)


def _numbers(values: Iterable[int | None]) -> str:
    """As an array in the server's own notation: one type, whatever the size of the numbers."""
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"


def insert_rows(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert events at the positions they have. None of these, nor one below them, is given again."""
    if rows:
        columns = (
            _numbers(row.position for row in rows),
            [row.stream for row in rows],
            _numbers(row.sequence for row in rows),
            [row.type for row in rows],
            [row.value for row in rows],
            max(row.position for row in rows),
        )
        connection.execute(_EVENTS, columns, prepare=True)


def insert_sets(connection: Connection, sets: Sequence[CommandSet]) -> None:
    """Insert commands and their events at the positions they have."""
    insert_rows(connection, [row for members in sets for row in members.rows])
    if sets:
        found = [members.found for members in sets]
        columns = (
            [members.command.actor for members in sets],
            [members.command.command_id for members in sets],
            [each.digest for each in found],
            _numbers(each.position for each in found),
            _numbers(each.count for each in found),
            [each.hash for each in found],
        )
        connection.execute(_ENTRIES, columns, prepare=True)


def move_intakes(connection: Connection, intakes: Mapping[str, Taken]) -> None:
    """Set how far each queue is taken in."""
    if intakes:
        columns = (
            list(intakes),
            _numbers(taken.offset for taken in intakes.values()),
            [taken.mark for taken in intakes.values()],
        )
        connection.execute(_INTAKES, columns, prepare=True)


def insert_outcomes(connection: Connection, rows: Sequence[OutcomeRow]) -> None:
    """Insert outcomes with the ids they have."""
    if rows:
        told = [row.outgoing for row in rows]
        columns = (
            _numbers(row.id for row in rows),
            [each.kind for each in told],
            [each.key for each in told],
            [each.value for each in told],
            [pack_headers(each.headers) for each in told],
            _numbers(each.time_ms for each in told),
            _numbers(row.position for row in rows),
            rows[-1].id,
        )
        connection.execute(_OUTCOMES, columns, prepare=True)


def notify(connection: Connection) -> None:
    """Wake who listens once the transaction has committed."""
    connection.execute(f"NOTIFY {CHANNEL}", prepare=True)

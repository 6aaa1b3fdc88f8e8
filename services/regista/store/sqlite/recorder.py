"""The library's application recorder over our table, with conditional appends in the library's own transaction.

All statements of a batch take many rows each: every statement hands the interpreter lock over, and a busy event loop
gives it back late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor

from regista.store.append import Append, Duplicate, OutcomeRow, Taken
from regista.store.command_sets import CommandSet
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
from regista.store.headers import pack_headers
from regista.store.reading import NotificationReader
from regista.store.sqlite.datastore import LogDatastore
from regista.store.sqlite.schema import CREATE, EVENTS_TABLE, QUERIES

_LARGEST = 64


class SQLiteLogRecorder(NotificationReader, SQLiteApplicationRecorder):
    """Records the events of commands: ``insert_events([], appends=...)`` returns the first position of each append.

    Without ``appends`` it is the library's recorder, unconditional and without a command.
    """

    _queries = QUERIES

    def __init__(self, datastore: LogDatastore) -> None:
        super().__init__(datastore, events_table_name=EVENTS_TABLE)
        self.insert_events_statement = (
            "INSERT INTO events (originator_id, originator_version, topic, state) VALUES (?,?,?,?)"
        )

    def construct_create_table_statements(self) -> list[str]:
        """Return our tables in place of the library's."""
        return list(CREATE)

    def _fetch(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self.datastore.transaction(commit=False) as c:
            c.execute(sql, values)
            rows: list[tuple[Any, ...]] = c.fetchall()
            return rows

    def _insert_events(
        self,
        c: SQLiteCursor,
        stored_events: Sequence[StoredEvent],
        *,
        appends: Sequence[Append] | None = None,
        **_: object,
    ) -> Sequence[int] | None:
        if appends is None:
            return super()._insert_events(c, stored_events)
        move_intakes(c, appends)
        refuse_duplicates(c, appends)
        refuse_conflicts(c, appends)
        positions = insert_appends(c, appends, next_position(c))
        if any(append.outcomes for append in appends):
            insert_outcomes(c, placed_outcomes(appends, positions, next_outcome(c)))
        return positions


def next_position(c: SQLiteCursor) -> int:
    """The position after the highest one ever given, even where the table of sequences was lost in a restore."""
    c.execute(
        "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0), "
        "coalesce((SELECT max(position) FROM events), 0)) + 1"
    )
    return int(c.fetchone()[0])


def refuse_duplicates(c: SQLiteCursor, appends: Sequence[Append]) -> None:
    """Check that no command is in the log, or twice among the appends.

    Raises:
        Duplicate: one is.
    """
    keys = distinct_commands(appends)
    for sql, params in _statements(_SELECT_COMMANDS, keys):
        c.execute(sql, params)
        found = c.fetchone()
        if found is not None:
            raise Duplicate(*found)


def refuse_conflicts(c: SQLiteCursor, appends: Sequence[Append]) -> None:
    """Check that every stream is where its decision saw it, each append after those before it.

    Raises:
        Conflict: one is not.
    """
    heads: dict[str, tuple[int, bytes]] = {}
    for sql, params in _statements(_SELECT_HEADS, ((stream,) for stream in streams_of(appends))):
        c.execute(sql, params)
        heads.update((stream, (sequence, value)) for stream, sequence, value in c.fetchall())
    check_heads(appends, heads)


def move_intakes(c: SQLiteCursor, appends: Sequence[Append]) -> None:
    """Compare and set how far each queue is taken in.

    Raises:
        IntakeMoved: somebody else took from one.
    """
    taken: dict[str, Taken] = {}
    for sql, params in _statements(_SELECT_INTAKES, ((source,) for source in sources_of(appends))):
        c.execute(sql, params)
        taken.update((source, Taken(offset, mark)) for source, offset, mark in c.fetchall())
    set_intakes(c, check_intakes(appends, taken))


def set_intakes(c: SQLiteCursor, intakes: Mapping[str, Taken]) -> None:
    """Set how far each queue is taken in."""
    for sql, params in _statements(_UPSERT_INTAKES, [(source, *taken) for source, taken in intakes.items()]):
        c.execute(sql, params)


def next_outcome(c: SQLiteCursor) -> int:
    """The id after the highest one ever given, even where every outcome was removed."""
    c.execute(
        "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outcomes'), 0), "
        "coalesce((SELECT max(id) FROM outcomes), 0)) + 1"
    )
    return int(c.fetchone()[0])


def insert_outcomes(c: SQLiteCursor, rows: Sequence[OutcomeRow]) -> None:
    """Insert outcomes with the ids they have."""
    told = ((row.id, row.outgoing, row.position) for row in rows)
    values = [(i, o.kind, o.key, o.value, pack_headers(o.headers), o.time_ms, position) for i, o, position in told]
    for sql, params in _statements(_INSERT_OUTCOMES, values):
        c.execute(sql, params)


def insert_appends(c: SQLiteCursor, appends: Sequence[Append], position: int) -> list[int]:
    """Insert the events from ``position`` on, and the commands; the first position of each append, 0 without events."""
    insert_sets(c, placed(appends, position))
    return first_positions(appends, position)


def insert_sets(c: SQLiteCursor, sets: Sequence[CommandSet]) -> None:
    """Insert commands and their events at the positions they have."""
    events = [(row.position, row.stream, row.sequence, row.type, row.value) for s in sets for row in s.rows]
    for sql, params in _statements(_INSERT_EVENTS, events):
        c.execute(sql, params)
    entries = [
        (*s.command.scoped, found.digest, found.position, found.count, found.hash)
        for s, found in ((s, s.found) for s in sets)
    ]
    for sql, params in _statements(_INSERT_COMMANDS, entries):
        c.execute(sql, params)


_INSERT_EVENTS = "INSERT INTO events (position, originator_id, originator_version, topic, state) VALUES {rows}"
_INSERT_COMMANDS = "INSERT INTO commands (actor, command_id, digest, position, count, hash) VALUES {rows}"
_SELECT_COMMANDS = (
    "WITH wanted(actor, command_id) AS (VALUES {rows}) "
    "SELECT actor, command_id FROM wanted CROSS JOIN commands USING (actor, command_id) LIMIT 1"
)
_SELECT_INTAKES = (
    "WITH wanted(source) AS (VALUES {rows}) "
    "SELECT source, next_offset, mark FROM wanted CROSS JOIN intake USING (source)"
)
_UPSERT_INTAKES = (
    "INSERT INTO intake (source, next_offset, mark) VALUES {rows} "
    "ON CONFLICT (source) DO UPDATE SET next_offset = excluded.next_offset, mark = excluded.mark"
)
_INSERT_OUTCOMES = "INSERT INTO outcomes (id, kind, key, value, headers, time_ms, position) VALUES {rows}"
_SELECT_HEADS = (
    "WITH wanted(stream) AS (VALUES {rows}) SELECT stream, originator_version, state FROM wanted CROSS JOIN events "
    "ON originator_id = stream AND originator_version = (SELECT newest.originator_version FROM events AS newest "
    "WHERE newest.originator_id = stream ORDER BY newest.originator_version DESC LIMIT 1)"
)


@cache
def _sql(template: str, width: int, rows: int) -> str:
    row = f"({','.join('?' * width)})"
    return template.format(rows=",".join([row] * rows))


def _statements(template: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, list[Any]]]:
    """Statements over all rows, each over a power of two of them, so that few texts are ever compiled."""
    rest = list(rows)
    start = 0
    size = _LARGEST
    while start < len(rest):
        while size > len(rest) - start:
            size //= 2
        piece = rest[start : start + size]
        yield _sql(template, len(piece[0]), size), [value for row in piece for value in row]
        start += size

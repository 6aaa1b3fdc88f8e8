"""Reading the log's tables: rows, the newest one, one stream, one command."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from regista.domain.chain import Row
from regista.domain.errors import NotFound
from regista.store.append import CommandFound, OutcomeRow, Outgoing, Taken
from regista.store.headers import unpack_headers
from regista.store.postgres.address import Address
from regista.store.postgres.connections import ReaderPool
from regista.store.postgres.faults import translated
from regista.store.postgres.identity import identify
from regista.store.postgres.schema import WITH_MARKS
from regista.store.postgres.soundness import problems_of

_CHUNK = 500
_COLUMNS = "position, originator_id, originator_version, topic, state"
_READ = f"SELECT {_COLUMNS} FROM regista.events WHERE position >= %s AND position <= %s ORDER BY position LIMIT %s"  # noqa: S608 - constants only
_ROW = f"SELECT {_COLUMNS} FROM regista.events WHERE position = %s"  # noqa: S608 - constants only
_LAST = f"SELECT {_COLUMNS} FROM regista.events ORDER BY position DESC LIMIT 1"  # noqa: S608 - constants only
_LOAD = (
    f"SELECT {_COLUMNS} FROM regista.events WHERE originator_id = %s "  # noqa: S608 - constants only
    "AND originator_version > %s AND originator_version <= %s ORDER BY originator_version LIMIT %s"
)
_MAX = "SELECT max(position) FROM regista.events"
_COMMAND = "SELECT digest, position, count, hash FROM regista.commands WHERE actor = %s AND command_id = %s"
_COMMANDS = (
    "SELECT actor, command_id, digest, position, count, hash FROM regista.commands "
    "WHERE (actor, command_id) > (%s, %s) ORDER BY actor, command_id LIMIT %s"
)
_WANTED = (
    "SELECT wanted.actor, wanted.command_id, known.digest, known.position, known.count, known.hash "
    "FROM unnest(%s::text[], %s::text[]) AS wanted (actor, command_id) "
    "CROSS JOIN LATERAL (SELECT * FROM regista.commands WHERE commands.actor = wanted.actor "
    "AND commands.command_id = wanted.command_id LIMIT 1) AS known"
)
_INTAKE = "SELECT next_offset, mark FROM regista.intake WHERE source = %s"
_INTAKE_WITHOUT_MARKS = "SELECT next_offset, NULL::bytea FROM regista.intake WHERE source = %s"
_OUTCOMES = (
    "SELECT id, kind, key, value, headers, time_ms, position FROM regista.outcomes WHERE id >= %s ORDER BY id LIMIT %s"
)
_END = 2**63 - 1


class PostgresLogReader:
    """Implements ``LogReader``. Takes no lock: works beside running registrars and on a standby."""

    immediate = False

    def __init__(self, url: str, *, lock_timeout: float = 5.0) -> None:
        """Read the log in the database at ``url``.

        Raises:
            NotFound: ``log_not_found``: it holds none.
            Damaged: it is not a log of Regista, or one of a newer release.
            Unavailable: it cannot be reached.
            Invalid: ``settings_invalid``: the address cannot be read.
        """
        address = Address(url)
        self._open(address, ReaderPool(address, lock_timeout=lock_timeout))

    def _open(self, address: Address, readers: ReaderPool) -> None:
        self.address = address
        self._readers = readers
        try:
            with translated(address), self._readers.connection() as connection:
                identity = identify(connection, address)
        except BaseException:
            readers.close()
            raise
        if identity is None:
            readers.close()
            raise NotFound(f"There is no log in {address.shown}.", code="log_not_found")
        self._identity = identity
        self._intake = _INTAKE if identity.version >= WITH_MARKS else _INTAKE_WITHOUT_MARKS

    @property
    def log_id(self) -> str:
        """The identity of the log."""
        return self._identity.log_id

    def load(self, stream: str, after_sequence: int = 0, until_sequence: int | None = None) -> Iterator[Row]:
        """Rows of one stream, in chunks."""
        until = _END if until_sequence is None else until_sequence
        while True:
            rows = self._rows(_LOAD, (stream, after_sequence, until, _CHUNK))
            yield from rows
            if len(rows) < _CHUNK:
                return
            after_sequence = rows[-1].sequence

    def read(self, from_position: int, limit: int, stop: int | None = None) -> list[Row]:
        """Rows from a position on, itself included."""
        return self._rows(_READ, (from_position, _END if stop is None else stop, limit))

    def row(self, position: int) -> Row | None:
        """The row at a position."""
        return next(iter(self._rows(_ROW, (position,))), None)

    def last(self) -> Row | None:
        """The newest row."""
        return next(iter(self._rows(_LAST, ())), None)

    def max_position(self) -> int:
        """The newest position."""
        [[found]] = self._fetch(_MAX, ())
        return int(found or 0)

    def find_command(self, actor: str, command_id: str) -> CommandFound | None:
        """Where a command's events are."""
        found = self._fetch(_COMMAND, (actor, command_id))
        return CommandFound(*found[0]) if found else None

    def find_commands(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], CommandFound]:
        """Where the events of several commands are."""
        columns = ([actor for actor, _ in keys], [command_id for _, command_id in keys])
        entries = self._fetch(_WANTED, columns)
        return {(actor, command_id): CommandFound(*found) for actor, command_id, *found in entries}

    def commands(self) -> Iterator[tuple[str, str, CommandFound]]:
        """The command index, in chunks."""
        after = ("", "")
        while True:
            entries = self._fetch(_COMMANDS, (*after, _CHUNK))
            for actor, command_id, *found in entries:
                after = (actor, command_id)
                yield actor, command_id, CommandFound(*found)
            if len(entries) < _CHUNK:
                return

    def rows_of_command(self, found: CommandFound) -> list[Row]:
        """The events of a command."""
        return self.read(found.position, found.count)

    def intake_offset(self, source: str) -> int | None:
        """How far a queue is taken in."""
        found = self.intake(source)
        return None if found is None else found.offset

    def intake(self, source: str) -> Taken | None:
        """The same with its mark."""
        found = self._fetch(self._intake, (source,))
        return Taken(*found[0]) if found else None

    def outcomes(self, from_id: int, limit: int) -> list[OutcomeRow]:
        """What is to be told, from an id on, itself included."""
        return [
            OutcomeRow(id_, Outgoing(kind, key, value, unpack_headers(headers), time_ms), position)
            for id_, kind, key, value, headers, time_ms, position in self._fetch(_OUTCOMES, (from_id, limit))
        ]

    def max_outcome(self) -> int:
        """The newest id."""
        [[found]] = self._fetch("SELECT max(id) FROM regista.outcomes", ())
        return int(found or 0)

    def storage_problems(self) -> list[str]:
        """What PostgreSQL finds in pages and indexes: by amcheck where the server has it, else by reading both."""
        with translated(self.address), self._readers.connection() as connection:
            return problems_of(connection)

    def close(self) -> None:
        """Close the connections."""
        self._readers.close()

    def _rows(self, sql: str, params: tuple[Any, ...]) -> list[Row]:
        return list(map(Row._make, self._fetch(sql, params)))

    def _fetch(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with translated(self.address), self._readers.connection() as connection:
            return connection.execute(sql, params, prepare=True, binary=True).fetchall()

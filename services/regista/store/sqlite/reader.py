"""Reading the log's file: rows, the newest one, one stream, one command."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from regista.domain.chain import Row
from regista.domain.errors import Damaged, NotFound
from regista.store.append import CommandFound, OutcomeRow, Outgoing, Taken
from regista.store.headers import unpack_headers
from regista.store.sqlite.connections import ReaderPool
from regista.store.sqlite.faults import translated
from regista.store.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION, WITH_MARKS, WITH_OUTCOMES

_CHUNK = 500
_COLUMNS = "position, originator_id, originator_version, topic, state"
_READ = f"SELECT {_COLUMNS} FROM events WHERE position >= ? AND position <= ? ORDER BY position LIMIT ?"  # noqa: S608 - constants only
_ROW = f"SELECT {_COLUMNS} FROM events WHERE position = ?"  # noqa: S608 - constants only
_LAST = f"SELECT {_COLUMNS} FROM events ORDER BY position DESC LIMIT 1"  # noqa: S608 - constants only
_LOAD = (
    f"SELECT {_COLUMNS} FROM events WHERE originator_id = ? "  # noqa: S608 - constants only
    "AND originator_version > ? AND originator_version <= ? ORDER BY originator_version LIMIT ?"
)
_MAX = "SELECT max(position) FROM events"
_COMMAND = "SELECT digest, position, count, hash FROM commands WHERE actor = ? AND command_id = ?"
_COMMANDS = (
    "SELECT actor, command_id, digest, position, count, hash FROM commands "
    "WHERE (actor, command_id) > (?, ?) ORDER BY actor, command_id LIMIT ?"
)
_INTAKE = "SELECT next_offset, mark FROM intake WHERE source = ?"
_INTAKE_WITHOUT_MARKS = "SELECT next_offset, NULL FROM intake WHERE source = ?"
_OUTCOMES = "SELECT id, kind, key, value, headers, time_ms, position FROM outcomes WHERE id >= ? ORDER BY id LIMIT ?"
_END = 2**63 - 1


class SQLiteLogReader:
    """Implements ``LogReader``. Takes no lock: works beside a running registrar and on a copy."""

    immediate = True

    def __init__(self, path: Path, readers: ReaderPool | None = None) -> None:
        """Read the log at ``path``.

        Raises:
            NotFound: there is no file, or it holds no log yet.
            Damaged: it is not a log of Regista.
        """
        self.path = path
        self._readers = readers or ReaderPool(path)
        if not path.is_file():
            raise NotFound(f"There is no log at {path}.", code="log_not_found")
        try:
            self._identify()
        except BaseException:
            self._readers.close()
            raise

    def _identify(self) -> None:
        application, version = self._one("SELECT * FROM pragma_application_id, pragma_user_version") or (0, 0)
        if application != APPLICATION_ID:
            raise Damaged(f"{self.path} is not a log of Regista.", code="not_a_log")
        if version > SCHEMA_VERSION:
            raise Damaged(
                f"{self.path} was written by a newer release (layout {version}, this release knows {SCHEMA_VERSION}).",
                code="log_too_new",
                hint="Run the release that wrote it, or a later one.",
            )
        self._has_outcomes = version >= WITH_OUTCOMES
        self._intake = _INTAKE if version >= WITH_MARKS else _INTAKE_WITHOUT_MARKS
        found = self._one("SELECT value FROM log WHERE key = 'log_id'")
        if found is None:
            raise NotFound(f"The log at {self.path} was never finished.", code="log_not_found")
        self._log_id = str(found[0])

    @property
    def log_id(self) -> str:
        """The identity of the log."""
        return self._log_id

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
        found = self._one(_MAX)
        return int(found[0] or 0) if found else 0

    def find_command(self, actor: str, command_id: str) -> CommandFound | None:
        """Where a command's events are."""
        found = self._one(_COMMAND, (actor, command_id))
        return CommandFound(*found) if found else None

    def find_commands(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], CommandFound]:
        """Where the events of several commands are."""
        found = {key: self.find_command(*key) for key in keys}
        return {key: command for key, command in found.items() if command is not None}

    def commands(self) -> Iterator[tuple[str, str, CommandFound]]:
        """The command index, in chunks."""
        after = ("", "")
        while True:
            with translated(self.path), self._readers.connection() as connection:
                entries = connection.execute(_COMMANDS, (*after, _CHUNK)).fetchall()
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
        """The same with its mark. A file of an earlier layout that nobody has opened since has none, or took in nothing."""
        found = self._one(self._intake, (source,)) if self._has_outcomes else None
        return None if found is None else Taken(*found)

    def outcomes(self, from_id: int, limit: int) -> list[OutcomeRow]:
        """What is to be told, from an id on, itself included."""
        if not self._has_outcomes:
            return []
        with translated(self.path), self._readers.connection() as connection:
            found = connection.execute(_OUTCOMES, (from_id, limit)).fetchall()
        return [
            OutcomeRow(id_, Outgoing(kind, key, value, unpack_headers(headers), time_ms), position)
            for id_, kind, key, value, headers, time_ms, position in found
        ]

    def max_outcome(self) -> int:
        """The newest id."""
        found = self._one("SELECT max(id) FROM outcomes") if self._has_outcomes else None
        return int(found[0] or 0) if found else 0

    def storage_problems(self) -> list[str]:
        """What SQLite's own check of pages and indexes finds."""
        with translated(self.path), self._readers.connection() as connection:
            found = [str(line) for (line,) in connection.execute("PRAGMA integrity_check(20)")]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Close the connections."""
        self._readers.close()

    def _rows(self, sql: str, params: tuple[Any, ...]) -> list[Row]:
        with translated(self.path), self._readers.connection() as connection:
            return list(map(Row._make, connection.execute(sql, params)))

    def _one(self, sql: str, params: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        with translated(self.path), self._readers.connection() as connection:
            found: tuple[Any, ...] | None = connection.execute(sql, params).fetchone()
            return found

"""The log store in SQLite: the reader, and the appends through the library's recorder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from eventsourcing.sqlite import SQLiteCursor

from regista.domain.errors import Damaged, Invalid
from regista.domain.times import Clock, utc_now
from regista.store.append import Append, Taken
from regista.store.birth import birth, new_log_id
from regista.store.command_sets import CommandSet, in_chunks
from regista.store.conditions import check_end, check_new
from regista.store.sqlite.datastore import LogDatastore
from regista.store.sqlite.faults import translated
from regista.store.sqlite.lock import DataLock
from regista.store.sqlite.probe import check_writable
from regista.store.sqlite.reader import SQLiteLogReader
from regista.store.sqlite.recorder import SQLiteLogRecorder, insert_appends, insert_sets, set_intakes
from regista.store.sqlite.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION

_PRUNE = "DELETE FROM outcomes WHERE id IN (SELECT id FROM outcomes WHERE id < ? AND time_ms < ? ORDER BY id LIMIT ?)"
LOG_FILE = "log.db"
LOCK_FILE = "lock"


def _migrate(cursor: SQLiteCursor) -> None:
    """Bring a file of an earlier layout to this one; one of a later release is left as it is."""
    cursor.execute("PRAGMA user_version")
    [version] = cursor.fetchone()
    if version >= SCHEMA_VERSION:
        return
    for layout in range(version + 1, SCHEMA_VERSION + 1):
        for statement in MIGRATIONS[layout]:
            cursor.execute(statement)
    cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _replace(cursor: SQLiteCursor, after: int, sets: Iterable[CommandSet], log_id: str) -> None:
    cursor.execute("DELETE FROM events WHERE position > ?", (after,))
    cursor.execute("DELETE FROM commands WHERE position > ?", (after,))
    try:
        for some in in_chunks(sets):
            insert_sets(cursor, some)
    except sqlite3.IntegrityError as error:
        raise Invalid(f"A position, a place in a stream or a command is there twice: {error}.") from error
    cursor.execute("UPDATE log SET value = ? WHERE key = 'log_id'", (log_id,))


class SQLiteLogStore(SQLiteLogReader):
    """Implements ``LogStore`` in ``DATA/log.db``, alone in its data directory as long as it is open."""

    def __init__(self, data: Path, *, lock_timeout: float = 5.0, now: Clock = utc_now) -> None:
        """Open the log, creating directory, file and the first event where they are missing.

        Raises:
            Unavailable: another process has the directory (``data_in_use``), or it cannot be written.
            Damaged: the file is not a log, or not one that this release can read.
        """
        with suppress(OSError):
            # Where it fails, taking the lock says why.
            data.mkdir(parents=True, exist_ok=True)
        self._lock = DataLock(data / LOCK_FILE)
        self._datastore = LogDatastore(data / LOG_FILE, lock_timeout=lock_timeout)
        self._recorder = SQLiteLogRecorder(self._datastore)
        try:
            self._prepare(now)
            super().__init__(data / LOG_FILE, self._datastore.readers)
        except BaseException:
            self.close()
            raise

    def _prepare(self, now: Clock) -> None:
        """Create what is missing in one transaction: a crash leaves no log without its first event."""
        path = self._datastore.path
        with translated(path), self._datastore.transaction(commit=True) as cursor:
            cursor.execute("PRAGMA application_id")
            [application] = cursor.fetchone()
            cursor.execute("SELECT count(*) FROM sqlite_schema")
            [tables] = cursor.fetchone()
            if application != APPLICATION_ID and (application or tables):
                raise Damaged(f"{path} is not a log of Regista.", code="not_a_log", hint="Name another data directory.")
            if application == APPLICATION_ID:
                _migrate(cursor)
                return
            for statement in self._recorder.create_table_statements:
                cursor.execute(statement)
            log_id = new_log_id()
            insert_appends(cursor, [birth(log_id, now())], position=1)
            cursor.execute("INSERT INTO log (key, value) VALUES ('log_id', ?)", (log_id,))
            cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def check_writable(self) -> None:
        """Whether an append could be written now: the promise of ``LogStore.check_writable``."""
        check_writable(self.path)

    def append(self, appends: Sequence[Append]) -> list[int]:
        """Append in one durable transaction: the promise of ``LogStore.append``."""
        if not appends:
            return []
        with translated(self._datastore.path):
            return list(self._recorder.insert_events([], appends=appends) or ())

    def prune_outcomes(self, before_id: int, older_than_ms: int, limit: int = 10_000) -> int:
        """Remove old outcomes: the promise of ``LogStore.prune_outcomes``."""
        with translated(self.path), self._datastore.transaction(commit=True) as cursor:
            cursor.execute(_PRUNE, (before_id, older_than_ms, limit))
            cursor.execute("SELECT changes()")
            [removed] = cursor.fetchone()
            return int(removed)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other writers away: the promise of ``LogStore.alone``, which the directory's lock keeps anyway."""
        yield

    def adopt(self, sets: Iterable[CommandSet], log_id: str) -> None:
        """Become another log in one transaction: the promise of ``LogStore.adopt``."""
        with translated(self.path), self._datastore.transaction(commit=True) as cursor:
            cursor.execute("SELECT max(position) FROM events")
            check_new(cursor.fetchone()[0], "data directory")
            _replace(cursor, 0, sets, log_id)
        self._log_id = log_id

    def restore(self, after: int, sets: Iterable[CommandSet], log_id: str, *, end: int) -> None:
        """Replace the end of the log in one transaction: the promise of ``LogStore.restore``."""
        with translated(self.path), self._datastore.transaction(commit=True) as cursor:
            cursor.execute("SELECT max(position) FROM events")
            check_end(end, cursor.fetchone()[0])
            _replace(cursor, after, sets, log_id)
        self._log_id = log_id

    def forget_queues(self, taken: Mapping[str, Taken]) -> None:
        """Drop outcomes and set intakes in one transaction: the promise of ``LogStore.forget_queues``."""
        with translated(self.path), self._datastore.transaction(commit=True) as cursor:
            cursor.execute("DELETE FROM outcomes")
            cursor.execute("DELETE FROM intake")
            set_intakes(cursor, taken)

    def close(self) -> None:
        """Close every connection and give the data directory free."""
        self._datastore.close()
        self._lock.release()

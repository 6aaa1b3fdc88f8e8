"""The library's SQLite datastore with our connections: one writer that takes its lock first, readers that never queue.

The library's own pool makes reads wait behind writers, and its transactions begin deferred: what such a transaction
reads before its first write is not checked under the write lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from eventsourcing.persistence import IntegrityError, PersistenceError
from eventsourcing.sqlite import SQLiteConnection, SQLiteCursor, SQLiteDatastore, SQLiteTransaction

from regista.store.sqlite.connections import ReaderPool, connect_writer


class _WriteTransaction(SQLiteTransaction):
    """Takes the write lock at once."""

    def __enter__(self) -> SQLiteCursor:
        cursor = self.connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        return cursor


class LogDatastore(SQLiteDatastore):
    """One file. A writer connection that met an error of the storage is dropped; the next write opens a new one."""

    def __init__(self, path: Path, *, lock_timeout: float = 5.0) -> None:
        super().__init__(str(path), originator_id_type="text")
        self.path = path
        self.readers = ReaderPool(path, lock_timeout=lock_timeout)
        self._lock_timeout = lock_timeout
        self._writer: SQLiteConnection | None = None
        self._write_lock = Lock()

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """A cursor inside a transaction: the write transaction, or a read on a connection of its own."""
        if commit:
            with self._write_lock, self._writing() as cursor:
                yield cursor
        else:
            with self.readers.connection() as connection:
                reading = connection.cursor()
                reading.row_factory = sqlite3.Row
                yield SQLiteCursor(reading)

    @contextmanager
    def _writing(self) -> Iterator[SQLiteCursor]:
        if self._writer is None:
            self._writer = SQLiteConnection(connect_writer(self.path, lock_timeout=self._lock_timeout), max_age=None)
        try:
            with _WriteTransaction(self._writer, commit=True) as cursor, cursor:
                yield cursor
        except IntegrityError:
            raise
        except (sqlite3.Error, PersistenceError):
            # A commit that failed may still be open; closing the connection ends it.
            self._drop_writer()
            raise

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def close(self) -> None:
        """Close the writer and the readers."""
        super().close()
        if hasattr(self, "readers"):
            self.readers.close()
            with self._write_lock:
                self._drop_writer()

"""Connections to the log's file: how they are opened, and a pool of read-only ones that never waits for the writer.

WAL: readers see the last commit and block nobody. ``synchronous=FULL``: a commit is on the disk when it returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from regista.store.idle import IdleConnections

_WAL_LIMIT = 64 * 1024 * 1024
"""Bytes that the write-ahead log is cut back to after a burst."""


def connect_writer(path: Path, *, lock_timeout: float) -> sqlite3.Connection:
    """The connection that writes, creating the file where it is new. Waits ``lock_timeout`` seconds for a lock."""
    connection = _connect(path, "rwc", lock_timeout)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path, *, lock_timeout: float) -> sqlite3.Connection:
    """A connection that can only read.

    SQLite wants to write its shared memory beside the file. Where it may not, a log that nobody has open (there is no
    WAL) is read as the unchanging file that it is.
    """
    connection = _connect(path, "ro", lock_timeout)
    try:
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        return _connect(path, "ro&immutable=1", lock_timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, mode: str, lock_timeout: float) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=lock_timeout,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


class ReaderPool(IdleConnections[sqlite3.Connection]):
    """Read-only connections, one for each read that runs at the same time, kept for the next.

    ``follows``: another file that is put in the place of the first is what is read from then on. Without, connections go
    on reading the one that they opened, as that of the writer does.
    """

    def __init__(self, path: Path, *, lock_timeout: float = 5.0, follows: bool = False) -> None:
        super().__init__()
        self._path = path
        self._follows = follows
        self._file: tuple[int, int] | None = None
        self._lock_timeout = lock_timeout

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for one read. One that failed is not kept.

        Raises:
            sqlite3.ProgrammingError: the pool is closed.
        """
        if self._closed:
            raise sqlite3.ProgrammingError("the log is closed")
        if self._follows:
            self._look()
        file = self._file
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect_reader(self._path, lock_timeout=self._lock_timeout)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self._closed or self._file != file:
            connection.close()
        else:
            self._idle.append(connection)

    def _look(self) -> None:
        """Let go of connections to a file that has lost its name."""
        try:
            found = self._path.stat()
        except OSError:
            return  # between two files; whatever else it is, the read says so
        if (file := (found.st_dev, found.st_ino)) != self._file:
            self._file = file
            self._close_idle()

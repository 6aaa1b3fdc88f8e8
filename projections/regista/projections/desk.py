"""The small tables beside the views, through which projectors and those who follow them know of each other.

A desk is a connection of its own: what is written there takes part in no transaction of the views, and is for peace
and for information alone. That no batch is folded twice rests on the compare-and-set on the offsets.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from regista.projections.reader import Reader
from regista.projections.sqlite.reader import SQLiteReader

DDL = (
    """CREATE TABLE IF NOT EXISTS projector (
        id INTEGER NOT NULL PRIMARY KEY, holder TEXT NOT NULL, beat BIGINT NOT NULL, state TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS requests (
        id TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, holder TEXT, progress TEXT,
        answer TEXT)""",
)
"""``projector`` has one row: who projects, a number that rises while it lives, and how it stands (JSON)."""

_BUSY_SECONDS = 10.0
_EAGER_SECONDS = 0.25
_EAGER = 0.0015
_PATIENT = 0.02
_IDLE = 0.25
"""Seconds between two looks: just after somebody began to wait, later, and while nobody waits."""


class Desk(Protocol):
    """A connection for the small tables. It serves one thread at a time."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Carry out one statement, a transaction of its own; ``?`` stands for a parameter.

        Raises:
            Exception: the driver's, when the database cannot be written now.
        """
        ...

    def try_lead(self) -> bool:
        """Take the lock of the one who projects, if it is free; it is given back when the process ends."""
        ...

    def stop_leading(self) -> None:
        """Give the lock back."""
        ...

    def close(self) -> None:
        """Close the connection, and give the lock back."""
        ...


class Watcher(Protocol):
    """Notices what others commit. Belongs to one event loop."""

    async def changed(self, timeout: float, *, eager: bool) -> bool:  # noqa: ASYNC109 - a result, not an exception
        """Whether anything was committed since the last call, within ``timeout`` seconds; it may err on that side.

        ``eager``: somebody waits for it, milliseconds count. May be cancelled.
        """
        ...

    def close(self) -> None:
        """Watch no more."""
        ...


class ViewsSource(Protocol):
    """A database of views, as far as those need it who only follow."""

    @property
    def immediate(self) -> bool:
        """Whether a look-up takes microseconds and waits for no network: it may then run on an event loop."""
        ...

    def reader(self) -> Reader:
        """A new connection for reading, for one thread at a time."""
        ...

    def desk(self) -> Desk:
        """A new connection for the small tables."""
        ...

    def watch(self) -> Watcher:
        """A new watch over what is committed."""
        ...


class ViewsFile:
    """A file of views that another process writes. Nothing here writes a view, or makes the file anew."""

    immediate = True

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def reader(self) -> Reader:
        """A new connection for reading, for one thread at a time."""
        return SQLiteReader(self.path)

    def desk(self) -> Desk:
        """A new connection for the small tables."""
        return FileDesk(self.path)

    def watch(self) -> Watcher:
        """A new watch over what is committed."""
        return FileWatcher(self.path)

    def close(self) -> None:
        """Nothing is open here: readers, desks and watches are closed by whoever made them."""


class FileDesk:
    """A ``Desk`` beside a file of views. The lock is one on a file of its own: the system gives it back."""

    def __init__(self, path: Path) -> None:
        """Open the file, make the tables where there are none.

        Raises:
            sqlite3.Error: it cannot be opened or written now.
        """
        self._lock_path = path.with_name(f"{path.name}.lock")
        self._lock: int | None = None
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        try:
            # The projector moves what is in the write-ahead log to its place: it knows what must be on the disk when.
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            for statement in DDL:
                self._connection.execute(statement)
        except BaseException:
            self._connection.close()
            raise

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """As ``Desk.execute``."""
        return self._connection.execute(sql, parameters).fetchall()

    def try_lead(self) -> bool:
        """As ``Desk.try_lead``."""
        if self._lock is not None:
            return True
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def stop_leading(self) -> None:
        """As ``Desk.stop_leading``."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def close(self) -> None:
        """As ``Desk.close``."""
        self.stop_leading()
        self._connection.close()


class FileWatcher:
    """A ``Watcher`` of a file: SQLite tells nobody of a commit, but counts them, and looking takes microseconds."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        self._seen = -1

    async def changed(self, timeout: float, *, eager: bool) -> bool:  # noqa: ASYNC109 - a result, not an exception
        """As ``Watcher.changed``."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not self._has_changed():
            passed = loop.time() - began
            if passed >= timeout:
                return False
            pause = _IDLE if not eager else _EAGER if passed < _EAGER_SECONDS else _PATIENT
            await asyncio.sleep(min(pause, timeout - passed))
        return True

    def close(self) -> None:
        """As ``Watcher.close``."""
        self._connection.close()

    def _has_changed(self) -> bool:
        with suppress(sqlite3.OperationalError):  # locked for a moment: looked at again
            seen = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
            if seen != self._seen:
                self._seen = seen
                return True
        return False

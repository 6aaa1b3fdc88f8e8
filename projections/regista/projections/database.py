"""The database of the views: one file, written by one projector, read by many.

SQLite in WAL mode. An offset stands in the same transaction as its rows, so whatever is lost is folded again. Views
are disposable: a file of another format, or one that a power cut may have torn (``power``), is made anew.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from regista.projections import catalogue
from regista.projections.catalogue import Entry
from regista.projections.changes import Change, Rewrite, Statement, Write
from regista.projections.desk import FileDesk, FileWatcher
from regista.projections.power import Mark, Torn, this_boot
from regista.projections.skips import Skip, Skips
from regista.projections.sqlite.reader import SQLiteReader
from regista.projections.storage import Overtaken
from regista.projections.views.base import View

log = logging.getLogger(__name__)
_DIALECT = sqlite.dialect()
_MAX_PARAMETERS = 4096
_CHUNKS = (1024, 256, 64, 16, 4, 1)
_BUSY_SECONDS = 10.0
_CACHE_KB = 16_000
_LARGE_CACHE_KB = 64_000
_CHECKPOINT_PAGES = 4_000
"""16 MB: a page that many small transactions change is moved from the write-ahead log to its place once."""
_LARGE_CHECKPOINT_PAGES = 16_000
"""The same for large transactions, each of which changes pages for 20 MB: half as much is written to the disk."""
_WAL_BYTES = 32_000_000
"""What a rebuild needed beyond this is given back."""


_ENVIRONMENT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
    }
)
"""What is wrong with the machine, not with the view: tried again."""
_LOST = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


class OtherFormat(sqlite3.DatabaseError):
    """The file holds views as another release lays them out."""


class ViewsDatabase:
    """The views of one registry. The writing methods belong to one thread at a time."""

    immediate = True

    def __init__(self, path: Path | str, boot: str | None = None) -> None:
        """Open the file, make it where there is none. ``boot`` stands for this run of the operating system.

        What was skipped is in a file beside it, ``views.skips.json`` beside ``views.db``.

        Raises:
            sqlite3.Error: it cannot be opened or written now; what it holds is left alone.
            Damaged: ``skips_unreadable``.
        """
        self.path = Path(path)
        self._recorded = Skips(self.path.with_suffix(".skips.json"))
        self._boot = boot or this_boot()
        self._large = False
        self._skips: dict[tuple[str, int], frozenset[int]] = {}
        try:
            self._connection, self._mark = self._open()
        except sqlite3.DatabaseError as error:
            if not _is_lost(error):
                raise
            self._remove_file()
            self._connection, self._mark = self._open()
            log.warning("%s is made anew from the log: %s", self.path, error)

    def _open(self) -> tuple[sqlite3.Connection, Mark]:
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
            for statement in catalogue.DDL:
                connection.execute(statement)
            connection.execute("INSERT INTO about VALUES ('format', ?) ON CONFLICT DO NOTHING", (catalogue.FORMAT,))
            _check_format(connection)
            return connection, Mark(connection, self._boot)
        except BaseException:
            connection.close()
            raise

    def _remove_file(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def close(self) -> None:
        """Close the writing connection. Readers are closed by whoever opened them, before."""
        with suppress(sqlite3.Error):
            self._mark.remove()
        self._connection.close()

    def reader(self) -> SQLiteReader:
        """A new connection for reading, for one thread at a time."""
        return SQLiteReader(self.path)

    def desk(self) -> FileDesk:
        """A new connection for the small tables, for one thread at a time."""
        return FileDesk(self.path)

    def watch(self) -> FileWatcher:
        """A new watch over what other connections commit."""
        return FileWatcher(self.path)

    def log_id(self) -> str | None:
        """The log that the views are of."""
        row = self._connection.execute("SELECT value FROM about WHERE name = 'log_id'").fetchone()
        return None if row is None else str(row[0])

    def entries(self) -> list[Entry]:
        """All generations of all views."""
        return [Entry.of(row) for row in self._connection.execute(catalogue.SELECT)]

    def skips(self, view: View) -> frozenset[int]:
        """The positions that this version of a view passes over."""
        key = (view.name, view.version)
        if key not in self._skips:
            self._skips[key] = self._recorded.positions(self.log_id() or "", *key)
        return self._skips[key]

    def skip(self, skips: Iterable[Skip]) -> None:
        """Record what views pass over from now on.

        Raises:
            OSError: it cannot be written; nothing was recorded.
        """
        self._recorded.add(skips)
        self._skips.clear()

    def recorded_skips(self) -> tuple[Skip, ...]:
        """Everything that views of any log were told to pass over."""
        return self._recorded.recorded()

    @contextmanager
    def transaction(self, *, large: bool = False) -> Iterator[None]:
        """All or nothing of what the block writes. A large one gets room to keep the pages that it changes."""
        if large != self._large:
            self._connection.execute(f"PRAGMA cache_size = -{_LARGE_CACHE_KB if large else _CACHE_KB}")
            pages = _LARGE_CHECKPOINT_PAGES if large else _CHECKPOINT_PAGES
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
            self._large = large
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All or nothing of what the block writes, inside a transaction that goes on."""
        self._connection.execute("SAVEPOINT view")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO view")
            self._connection.execute("RELEASE view")
            raise
        self._connection.execute("RELEASE view")

    def clear(self, log_id: str) -> None:
        """Drop every view: from now on they are of this log."""
        with self.transaction():
            kinds = ("view", "table")
            for kind in kinds:
                query = "SELECT name FROM sqlite_master WHERE type = ? AND name GLOB '*_v[0-9]*'"
                for (name,) in self._connection.execute(query, (kind,)).fetchall():
                    self._connection.execute(f"DROP {kind} {name}")
            self._connection.execute("DELETE FROM catalogue")
            self._skips.clear()
            self._connection.execute("INSERT OR REPLACE INTO about VALUES ('log_id', ?)", (log_id,))

    def create(self, view: View, entry: Entry) -> None:
        """Make the tables of a new generation and its entry."""
        with self.transaction():
            for table in view.physical_tables(entry.generation).sorted_tables:
                self._connection.execute(str(CreateTable(table).compile(dialect=_DIALECT)))
                for index in sorted(table.indexes, key=lambda i: str(i.name)):
                    self._connection.execute(str(CreateIndex(index).compile(dialect=_DIALECT)))
            self._connection.execute(catalogue.INSERT, entry.values())

    def expose(self, view: View, entry: Entry) -> None:
        """Make queries see this generation. Inside a transaction."""
        for statement in catalogue.expose(view, entry.generation):
            self._connection.execute(statement)

    def drop(self, view: View, entry: Entry) -> None:
        """Drop a generation that no query sees any more, of this or an earlier version. Inside a transaction."""
        if entry.version != view.version:
            for table in view.tables:
                self._connection.execute(f"DROP VIEW IF EXISTS {table.name}_v{entry.version}")
        suffix = f"_v{entry.version}_g{entry.generation}"
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE ?"
        tables = {f"{table.name}{suffix}" for table in view.tables}
        for (name,) in self._connection.execute(query, (f"%{suffix}",)).fetchall():
            if name in tables:
                self._connection.execute(f"DROP TABLE {name}")
        self._connection.execute(catalogue.DELETE, entry.key)

    def advance(self, before: Entry, after: Entry) -> None:
        """Move an entry on. Inside the transaction that holds its rows.

        Raises:
            Overtaken: the entry is not where it was.
        """
        cursor = self._connection.execute(catalogue.ADVANCE, after.advance_values(before))
        if cursor.rowcount != 1:
            raise Overtaken(f"{before.view} is no longer at {before.position}")

    def advance_together(self, before: Sequence[Entry], after: Sequence[Entry]) -> None:
        """Move entries that stand at one position on to another. Inside the transaction that holds their rows.

        Raises:
            Overtaken: one of them is not where it was.
        """
        places = [part for entry in before for part in entry.place]
        sql = catalogue.ADVANCE_TOGETHER.format(rows=", ".join(["(?, ?, ?, ?)"] * len(after)))
        cursor = self._connection.execute(sql, (*after[0].advance_together_values(before[0].position), *places))
        if cursor.rowcount != len(after):
            raise Overtaken(f"views are no longer at {before[0].position}")

    def write(self, view: View, generation: int, changes: Sequence[Change]) -> None:
        """Carry out changes on the tables of one generation."""
        for change in changes:
            match change:
                case Write(statement, rows):
                    self._write(view, generation, statement, rows)
                case Rewrite(select, key, update, rewrite):
                    row = self._connection.execute(_named(view, generation, select), key).fetchone()
                    if row is None:
                        raise LookupError(f"{view.name}: nothing to change at {key}")
                    self._connection.execute(_named(view, generation, update), rewrite(row))

    def is_hindered(self, error: Exception) -> bool:
        """As ``ViewsStorage.is_hindered``."""
        return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 1) & 0xFF in _ENVIRONMENT

    def _write(self, view: View, generation: int, statement: Statement, rows: Sequence[Sequence[Any]]) -> None:
        # Many rows in one statement: SQLite gives up the interpreter's lock once per statement, and whoever shares
        # the process with a busy event loop waits for the lock each time.
        done = 0
        for size in _sizes(statement.width):
            while len(rows) - done >= size:
                values = list(chain.from_iterable(rows[done : done + size]))
                self._connection.execute(_text(view, generation, statement, size), values)
                done += size


def _check_format(connection: sqlite3.Connection) -> None:
    if connection.execute("SELECT value FROM about WHERE name = 'format'").fetchone() != (catalogue.FORMAT,):
        raise OtherFormat("views of another format")


def _is_lost(error: sqlite3.DatabaseError) -> bool:
    """Whether there is nothing in the file to keep. A locked file or a full disk says nothing of that."""
    return isinstance(error, OtherFormat | Torn) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOST


@cache
def _sizes(width: int) -> tuple[int, ...]:
    return tuple(size for size in _CHUNKS if size == 1 or size * width <= _MAX_PARAMETERS)


@cache
def _text(view: View, generation: int, statement: Statement, size: int) -> str:
    row = f"({', '.join('?' * statement.width)})"
    return statement.text.format(rows=", ".join([row] * size), **view.names(generation))


@cache
def _named(view: View, generation: int, text: str) -> str:
    return text.format(**view.names(generation))

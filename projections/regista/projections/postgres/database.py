"""The database of the views in PostgreSQL: written by one projector, read by many processes.

An offset stands in the same transaction as its rows, so whatever is lost is folded again: commits therefore do not wait
for the disk (``synchronous_commit = off``). After a crash the server has all of a transaction or nothing, and what was
committed last may be missing, offset and rows alike. What was told to be skipped does wait: no log holds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg

from regista.projections import catalogue
from regista.projections.catalogue import Entry
from regista.projections.changes import Change, Rewrite, Write
from regista.projections.postgres import schema, skipping
from regista.projections.postgres.connection import CHANNEL, Connection, check, connect, is_hindered, unavailable
from regista.projections.postgres.desk import PostgresDesk
from regista.projections.postgres.dialect import bound_text
from regista.projections.postgres.growth import Growth
from regista.projections.postgres.reader import PostgresReader
from regista.projections.postgres.watcher import PostgresWatcher
from regista.projections.postgres.writing import Writing
from regista.projections.skips import Skip
from regista.projections.storage import Overtaken
from regista.projections.views.base import View

T = TypeVar("T")

GRACE_SECONDS = 60.0
"""For so long tables stay that no query sees any more: longer than a query that saw them may take."""
_SWEEP_SECONDS = 5.0
_LOCK_TIMEOUT = "200ms"
_PLANS = (
    "SET plan_cache_mode = force_generic_plan",
    "SET enable_seqscan = off",
    "SET enable_bitmapscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET jit = off",
)
"""Every statement that writes finds its rows by a key, however many there are."""
_COMMIT = f"NOTIFY {CHANNEL}; COMMIT"


class PostgresViewsDatabase:
    """Implements ``ViewsStorage``. A connection that broke is made anew by the next call.

    Whatever waits for the server raises ``Unavailable``, ``views_unreadable``, where it cannot be reached.
    """

    immediate = False

    def __init__(self, url: str) -> None:
        """Connect when first asked, and make the tables where there are none; the server may be away until then.

        Raises:
            Unavailable: ``views_unreadable``: the URL is none.
        """
        check(url)
        self._url = url
        self._connection: Connection | None = None
        self._skips: tuple[Skip, ...] = ()
        self._log_id: str | None = None
        self._growth = Growth()
        self._swept = 0.0

    def close(self) -> None:
        """As ``ViewsStorage.close``."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def reader(self) -> PostgresReader:
        """As ``ViewsStorage.reader``."""
        return PostgresReader(self._url)

    def desk(self) -> PostgresDesk:
        """A new connection for the small tables."""
        return PostgresDesk(self._url)

    def watch(self) -> PostgresWatcher:
        """A new watch over what is committed."""
        return PostgresWatcher(self._url)

    def log_id(self) -> str | None:
        """As ``ViewsStorage.log_id``."""
        query = "SELECT value FROM about WHERE name = 'log_id'"
        row = self._fresh(lambda connection: connection.execute(query).fetchone())
        self._log_id = None if row is None else str(row[0])
        return self._log_id

    def entries(self) -> list[Entry]:
        """As ``ViewsStorage.entries``."""
        return [Entry.of(row) for row in self._fresh(lambda c: c.execute(catalogue.SELECT, binary=True).fetchall())]

    def skips(self, view: View) -> frozenset[int]:
        """As ``ViewsStorage.skips``."""
        wanted = (self._log_id, view.name, view.version)
        return frozenset(s.position for s in self._skips if (s.log_id, s.view, s.version) == wanted)

    def skip(self, skips: Iterable[Skip]) -> None:
        """As ``ViewsStorage.skip``."""
        try:
            self._skips = self._fresh(lambda connection: skipping.add(connection, skips))
        except psycopg.Error as error:
            raise OSError(f"what is to be skipped cannot be written: {error}") from error

    def recorded_skips(self) -> tuple[Skip, ...]:
        """As ``ViewsStorage.recorded_skips``."""
        return self._skips

    @contextmanager
    def transaction(self, *, large: bool = False) -> Iterator[None]:  # noqa: ARG002 - the server has its own memory
        """As ``ViewsStorage.transaction``."""
        begin = "BEGIN; SET LOCAL synchronous_commit = off"
        connection = self._fresh(lambda connection: connection.execute(begin).connection)
        try:
            yield
            connection.execute(_COMMIT)
        except BaseException:
            with suppress(psycopg.Error):
                connection.execute("ROLLBACK")
            raise
        self._sweep(connection)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """As ``ViewsStorage.savepoint``."""
        self._inside.execute("SAVEPOINT view")
        try:
            yield
        except BaseException:
            with suppress(psycopg.Error):
                self._inside.execute("ROLLBACK TO view; RELEASE view")
            raise
        self._inside.execute("RELEASE view")

    def clear(self, log_id: str) -> None:
        """As ``ViewsStorage.clear``."""
        with self.transaction():
            schema.drop_all(self._inside)
            self._inside.execute("DELETE FROM catalogue; DELETE FROM exposed; DELETE FROM retired")
            self._inside.execute(
                "INSERT INTO about VALUES ('log_id', %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (log_id,),
            )
        self._log_id = log_id

    def create(self, view: View, entry: Entry) -> None:
        """As ``ViewsStorage.create``."""
        with self.transaction():
            schema.make(self._inside, view, entry.generation)
            self._inside.execute(bound_text(catalogue.INSERT), entry.values())

    def expose(self, view: View, entry: Entry) -> None:
        """As ``ViewsStorage.expose``."""
        for table in view.tables:
            physical = view.physical_name(table.name, entry.generation)
            self._inside.execute(f"ANALYZE {physical}")  # else the planner guesses until the server comes round to it
            self._inside.execute(
                "INSERT INTO exposed VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET physical = excluded.physical",
                (view.public_name(table.name), physical),
            )

    def drop(self, view: View, entry: Entry) -> None:
        """As ``ViewsStorage.drop``. Tables that served go when whoever may still look at them is done."""
        if entry.version != view.version:
            names = [f"{table.name}_v{entry.version}" for table in view.tables]
            self._inside.execute("DELETE FROM exposed WHERE name = ANY(%s)", (names,))
        for table in schema.tables_of(self._inside, view, entry.version, entry.generation):
            if entry.readable:
                self._inside.execute("INSERT INTO retired (name) VALUES (%s)", (table,))
            else:
                self._inside.execute(f"DROP TABLE {table}")
        self._inside.execute(bound_text(catalogue.DELETE), entry.key)

    def advance(self, before: Entry, after: Entry) -> None:
        """As ``ViewsStorage.advance``."""
        cursor = self._inside.execute(bound_text(catalogue.ADVANCE), after.advance_values(before))
        if cursor.rowcount != 1:
            raise Overtaken(f"{before.view} is no longer at {before.position}")

    def advance_together(self, before: Sequence[Entry], after: Sequence[Entry]) -> None:
        """As ``ViewsStorage.advance_together``."""
        places = [part for entry in before for part in entry.place]
        sql = bound_text(catalogue.ADVANCE_TOGETHER.format(rows=", ".join(["(?, ?, ?, ?)"] * len(after))))
        values = (*after[0].advance_together_values(before[0].position), *places)
        if self._inside.execute(sql, values).rowcount != len(after):
            raise Overtaken(f"views are no longer at {before[0].position}")

    def write(self, view: View, generation: int, changes: Sequence[Change]) -> None:
        """As ``ViewsStorage.write``."""
        writing = Writing(self._inside, view, generation)
        for change in changes:
            match change:
                case Write(statement, rows):
                    writing.write(statement, rows)
                    self._growth.written(view, generation, len(rows))
                case Rewrite():
                    writing.rewrite(change)
        if self._growth.is_due(view, generation):
            for table in view.tables:
                self._inside.execute(f"ANALYZE {view.physical_name(table.name, generation)}")

    def is_hindered(self, error: Exception) -> bool:
        """As ``ViewsStorage.is_hindered``."""
        return is_hindered(error)

    @property
    def _inside(self) -> Connection:
        """The connection, inside a transaction."""
        assert self._connection is not None
        return self._connection

    def _fresh(self, work: Callable[[Connection], T]) -> T:
        """Do the first thing of something. A connection that broke since the last one is replaced, once."""
        known = self._connection
        try:
            if known is not None:
                try:
                    return work(known)
                except psycopg.Error as error:
                    if not is_hindered(error):
                        raise
                    self.close()
            return work(self._connected())
        except psycopg.OperationalError as error:
            raise unavailable(error) from error

    def _connected(self) -> Connection:
        connection = connect(self._url, "projector", *_PLANS)
        try:
            schema.prepare(connection)
            self._skips = skipping.recorded(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _sweep(self, connection: Connection) -> None:
        """Drop tables that no query can see any more, unless somebody holds on to one: then the next time."""
        if (now := time.monotonic()) - self._swept < _SWEEP_SECONDS:
            return
        self._swept = now
        query = "SELECT name FROM retired WHERE since < clock_timestamp() - make_interval(secs => %s)"
        with suppress(psycopg.Error):
            for (name,) in connection.execute(query, (GRACE_SECONDS,)).fetchall():
                with connection.transaction():
                    connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                    connection.execute(f"DROP TABLE IF EXISTS {name}")
                    connection.execute("DELETE FROM retired WHERE name = %s", (name,))

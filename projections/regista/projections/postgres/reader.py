"""Reading views in PostgreSQL: one connection, one snapshot per answer.

A snapshot is a transaction in REPEATABLE READ. It begins with the names of the tables that serve and with how far they
are, so that a flip to other tables between two queries is not seen. A connection that broke is made anew by the next
snapshot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from regista.projections import catalogue
from regista.projections.catalogue import Entry
from regista.projections.postgres.connection import Connection, connect, is_hindered, too_slow, unavailable
from regista.projections.postgres.dialect import POSTGRES, PostgresDialect, arguments, translated

_BEGIN = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = {milliseconds}; "
    f"SELECT name, physical FROM exposed; {catalogue.POSITIONS}"
)
_VERSION = "SELECT view, version, generation, state, position FROM catalogue ORDER BY view, version, generation"
_PLANS = ("SET join_collapse_limit = 1", "SET jit = off")
"""Joins are carried out in the order in which they are written, as with SQLite: a page costs a page."""
_TEXTS = 500
"""Translations that are kept: filters make ever new texts."""
_FEW, _MANY = 32, 2_048
_LARGE = 2**20
"""Rows are fetched by ``_FEW`` first and up to ``_MANY`` later, for as long as they stay below so many bytes."""

T = TypeVar("T")


class PostgresReader:
    """Implements ``Reader``. Connects when it is first asked."""

    dialect: PostgresDialect = POSTGRES

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._inside = False
        self._names: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._positions: dict[str, int] = {}
        self._end: float | None = None
        self._limit = 0
        self._numbers = count()

    def close(self) -> None:
        """As ``Reader.close``."""
        connection, self._connection, self._inside = self._connection, None, False
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """As ``Reader.rows``."""
        if not self._inside:
            with self.snapshot():
                return self.rows(sql, parameters)
        try:
            cursor = self._ready().execute(self._text(sql), arguments(sql, parameters), binary=True)
            return cursor.fetchall()
        except psycopg.Error as error:
            raise unavailable(error) from error

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """As ``Reader.row``."""
        return next(iter(self.rows(sql, parameters)), None)

    def iterate(self, sql: str, parameters: Sequence[Any] = ()) -> Generator[tuple[Any, ...]]:
        """As ``Reader.iterate``."""
        if not self._inside:
            with self.snapshot():
                yield from self.iterate(sql, parameters)
            return
        try:
            name = f"rows_{next(self._numbers)}"
            with self._ready().cursor(name, binary=True) as cursor:
                cursor.execute(self._text(sql), arguments(sql, parameters))
                size = _FEW
                while rows := cursor.fetchmany(size):
                    large = sum(len(v) for row in rows for v in row if isinstance(v, bytes)) > _LARGE
                    size = _FEW if large else min(size * 2, _MANY)
                    yield from rows
                    self._ready()
        except psycopg.Error as error:
            raise unavailable(error) from error

    def positions(self) -> Mapping[str, int]:
        """As ``Reader.positions``."""
        if not self._inside:
            with self.snapshot():
                return self.positions()
        return dict(self._positions)

    def entries(self) -> list[Entry]:
        """As ``Reader.entries``."""
        return [Entry.of(row) for row in self.rows(catalogue.SELECT)]

    def begin(self) -> None:
        """As ``Reader.begin``."""
        self._begin()

    def data_version(self) -> Hashable:
        """As ``Reader.data_version``: how far every generation is, in one look that no snapshot needs."""
        try:
            return tuple(self._fresh(lambda connection: connection.execute(_VERSION).fetchall()))
        except psycopg.Error as error:
            raise unavailable(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """As ``Reader.snapshot``."""
        self._begin()
        try:
            yield
        finally:
            self._finish()

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """As ``Reader.deadline``. The server gives up a statement that takes as long by itself."""
        self._end = time.monotonic() + seconds
        self._limit = max(1, int(seconds * 1000))
        try:
            yield
        finally:
            self._end, self._limit = None, 0

    def _begin(self) -> None:
        def first(connection: Connection) -> list[list[tuple[Any, ...]]]:
            cursor = connection.execute(_BEGIN.format(milliseconds=self._limit))
            found = []
            while True:
                if cursor.description is not None:
                    found.append(cursor.fetchall())
                if not cursor.nextset():
                    return found

        try:
            names, positions = self._fresh(first)
        except psycopg.Error as error:
            raise unavailable(error) from error
        self._inside = True
        if dict(names) != self._names:
            self._names, self._texts = dict(names), {}
        self._positions = dict(positions)

    def _finish(self) -> None:
        self._inside = False
        connection = self._connection
        if connection is None:
            return
        with suppress(psycopg.Error):
            if connection.info.transaction_status != TransactionStatus.IDLE:
                connection.execute("COMMIT")  # after a rollback the driver forgets what is prepared
            return
        self.close()

    def _fresh(self, work: Callable[[Connection], T]) -> T:
        """Do the first thing of an answer. A connection that broke since the last one is replaced, once."""
        known = self._connection
        if known is not None:
            try:
                return work(known)
            except psycopg.Error as error:
                if not is_hindered(error):
                    raise
                self.close()
        self._connection = connect(self._url, "queries", *_PLANS)
        return work(self._connection)

    def _ready(self) -> Connection:
        """The connection, inside a snapshot and within the deadline."""
        if self._end is not None and time.monotonic() > self._end:
            raise too_slow()
        assert self._connection is not None
        return self._connection

    def _text(self, sql: str) -> str:
        text = self._texts.get(sql)
        if text is None:
            if len(self._texts) >= _TEXTS:
                self._texts.clear()
            text = self._texts[sql] = translated(sql, self._names)
        return text

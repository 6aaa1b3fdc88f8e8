"""Reading views in a file of SQLite: prepared statements on the driver's own connection, one snapshot per answer."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from regista.domain.errors import Unavailable
from regista.projections import catalogue
from regista.projections.catalogue import Entry
from regista.projections.sqlite.dialect import SQLITE, SQLiteDialect

_CHECK_EVERY = 20_000
"""Steps of the virtual machine between two looks at the clock: about a millisecond."""


class SQLiteReader:
    """One connection. It serves one thread at a time, and its snapshots must not span an ``await``."""

    dialect: SQLiteDialect = SQLITE

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(
            path, timeout=1.0, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        self._connection.execute("PRAGMA query_only = ON")
        self._connection.execute("PRAGMA cache_size = -4000")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Raises:
            Unavailable: ``view_rebuilding``, ``query_too_slow`` or ``views_unreadable``.
        """
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise unavailable(error) from error

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, if any.

        Raises:
            Unavailable: as ``rows``.
        """
        try:
            row: tuple[Any, ...] | None = self._connection.execute(sql, parameters).fetchone()
        except sqlite3.Error as error:
            raise unavailable(error) from error
        return row

    def positions(self) -> Mapping[str, int]:
        """How far each view is folded."""
        return dict(self.rows(catalogue.POSITIONS))

    def entries(self) -> list[Entry]:
        """The catalogue."""
        return [Entry.of(row) for row in self.rows(catalogue.SELECT)]

    def iterate(self, sql: str, parameters: Sequence[Any] = ()) -> Generator[tuple[Any, ...]]:
        """The rows of a query, one after the other; closing it ends the query.

        Raises:
            Unavailable: as ``rows``.
        """
        try:
            with closing(self._connection.execute(sql, parameters)) as cursor:
                yield from cursor
        except sqlite3.Error as error:
            raise unavailable(error) from error

    def begin(self) -> None:
        """From now on all queries see this moment, until the connection is closed."""
        self._connection.execute("BEGIN")
        self.entries()

    def data_version(self) -> int:
        """A number that changes when another connection commits (and only then): what was read before still holds."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All queries inside see the same moment."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            with suppress(sqlite3.Error):
                self._connection.execute("COMMIT")

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Queries inside that take longer are given up: ``query_too_slow``."""
        end = time.monotonic() + seconds
        self._connection.set_progress_handler(lambda: time.monotonic() > end, _CHECK_EVERY)
        try:
            yield
        finally:
            self._connection.set_progress_handler(None, 0)


def unavailable(error: sqlite3.Error) -> Unavailable:
    """What a failed read means to whoever asked."""
    text = str(error)
    if "no such table" in text:
        return Unavailable(
            "the view is being built",
            code="view_rebuilding",
            hint="Ask again soon; GET /v1/status shows how far it is.",
        )
    if "interrupted" in text:
        return Unavailable(
            "the query took too long", code="query_too_slow", hint="Name a model, or ask for less.", retry_after=5
        )
    return Unavailable(
        f"the views cannot be read: {text}",
        code="views_unreadable",
        hint="regista rebuild makes them anew from the log.",
        retry_after=5,
    )

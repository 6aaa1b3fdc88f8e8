"""Reading the log's file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regista.domain.errors import Damaged, NotFound
from regista.store.append import OutcomeRow, Taken
from regista.store.reading import TableReader
from regista.store.sqlite.connections import ReaderPool
from regista.store.sqlite.faults import translated
from regista.store.sqlite.schema import APPLICATION_ID, QUERIES, SCHEMA_VERSION, WITH_MARKS, WITH_OUTCOMES


class SQLiteLogReader(TableReader):
    """Implements ``LogReader``. Takes no lock: works beside a running registrar and on a copy.

    A copy that takes the file's place is read from then on, so that whoever remembers a place in the log notices it.
    """

    immediate = True
    _queries = QUERIES

    def __init__(self, path: Path, readers: ReaderPool | None = None) -> None:
        """Read the log at ``path``.

        Raises:
            NotFound: there is no file, or it holds no log yet.
            Damaged: it is not a log of Regista.
        """
        self.path = path
        self._readers = readers or ReaderPool(path, follows=True)
        if not path.is_file():
            raise NotFound(f"There is no log at {path}.", code="log_not_found")
        try:
            self._identify()
        except BaseException:
            self._readers.close()
            raise

    def _identify(self) -> None:
        [[application, version]] = self._fetch("SELECT * FROM pragma_application_id, pragma_user_version")
        if application != APPLICATION_ID:
            raise Damaged(f"{self.path} is not a log of Regista.", code="not_a_log")
        if version > SCHEMA_VERSION:
            raise Damaged(
                f"{self.path} was written by a newer release (layout {version}, this release knows {SCHEMA_VERSION}).",
                code="log_too_new",
                hint="Run the release that wrote it, or a later one.",
            )
        self._has_outcomes = version >= WITH_OUTCOMES
        self._has_marks = version >= WITH_MARKS
        found = self._fetch("SELECT value FROM log WHERE key = 'log_id'")
        if not found:
            raise NotFound(f"The log at {self.path} was never finished.", code="log_not_found")
        self._log_id = str(found[0][0])

    def intake(self, source: str) -> Taken | None:
        """How far a queue is taken in. A file of an earlier layout that nobody has opened since took in nothing."""
        return super().intake(source) if self._has_outcomes else None

    def outcomes(self, from_id: int, limit: int) -> list[OutcomeRow]:
        """What is to be told, from an id on, itself included."""
        return super().outcomes(from_id, limit) if self._has_outcomes else []

    def max_outcome(self) -> int:
        """The newest id."""
        return super().max_outcome() if self._has_outcomes else 0

    def storage_problems(self) -> list[str]:
        """What SQLite's own check of pages and indexes finds."""
        found = [str(line) for (line,) in self._fetch("PRAGMA integrity_check(20)")]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Close the connections."""
        self._readers.close()

    def _fetch(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with translated(self.path), self._readers.connection() as connection:
            return connection.execute(sql, values).fetchall()

"""What queries need of the database that holds the views: the port that SQLite and PostgreSQL implement.

Statements are written once, in SQLite's dialect, and name tables as ``View.public_name`` does (``models_v1``); the few
parts that cannot be said in both are in ``dialect``.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from regista.projections.catalogue import Entry
from regista.projections.dialect import Dialect


class Reader(Protocol):
    """One connection for reading. It serves one thread at a time; a snapshot must not span an ``await``.

    Every method that reads raises ``Unavailable``: ``view_rebuilding``, ``query_too_slow`` or ``views_unreadable``.
    """

    @property
    def dialect(self) -> Dialect:
        """How the parts of statements are written that engines write differently."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        ...

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, if any."""
        ...

    def iterate(self, sql: str, parameters: Sequence[Any] = ()) -> Generator[tuple[Any, ...]]:
        """The rows of a query, one after the other, a bounded number in memory; closing it ends the query."""
        ...

    def positions(self) -> Mapping[str, int]:
        """How far each view is folded."""
        ...

    def entries(self) -> list[Entry]:
        """The catalogue."""
        ...

    def begin(self) -> None:
        """From now on all queries see this moment, until the connection is closed."""
        ...

    def data_version(self) -> Hashable:
        """Another value whenever what queries see may have changed."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """All queries inside see the same moment."""
        ...

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """Queries inside that take longer are given up: ``query_too_slow``."""
        ...

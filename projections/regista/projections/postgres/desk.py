"""The small tables beside the views, in PostgreSQL; the lock of the one who projects is one of a session."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import psycopg

from regista.projections.postgres import schema
from regista.projections.postgres.connection import Connection, connect, is_hindered, unavailable
from regista.projections.postgres.dialect import bound, bound_text

_LOCK: Final = 0x7265_6769_7374_0002


class PostgresDesk:
    """Implements ``Desk``. Connects when it is first asked, and anew where the connection broke."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._leads = False

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """As ``Desk.execute``.

        Raises:
            Unavailable: ``views_unreadable``.
        """
        try:
            return self._execute(sql, parameters)
        except psycopg.Error as error:
            raise unavailable(error) from error

    def try_lead(self) -> bool:
        """As ``Desk.try_lead``. A lock that was lost with its connection is asked for again."""
        connection = self._connection
        if connection is None or connection.closed:
            self._leads = False
        if not self._leads:
            self._leads = self.execute("SELECT pg_try_advisory_lock(?)", (_LOCK,)) == [(True,)]
        return self._leads

    def stop_leading(self) -> None:
        """As ``Desk.stop_leading``."""
        if self._leads:
            self._leads = False
            self.execute("SELECT pg_advisory_unlock(?)", (_LOCK,))

    def close(self) -> None:
        """As ``Desk.close``."""
        self._leads = False
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _execute(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        known = self._connection
        if known is not None:
            try:
                return _carry_out(known, sql, parameters)
            except psycopg.Error as error:
                if not is_hindered(error):
                    raise
                self.close()
        connection = connect(self._url, "desk")
        try:
            schema.prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return _carry_out(connection, sql, parameters)


def _carry_out(connection: Connection, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    cursor = connection.execute(bound_text(sql), bound(parameters))
    return cursor.fetchall() if cursor.description is not None else []

"""The library's PostgreSQL datastore with our connections: one writer, readers that never queue behind it.

The library's own pool keeps trying for long where we want an error that says what is wrong, and repeats statements
that may have been committed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import psycopg
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.utils import strtobool
from psycopg.rows import DictRow, dict_row, tuple_row

from regista.domain.errors import Invalid
from regista.store.postgres.address import Address
from regista.store.postgres.connections import Connection, ReaderPool, connect, is_alive
from regista.store.postgres.identity import Identity, check_same
from regista.store.postgres.schema import SCHEMA
from regista.store.postgres.writers import give_back, share, take_alone

_FORBIDDEN = "POSTGRES_ENABLE_DB_FUNCTIONS"


def refuse_db_functions() -> None:
    """The library's functions in the database insert without the lock: whoever follows the log would miss events.

    Raises:
        Invalid: ``db_functions_enabled``.
    """
    try:
        enabled = strtobool(os.environ.get(_FORBIDDEN) or "no")
    except ValueError:
        enabled = True
    if enabled:
        raise Invalid(
            f"{_FORBIDDEN} is set: it takes the lock away that keeps positions in the order of commits.",
            code="db_functions_enabled",
            hint=f"Unset {_FORBIDDEN}.",
        )


class LogDatastore(PostgresDatastore):
    """One database. A writer connection that met an error of the server is dropped; the next write opens a new one."""

    def __init__(self, address: Address, *, lock_timeout: float = 5.0) -> None:
        """Connect to nothing yet.

        Raises:
            Invalid: ``db_functions_enabled``.
        """
        refuse_db_functions()
        # The library's pool is made with what it asks for, and never opened.
        super().__init__("", "", "", "", "", schema=SCHEMA, originator_id_type="text")
        self.address = address
        self.readers = ReaderPool(address, lock_timeout=lock_timeout)
        self.identity: Identity | None = None
        """The log as it was opened; set once it is known. Sessions that write to another one are refused."""
        self._lock_timeout = lock_timeout
        self._writer: Connection | None = None
        self._write_lock = Lock()

    @contextmanager
    def writer(self) -> Iterator[Connection]:
        """The connection that writes, for one thread at a time; in autocommit.

        Raises:
            Unavailable: as ``new_writer``.
        """
        with self._write_lock:
            if self._writer is None or not is_alive(self._writer):
                self._drop_writer()
                self._writer = self.new_writer(self._lock_timeout)
            try:
                yield self._writer
            except psycopg.Error:
                # Whatever it left open on the server ends with it.
                self._drop_writer()
                raise

    def new_writer(self, lock_timeout: float) -> Connection:
        """A session that may write for as long as it lasts: nobody replaces the log meanwhile, and nobody has before.

        Raises:
            Unavailable: ``log_being_replaced``, ``log_replaced``.
        """
        connection = connect(self.address, lock_timeout=lock_timeout, to_write=True)
        try:
            share(connection, self.address)
            self._check_same(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def admitted(self) -> Iterator[Connection]:
        """A transaction beside the writer's, under the same conditions.

        Raises:
            Unavailable: as ``new_writer``.
        """
        with self.readers.connection() as connection, connection.transaction():
            share(connection, self.address, in_transaction=True)
            self._check_same(connection)
            yield connection

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other sessions from writing while it lasts, or the writer's session does.

        Raises:
            Unavailable: ``log_in_use``.
        """
        with self.writer() as connection:
            take_alone(connection, self.address)
        try:
            yield
        finally:
            with self._write_lock:
                # The lock of a session that has ended is nobody's.
                if self._writer is not None and is_alive(self._writer):
                    try:
                        give_back(self._writer)
                    except psycopg.Error:
                        self._drop_writer()

    @contextmanager
    def get_connection(self) -> Iterator[psycopg.Connection[DictRow]]:
        """A connection for the library's own reads."""
        with self.readers.connection() as connection:
            by_name: Any = connection
            by_name.row_factory = dict_row
            try:
                yield by_name
            finally:
                connection.row_factory = tuple_row

    def close(self) -> None:
        """Close the writer and the readers."""
        super().close()
        if hasattr(self, "_write_lock"):
            self.readers.close()
            with self._write_lock:
                self._drop_writer()

    def _check_same(self, connection: Connection) -> None:
        if self.identity is not None:
            check_same(connection, self.identity, self.address)

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

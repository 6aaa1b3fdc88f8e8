"""The private table in PostgreSQL: a schema of its own, so that rights and backups can treat it apart from the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from secrets import token_bytes

import psycopg

from regista.domain.errors import Damaged, Unavailable
from regista.store.postgres.address import Address
from regista.store.postgres.connections import Connection, ReaderPool
from regista.store.private import KEY_BYTES, PrivateEntry

_CONNECTIONS = 4
_CREATION_LOCK = 0x52_47_53_54_50_52_49_56
_VERSION = 1
_FIRST = (
    "CREATE SCHEMA IF NOT EXISTS regista_private",
    "CREATE TABLE regista_private.layout (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)",
    """
    CREATE TABLE regista_private.entries (
        id TEXT COLLATE "C" PRIMARY KEY,
        owner TEXT COLLATE "C" NOT NULL,
        name TEXT COLLATE "C" NOT NULL,
        value BYTEA NOT NULL,
        put_at TIMESTAMPTZ NOT NULL
    )
    """,
    "CREATE TABLE regista_private.key (one INTEGER PRIMARY KEY CHECK (one = 1), value BYTEA NOT NULL)",
)
_EXISTS = (
    "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
    "WHERE n.nspname = 'regista_private' AND c.relname = 'layout'"
)
_ERASE = (
    "DELETE FROM regista_private.entries WHERE id IN "
    "(SELECT id FROM regista_private.entries WHERE id = ANY(%s) ORDER BY id FOR UPDATE)"
)
"""In one order: the upkeep of every registrar erases the same ones."""
_PUT = "INSERT INTO regista_private.entries (id, owner, name, value, put_at) VALUES (%s, %s, %s, %s, now())"


class PostgresPrivateTable:
    """Implements ``PrivateTable`` in the schema ``regista_private``.

    What was erased is gone from every query at once, and from the server's files with its next vacuum, from its
    write-ahead log and its backups when those are.
    """

    def __init__(self, url: str, *, lock_timeout: float = 5.0) -> None:
        """Open the table, creating it where it is missing.

        Raises:
            Invalid: ``settings_invalid``: the address cannot be read.
        """
        self._address = Address(url)
        self._pool = ReaderPool(self._address, lock_timeout=lock_timeout, size=_CONNECTIONS, to_write=True)
        try:
            with self._connection() as connection:
                self._prepare(connection)
        except BaseException:
            self.close()
            raise

    def put(self, id: str, owner: str, name: str, value: str) -> None:  # noqa: A002 - as in the protocol
        """Keep a secret: the promise of ``PrivateTable.put``."""
        with self._connection() as connection:
            connection.execute(_PUT, (id, owner, name, value.encode()))

    def get(self, id: str) -> str | None:  # noqa: A002 - as in the protocol
        """A secret: the promise of ``PrivateTable.get``."""
        with self._connection() as connection:
            found = connection.execute("SELECT value FROM regista_private.entries WHERE id = %s", (id,)).fetchone()
        return None if found is None else bytes(found[0]).decode()

    def erase(self, ids: Iterable[str]) -> None:
        """Forget secrets: the promise of ``PrivateTable.erase``."""
        with self._connection() as connection:
            connection.execute(_ERASE, (list(ids),))

    def entries(self) -> Sequence[PrivateEntry]:
        """All but the values: the promise of ``PrivateTable.entries``."""
        with self._connection() as connection:
            rows = connection.execute("SELECT id, owner, name, put_at FROM regista_private.entries ORDER BY id")
            return [PrivateEntry(id_, owner, name, at.astimezone(UTC)) for id_, owner, name, at in rows]

    def key(self) -> bytes:
        """The key of fingerprints: the promise of ``PrivateTable.key``."""
        with self._connection() as connection:
            [[value]] = connection.execute("SELECT value FROM regista_private.key").fetchall()
        return bytes(value)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def _prepare(self, connection: Connection) -> None:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CREATION_LOCK,))
            if connection.execute(_EXISTS).fetchone() is None:
                for statement in _FIRST:
                    connection.execute(statement)
                connection.execute("INSERT INTO regista_private.layout VALUES (1, %s)", (_VERSION,))
                connection.execute("INSERT INTO regista_private.key VALUES (1, %s)", (token_bytes(KEY_BYTES),))
                return
            [[version]] = connection.execute("SELECT version FROM regista_private.layout").fetchall()
            if version > _VERSION:
                raise Damaged(
                    f"The secrets in {self._address.shown} were written by a newer release (layout {version}).",
                    code="not_private",
                    hint="Run the release that wrote them, or a later one.",
                )

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with self._pool.connection() as connection:
                yield connection
        except psycopg.Error as error:
            text = self._address.scrubbed(" ".join(str(error).split())) or type(error).__name__
            raise Unavailable(
                f"The secrets in {self._address.shown} cannot be used: {text}",
                code="private_unavailable",
                hint="Look at the database server; the user needs the schema regista_private, or CREATE for a new one.",
            ) from error

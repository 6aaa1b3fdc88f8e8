"""The private table in SQLite: a file of its own, readable by its owner alone."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes

from regista.domain.errors import Damaged, Unavailable
from regista.store.private import KEY_BYTES, PrivateEntry

PRIVATE_FILE = "private.db"
_APPLICATION_ID = 0x52_47_50_56
"""``RGPV``."""
_VERSION = 1
_CREATE = (
    """
    CREATE TABLE entries (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        name TEXT NOT NULL,
        value BLOB NOT NULL,
        put_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TABLE key (one INTEGER PRIMARY KEY CHECK (one = 1), value BLOB NOT NULL) STRICT",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
)


class SQLitePrivateTable:
    """Implements ``PrivateTable`` in a file.

    Each call has a connection of its own: nothing is kept open, and any process may read beside the one that writes.
    With a rollback journal and ``secure_delete`` what was erased is overwritten in the only file that holds it; a
    write-ahead log would keep it.
    """

    def __init__(self, path: Path, *, lock_timeout: float = 5.0) -> None:
        """Open the file, creating it where it is missing."""
        self._path = path
        self._lock_timeout = lock_timeout
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with self._writing() as connection:
            self._prepare(connection)

    def put(self, id: str, owner: str, name: str, value: str) -> None:  # noqa: A002 - as in the protocol
        """Keep a secret: the promise of ``PrivateTable.put``."""
        now = int(datetime.now(UTC).timestamp())
        with self._writing() as connection:
            row = (id, owner, name, value.encode(), now)
            connection.execute("INSERT INTO entries (id, owner, name, value, put_at) VALUES (?, ?, ?, ?, ?)", row)

    def get(self, id: str) -> str | None:  # noqa: A002 - as in the protocol
        """A secret: the promise of ``PrivateTable.get``."""
        with self._connection() as connection:
            found = connection.execute("SELECT value FROM entries WHERE id = ?", (id,)).fetchone()
        return None if found is None else bytes(found[0]).decode()

    def erase(self, ids: Iterable[str]) -> None:
        """Forget secrets: the promise of ``PrivateTable.erase``."""
        with self._writing() as connection:
            connection.executemany("DELETE FROM entries WHERE id = ?", [(one,) for one in ids])

    def entries(self) -> Sequence[PrivateEntry]:
        """All but the values: the promise of ``PrivateTable.entries``."""
        with self._connection() as connection:
            rows = connection.execute("SELECT id, owner, name, put_at FROM entries ORDER BY id").fetchall()
        return [PrivateEntry(id_, owner, name, datetime.fromtimestamp(at, UTC)) for id_, owner, name, at in rows]

    def key(self) -> bytes:
        """The key of fingerprints: the promise of ``PrivateTable.key``."""
        with self._connection() as connection:
            [[value]] = connection.execute("SELECT value FROM key").fetchall()
        return bytes(value)

    def close(self) -> None:
        """Nothing is open."""

    def _prepare(self, connection: sqlite3.Connection) -> None:
        [[application]] = connection.execute("PRAGMA application_id").fetchall()
        [[version]] = connection.execute("PRAGMA user_version").fetchall()
        [[tables]] = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        if application == _APPLICATION_ID and version == _VERSION:
            return
        if application or tables:
            raise Damaged(
                f"{self._path} holds no secrets of Regista that this release can read.",
                code="not_private",
                hint="Run the release that wrote it or a later one, or move the file away and give the secrets anew.",
            )
        for statement in _CREATE:
            connection.execute(statement)
        connection.execute("INSERT INTO key (one, value) VALUES (1, ?)", (token_bytes(KEY_BYTES),))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, alone."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with (
            self._translated(),
            closing(sqlite3.connect(self._path, timeout=self._lock_timeout, isolation_level=None)) as connection,
        ):
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(
                f"The secrets in {self._path} cannot be used: {error}.",
                code="private_unavailable",
                hint="Look at the disk and at the permissions of the file; nothing needs a restart.",
            ) from error

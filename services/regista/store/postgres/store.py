"""The log store in PostgreSQL: the reader, and the appends through the library's recorder."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

from psycopg import errors

from regista.domain.errors import Invalid
from regista.domain.times import Clock, utc_now
from regista.store.append import Append, Taken
from regista.store.birth import birth, new_log_id
from regista.store.command_sets import CommandSet, in_chunks
from regista.store.conditions import check_end, check_new, placed
from regista.store.postgres.address import Address
from regista.store.postgres.connections import Connection
from regista.store.postgres.datastore import LogDatastore
from regista.store.postgres.faults import translated
from regista.store.postgres.identity import Identity, identify
from regista.store.postgres.reader import PostgresLogReader
from regista.store.postgres.recorder import LOCK, PostgresLogRecorder
from regista.store.postgres.schema import MIGRATIONS, QUERIES, SCHEMA_VERSION
from regista.store.postgres.statements import insert_sets, move_intakes, notify
from regista.store.postgres.writers import check_alone

_PROBE_TIMEOUT = 2.0
_PATIENCE = 600_000
"""Milliseconds for which the source of an import may say nothing."""
_CREATION_LOCK = 0x52_47_53_54_4C_4F_47
"""Of the database: what has no tables yet cannot be locked by them."""
_PRUNE = (
    "DELETE FROM regista.outcomes WHERE id IN (SELECT id FROM regista.outcomes "
    "WHERE id < %s AND time_ms < %s ORDER BY id LIMIT %s)"
)
_REPLACED = (
    "INSERT INTO regista.log (key, value) VALUES ('replaced', %s) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_RISKS = "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'"
_log = logging.getLogger("regista.store")


class PostgresLogStore(PostgresLogReader):
    """Implements ``LogStore`` in the schema ``regista`` of a database, beside any number of others."""

    def __init__(self, url: str, *, lock_timeout: float = 5.0, now: Clock = utc_now) -> None:
        """Open the log, creating schema, tables and the first event where they are missing.

        ``lock_timeout``: seconds that an append may wait for those of other registrars, and the opening for a heal.

        Raises:
            Unavailable: the database cannot be reached, or a new log cannot be created in it; ``log_being_replaced``.
            Damaged: the schema is not a log, or not one that this release can read.
            Invalid: ``settings_invalid``: the address cannot be read; ``database_unsuitable``: its encoding is not
                UTF-8; ``db_functions_enabled``: an option of the library that loses events is set.
        """
        address = Address(url)
        self._probe_timeout = min(lock_timeout, _PROBE_TIMEOUT)
        self._datastore = LogDatastore(address, lock_timeout=lock_timeout)
        try:
            with translated(address), self._datastore.writer() as connection:
                _check_server(connection, address)
                identity = identify(connection, address)
                if identity is None or identity.version < SCHEMA_VERSION:
                    _migrate(connection, address, now)
            self._recorder = PostgresLogRecorder(self._datastore)
            self._open(address, self._datastore.readers)
            self._datastore.identity = self._identity
        except BaseException:
            self._datastore.close()
            raise

    def check_writable(self) -> None:
        """Whether an append could be written now: the promise of ``LogStore.check_writable``.

        On a connection of its own: it does not queue behind an append that hangs.
        """
        with (
            translated(self.address),
            closing(self._datastore.new_writer(self._probe_timeout)) as connection,
            connection.transaction(),
        ):
            connection.execute(LOCK)
            connection.execute("DELETE FROM regista.log WHERE false")

    def append(self, appends: Sequence[Append]) -> list[int]:
        """Append in one durable transaction: the promise of ``LogStore.append``."""
        if not appends:
            return []
        with translated(self.address):
            return list(self._recorder.insert_events([], appends=appends) or ())

    def prune_outcomes(self, before_id: int, older_than_ms: int, limit: int = 10_000) -> int:
        """Remove old outcomes: the promise of ``LogStore.prune_outcomes``. Appends go on meanwhile."""
        with translated(self.address), self._datastore.admitted() as connection:
            return connection.execute(_PRUNE, (before_id, older_than_ms, limit)).rowcount

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other writers away: the promise of ``LogStore.alone``."""
        with translated(self.address), self._datastore.alone():
            yield

    def adopt(self, sets: Iterable[CommandSet], log_id: str) -> None:
        """Become another log in one transaction: the promise of ``LogStore.adopt``."""
        with self._replacing() as connection:
            check_new(_newest(connection), "database")
            identity = _replace(connection, self._identity, 0, sets, log_id)
        self._become(identity)

    def restore(self, after: int, sets: Iterable[CommandSet], log_id: str, *, end: int) -> None:
        """Replace the end of the log in one transaction: the promise of ``LogStore.restore``."""
        with self._replacing() as connection:
            check_end(end, _newest(connection))
            identity = _replace(connection, self._identity, after, sets, log_id)
        self._become(identity)

    def forget_queues(self, taken: Mapping[str, Taken]) -> None:
        """Drop outcomes and set intakes in one transaction: the promise of ``LogStore.forget_queues``."""
        with self._replacing() as connection:
            connection.execute("DELETE FROM regista.outcomes")
            connection.execute("DELETE FROM regista.intake")
            move_intakes(connection, taken)

    def close(self) -> None:
        """Close every connection."""
        self._datastore.close()

    def _become(self, identity: Identity) -> None:
        self._identity = self._datastore.identity = identity
        self._log_id = identity.log_id

    @contextmanager
    def _replacing(self) -> Iterator[Connection]:
        """A write transaction of the only one who writes."""
        with translated(self.address), self._recorder.writing() as connection:
            check_alone(connection, self.address)
            yield connection


def _newest(connection: Connection) -> int:
    [[newest]] = connection.execute(QUERIES.max_position).fetchall()
    return int(newest)


def _replace(
    connection: Connection, identity: Identity, after: int, sets: Iterable[CommandSet], log_id: str
) -> Identity:
    """Put other events behind a position; the log's identity from the commit on."""
    # The sets may be read from elsewhere for long, and the lock is held until all of them are here.
    connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = {_PATIENCE}")
    connection.execute("SET LOCAL statement_timeout = 0")
    connection.execute("DELETE FROM regista.events WHERE position > %s", (after,))
    connection.execute("DELETE FROM regista.commands WHERE position > %s", (after,))
    try:
        for some in in_chunks(sets):
            insert_sets(connection, some)
            # Hears of what does not fit now, and holds no more than a chunk in flight.
            connection.execute("SELECT 1").fetchone()
    except errors.UniqueViolation as error:
        raise Invalid(
            f"A position, a place in a stream or a command is there twice: {error.diag.message_detail}"
        ) from error
    connection.execute("UPDATE regista.log SET value = %s WHERE key = 'log_id'", (log_id,))
    connection.execute(_REPLACED, (str(identity.replaced + 1),))
    notify(connection)
    return replace(identity, log_id=log_id, replaced=identity.replaced + 1)


def _check_server(connection: Connection, address: Address) -> None:
    """Refuse an encoding that cannot hold every text; name settings that give durability up."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise Invalid(
            f"The database {address.shown} has the encoding {encoding}.",
            code="database_unsuitable",
            hint="Create it WITH ENCODING 'UTF8' TEMPLATE template0.",
        )
    for (name,) in connection.execute(_RISKS):
        _log.warning("%s is off in %s: a loss of power can lose answered writes or damage the log", name, address.shown)


def _migrate(connection: Connection, address: Address, now: Clock) -> None:
    """Bring the tables to this release's version in one transaction; a new log gets its first event in the same."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CREATION_LOCK,))
        found = identify(connection, address)  # another registrar may have been faster
        if found is not None:
            # In the order of an append: first the write lock, then the tables. It waits for those of running registrars.
            connection.execute(LOCK)
        version = found.version if found else 0
        if not connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'regista'").fetchone():
            connection.execute("CREATE SCHEMA regista")
        for migration in MIGRATIONS[version:]:
            for statement in migration:
                connection.execute(statement)
        if found is None:
            log_id = new_log_id()
            insert_sets(connection, placed([birth(log_id, now())], position=1))
            connection.execute("INSERT INTO regista.log (key, value) VALUES ('log_id', %s)", (log_id,))
        connection.execute(
            "INSERT INTO regista.log (key, value) VALUES ('schema_version', %s) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (str(SCHEMA_VERSION),),
        )

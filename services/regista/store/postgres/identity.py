"""Which log a database holds, and whether this release can read it."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import errors

from regista.domain.errors import Damaged, Unavailable
from regista.store.postgres.address import Address
from regista.store.postgres.connections import Connection
from regista.store.postgres.schema import SCHEMA_VERSION

_EXISTS = (
    "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
    "WHERE n.nspname = 'regista' AND c.relname = 'log'"
)
"""Functions that resolve names answer from a cache, which may be older than a lock that was just taken."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The log's own id, the version of its tables, and how often events were replaced by a heal or an import."""

    log_id: str
    version: int
    replaced: int


def identify(connection: Connection, address: Address) -> Identity | None:
    """What the database holds, for who opens it; None when there is no log in it.

    Raises:
        Damaged: ``not_a_log``: the schema is another program's; ``log_too_new``.
        psycopg.Error: it cannot be asked.
    """
    found = _read(connection, address)
    if found is not None and found.version > SCHEMA_VERSION:
        raise Damaged(
            f"The log in {address.shown} was written by a newer release (layout {found.version}, this release knows "
            f"{SCHEMA_VERSION}).",
            code="log_too_new",
            hint="Run the release that wrote it, or a later one.",
        )
    return found


def check_same(connection: Connection, known: Identity, address: Address) -> None:
    """Check that the log is still the one that a process opened: what it remembers of it is worth nothing else.

    A layout that is newer by now is none of its concern: see ``schema.MIGRATIONS``.

    Raises:
        Unavailable: ``log_replaced``.
        Damaged: ``not_a_log``.
        psycopg.Error: it cannot be asked.
    """
    found = _read(connection, address)
    if found is None or (found.log_id, found.replaced) != (known.log_id, known.replaced):
        raise Unavailable(
            f"The log in {address.shown} was healed or imported since this process opened it.",
            code="log_replaced",
            hint="Start this process again.",
        )


def _read(connection: Connection, address: Address) -> Identity | None:
    if connection.execute(_EXISTS).fetchone() is None:
        return None
    try:
        entries = {str(key): str(value) for key, value in connection.execute("SELECT key, value FROM regista.log")}
    except errors.UndefinedColumn:
        entries = {}
    log_id, version = entries.get("log_id"), entries.get("schema_version", "")
    if log_id is None or not version.isdecimal():
        raise Damaged(
            f"The schema regista in {address.shown} is not a log of Regista.",
            code="not_a_log",
            hint="Name another database.",
        )
    return Identity(log_id, int(version), int(entries.get("replaced", "0")))

"""Who may write: registrars side by side, or one session alone that replaces what is there.

An advisory lock of the database, held by the very session that writes. Who lost the session lost the lock, and whoever is
frozen keeps both. Needs sessions: a pooler of transactions breaks it.
"""

from __future__ import annotations

from psycopg import errors
from psycopg.sql import SQL, Literal

from regista.domain.errors import Unavailable
from regista.store.postgres.address import Address
from regista.store.postgres.connections import Connection

_CLASS, _OBJECT = 0x52_47_53_54, 0x57_52_49_54
_KEY = _CLASS << 32 | _OBJECT
_PATIENCE = 1000
"""Milliseconds that a session which has just been closed may take to end."""
_SHARE = "SELECT pg_advisory_lock_shared(%s)"
_SHARE_IN_TRANSACTION = "SELECT pg_advisory_xact_lock_shared(%s)"
_HOLDERS = SQL(
    "SELECT held.pid, session.application_name, host(session.client_addr) "
    "FROM pg_locks AS held LEFT JOIN pg_stat_activity AS session USING (pid) "
    "WHERE held.locktype = 'advisory' AND held.classid = {}::oid AND held.objid = {}::oid AND held.objsubid = 1 "
    "AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND held.granted AND held.pid <> pg_backend_pid() ORDER BY held.pid"
).format(Literal(_CLASS), Literal(_OBJECT))


def share(connection: Connection, address: Address, *, in_transaction: bool = False) -> None:
    """Be one of those who write until the session ends, or the transaction. Waits as long as for any lock.

    Raises:
        Unavailable: ``log_being_replaced``.
    """
    try:
        connection.execute(_SHARE_IN_TRANSACTION if in_transaction else _SHARE, (_KEY,))
    except errors.LockNotAvailable as error:
        raise Unavailable(
            f"The log in {address.shown} is being healed or imported.",
            code="log_being_replaced",
            hint="Wait until that has ended, then start this process again.",
        ) from error


def take_alone(connection: Connection, address: Address) -> None:
    """Be the only one who writes, until ``give_back`` or the session's end.

    Raises:
        Unavailable: ``log_in_use``: it names the others.
    """
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = {_PATIENCE}")
            connection.execute("SELECT pg_advisory_lock(%s)", (_KEY,))
    except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
        raise _in_use(connection, address) from error


def give_back(connection: Connection) -> None:
    """Be one of those who write again."""
    connection.execute("SELECT pg_advisory_unlock(%s)", (_KEY,))


def check_alone(connection: Connection, address: Address) -> None:
    """Be the only one who writes to the end of the transaction.

    Raises:
        Unavailable: ``log_in_use``.
    """
    [[granted]] = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (_KEY,)).fetchall()
    if not granted:
        raise _in_use(connection, address)


def _in_use(connection: Connection, address: Address) -> Unavailable:
    found = connection.execute(_HOLDERS).fetchall()
    # A user who may not see another's session sees its number.
    named = ", ".join(
        f"session {pid} ({name or 'unnamed'}, from {where or 'the server itself'})" for pid, name, where in found
    )
    return Unavailable(
        f"The log in {address.shown} is in use by {named or 'a session that has just ended'}.",
        code="log_in_use",
        hint="Stop the registrars and do it again. What a registrar that cannot be stopped has left on the server is "
        "ended by pg_terminate_backend with the number of its session.",
    )

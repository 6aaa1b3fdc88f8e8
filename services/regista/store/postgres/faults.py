"""What PostgreSQL reports, as the errors of Regista: which of them pass, what to do, which database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from eventsourcing.persistence import PersistenceError

from regista.domain.errors import Damaged, RegistaError, Unavailable
from regista.store.postgres.address import Address

_FULL = (
    "log_full",
    "The disk of the database that holds the log is full.",
    "Free space on the server; nothing needs a restart here.",
)
_READ_ONLY = (
    "log_read_only",
    "The log cannot be written to: the database is a standby or was set to be read only.",
    "Name the primary in the address of the database, or end its maintenance; nothing needs a restart here.",
)
_FORBIDDEN = (
    "log_read_only",
    "The database does not let this user do that.",
    "Grant the user the schema regista and its tables; a new log also needs CREATE on the database.",
)
_LOCKED = (
    "log_locked",
    "Another session holds the log's write lock.",
    "Try again; if it stays, look for a long transaction in pg_stat_activity.",
)
_OTHER = ("log_unavailable", "The log cannot be reached.", "Look at the database server and its own log.")
_KNOWN = {
    "53100": _FULL,
    "25006": _READ_ONLY,
    "42501": _FORBIDDEN,
    "55P03": _LOCKED,
    "40P01": _LOCKED,
}
_DAMAGE = frozenset({"XX001", "XX002"})
"""``data_corrupted`` and ``index_corrupted``."""


def sqlstate(error: BaseException | None) -> str | None:
    """The code that the server gave an error, or the one it was raised from."""
    while error is not None:
        code = getattr(error, "sqlstate", None)
        if isinstance(code, str):
            return code
        error = error.__cause__
    return None


def translate(error: BaseException, address: Address) -> RegistaError:
    """The error of Regista that says what ``error`` means for the log at ``address``."""
    code = sqlstate(error)
    text = address.scrubbed(" ".join(str(error).split())) or type(error).__name__
    if code in _DAMAGE:
        return Damaged(
            f"The database {address.shown} is damaged: {text}.",
            hint="Keep a copy of its files, then restore the log from an export or a backup.",
        )
    name, detail, hint = _KNOWN.get(code, _OTHER) if code is not None else _OTHER
    return Unavailable(f"{detail} ({address.shown}: {text})", code=name, hint=hint)


@contextmanager
def translated(address: Address) -> Iterator[None]:
    """Whatever the driver or the library raises inside comes out as an error of Regista.

    Raises:
        Unavailable: full, read-only, locked or out of reach.
        Damaged: the database says that its bytes are not what was written.
    """
    try:
        yield
    except (psycopg.Error, PersistenceError) as error:
        raise translate(error, address) from error

"""What SQLite reports, as the errors of Regista: which of them pass, what to do, which file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventsourcing.persistence import PersistenceError

from regista.domain.errors import Damaged, RegistaError, Unavailable

_PRIMARY = 0xFF
_FULL = ("log_full", "The disk that holds the log is full.", "Free space on it; nothing needs a restart.")
_READ_ONLY = (
    "log_read_only",
    "The log cannot be written to.",
    "Make the file and its directory writable for this process; nothing needs a restart.",
)
_LOCKED = ("log_locked", "Another process holds the log's write lock.", "Try again; end the other process if it stays.")
_OTHER = ("log_unavailable", "The log cannot be reached.", "Look at the disk and at the permissions of the file.")
_KNOWN = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
}
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def primary_code(error: BaseException | None) -> int | None:
    """SQLite's primary result code of an error, or of the one it was raised from."""
    while error is not None:
        code = getattr(error, "sqlite_errorcode", None)
        if isinstance(code, int):
            return code & _PRIMARY
        error = error.__cause__
    return None


def translate(error: BaseException, path: Path) -> RegistaError:
    """The error of Regista that says what ``error`` means for the log at ``path``."""
    code = primary_code(error)
    if code in _DAMAGE or "UTF-8" in str(error):
        return Damaged(
            f"The file {path} is damaged: {error}.",
            hint="Keep a copy of the file, then restore the log from an export or a backup.",
        )
    name, detail, hint = _KNOWN.get(code, _OTHER) if code is not None else _OTHER
    return Unavailable(f"{detail} ({path}: {error})", code=name, hint=hint)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Whatever SQLite or the library raises inside comes out as an error of Regista.

    Raises:
        Unavailable: full, read-only, locked or out of reach.
        Damaged: the file is not a sound database.
    """
    try:
        yield
    except (sqlite3.Error, PersistenceError) as error:
        raise translate(error, path) from error

"""Whether the log's file can be written now, found out without writing to it."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

from regista.domain.errors import Unavailable
from regista.store.sqlite.connections import connect_writer
from regista.store.sqlite.faults import translated

ROOM = 16 * 2**20
"""Bytes that must be free: more than one batch of the largest events with its pages needs."""


def check_writable(path: Path, *, lock_timeout: float = 2.0) -> None:
    """Take the write lock and give it back; look for room on the disk.

    Raises:
        Unavailable: ``log_full``, ``log_read_only``, ``log_locked`` or ``log_unavailable``.
        Damaged: the file is not a sound database.
    """
    with translated(path), closing(connect_writer(path, lock_timeout=lock_timeout)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        # On a file that may only be read SQLite begins to read, and refuses the first statement that would write.
        connection.execute("DELETE FROM log WHERE false")
        connection.execute("ROLLBACK")
    free = shutil.disk_usage(path.parent).free
    if free < ROOM:
        raise Unavailable(
            f"The disk that holds the log has {free:,} bytes left.", code="log_full", hint="Free space on it."
        )

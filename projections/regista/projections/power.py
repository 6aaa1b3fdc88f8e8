"""Views are written without waiting for the disk, and a file that a power cut may have torn is told by a mark.

What a process writes survives its end, ``kill -9`` included: the operating system has it. Only a machine that goes
down takes what was not on the disk yet, in any order, and may leave a file that SQLite cannot vouch for. So whoever
writes first leaves a mark in the file, on the disk, with the id of this boot; an orderly end takes it away, once all
else is on the disk. A mark of another boot means: make the views anew. (SQLite, PRAGMA synchronous: with OFF "the
database might become corrupted if the operating system crashes or the computer loses power".)

It pays where many writes of a few pages each follow each other: the disk gets every page once in a while, not with
every checkpoint, and the log's own fsyncs do not queue behind those of the views.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from uuid import uuid4

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAME = "written_by"


class Torn(sqlite3.DatabaseError):
    """The machine went down while the file was being written: nobody knows what it holds."""


def this_boot() -> str | None:
    """What tells this run of the operating system from every other; None where that is not known."""
    try:
        return _BOOT.read_text(encoding="ascii").strip() or None
    except OSError:
        return None


class Mark:
    """The mark of one connection that writes. The table ``about`` is there."""

    def __init__(self, connection: sqlite3.Connection, boot: str | None) -> None:
        """Leave the mark, and write without waiting from now on; with no boot to name, as safely as before.

        Raises:
            Torn: another boot's mark is there.
        """
        self._connection = connection
        self._value: str | None = None
        row = connection.execute("SELECT value FROM about WHERE name = ?", (_NAME,)).fetchone()
        if row is not None and row[0].partition(" ")[0] != boot:
            raise Torn("the machine went down while the views were being written")
        connection.execute("PRAGMA synchronous = NORMAL")
        if boot is None:
            return
        value = f"{boot} {uuid4()}"
        connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (_NAME, value))
        if self._on_disk():
            self._value = value
            connection.execute("PRAGMA synchronous = OFF")

    def remove(self) -> None:
        """Bring everything to the disk, then take the mark away, unless another writer left its own."""
        if self._value is None:
            return
        self._value, value = None, self._value
        self._connection.execute("PRAGMA synchronous = NORMAL")
        # A checkpoint without frames syncs nothing, and what earlier ones wrote must be there before the mark goes.
        self._connection.execute("UPDATE about SET value = value WHERE name = ?", (_NAME,))
        if self._on_disk():
            self._connection.execute("DELETE FROM about WHERE name = ? AND value = ?", (_NAME, value))
            self._on_disk()

    def _on_disk(self) -> bool:
        """Whether all that is committed is in the file now, and synced. It waits for no reader."""
        _, frames, moved = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return bool(frames == moved)

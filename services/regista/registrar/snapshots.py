"""Snapshots of long streams, so that the first command after a start need not fold all of their history.

A file of its own, beside the log, that may be deleted at any time. Nothing in it is believed: a snapshot counts only
if the log has, at its sequence, the very event that it was taken after.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

import orjson

from regista.domain.model import ModelState
from regista.domain.model.snapshot import from_plain, to_plain

WORTHWHILE = 1_000
"""Events that must lie between a snapshot and the next of the same stream."""

_log = logging.getLogger("regista.registrar")
_TABLE = "CREATE TABLE IF NOT EXISTS snapshots (stream TEXT PRIMARY KEY, hash BLOB NOT NULL, state BLOB NOT NULL)"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state, and the hash of the last event folded into it."""

    state: ModelState
    last_hash: bytes


class Snapshots:
    """Kept in SQLite without waiting for the disk. Every failure is logged and means: no snapshot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def load(self, stream: str) -> Snapshot | None:
        """The newest snapshot of a stream, unproven."""
        try:
            with self._lock:
                found = self._open().execute("SELECT hash, state FROM snapshots WHERE stream = ?", (stream,)).fetchone()
            state = None if found is None else from_plain(orjson.loads(found[1]))
        except (sqlite3.Error, ValueError, KeyError, TypeError, IndexError) as error:
            _log.warning("the snapshot of %s cannot be read and is not used: %s", stream, error)
            return None
        return None if state is None else Snapshot(state, found[0])

    def save(self, stream: str, snapshot: Snapshot) -> None:
        """Replace the snapshot of a stream."""
        state = orjson.dumps(to_plain(snapshot.state))
        try:
            with self._lock, self._open() as transaction:
                row = (stream, snapshot.last_hash, state)
                transaction.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", row)
        except sqlite3.Error as error:
            _log.warning("no snapshot of %s: %s", stream, error)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, check_same_thread=False)
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(_TABLE)
            self._connection = connection
        return self._connection

"""The tables of the log's file. Only forward migrations, one per ``user_version``: the log is never rebuilt.

``position`` is declared: an implicit rowid is renumbered by dump and restore. AUTOINCREMENT: a position that was given
once is never given again, nor is the id of an outcome. The other columns of ``events`` have the names that the library
reads.
"""

from __future__ import annotations

from regista.store.queries import LogQueries

APPLICATION_ID = 0x52_47_53_54
"""``RGST`` in the file's header: what `file` shows, and what keeps us from writing into another program's database."""

SCHEMA_VERSION = 3
WITH_OUTCOMES = 2
"""The layout that brought the tables of what is taken in from queues."""
WITH_MARKS = 3
"""The layout that knows the last record of a queue, not its offset alone."""
EVENTS_TABLE = "events"
QUERIES = LogQueries(schema="", value="?")

_INTAKE = """
    CREATE TABLE IF NOT EXISTS intake (
        source TEXT PRIMARY KEY,
        next_offset INTEGER NOT NULL,
        mark BLOB
    ) STRICT, WITHOUT ROWID
    """
_INTAKE_WITHOUT_MARKS = """
    CREATE TABLE IF NOT EXISTS intake (
        source TEXT PRIMARY KEY,
        next_offset INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """
_OUTCOMES = """
    CREATE TABLE IF NOT EXISTS outcomes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        key BLOB,
        value BLOB,
        headers BLOB NOT NULL,
        time_ms INTEGER NOT NULL,
        position INTEGER
    ) STRICT
    """

CREATE = (
    """
    CREATE TABLE IF NOT EXISTS events (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        originator_id TEXT NOT NULL,
        originator_version INTEGER NOT NULL CHECK (originator_version >= 0),
        topic TEXT NOT NULL,
        state BLOB NOT NULL,
        UNIQUE (originator_id, originator_version)
    ) STRICT
    """,
    """
    CREATE TABLE IF NOT EXISTS commands (
        actor TEXT NOT NULL,
        command_id TEXT NOT NULL,
        digest BLOB NOT NULL,
        position INTEGER NOT NULL,
        count INTEGER NOT NULL,
        hash BLOB NOT NULL,
        PRIMARY KEY (actor, command_id)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TABLE IF NOT EXISTS log (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    _INTAKE,
    _OUTCOMES,
)
MIGRATIONS: dict[int, tuple[str, ...]] = {
    WITH_OUTCOMES: (_INTAKE_WITHOUT_MARKS, _OUTCOMES),
    WITH_MARKS: ("ALTER TABLE intake ADD COLUMN mark BLOB",),
}
"""By the layout that they lead to, what brings a file there from the one before."""

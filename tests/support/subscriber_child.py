"""A subscriber as a process to kill: it writes down what it handles, with its place, in one transaction of SQLite.

Arguments: ``url`` or ``kafka``, the address, and the database's path. Kafka's prefix comes from the environment.
"""

import asyncio
import sqlite3
import sys
from contextlib import closing

import regista

TABLES = """
CREATE TABLE IF NOT EXISTS handled (number INTEGER PRIMARY KEY AUTOINCREMENT, position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS place (name TEXT PRIMARY KEY, log_id TEXT, position INTEGER, hash TEXT);
"""
STORE = "INSERT OR REPLACE INTO place VALUES ('subscriber', ?, ?, ?)"


class Place:
    """Positions in the database of the effects."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    async def load(self) -> regista.Bookmark | None:
        row = self._database.execute("SELECT log_id, position, hash FROM place").fetchone()
        return regista.Bookmark(*row) if row else None

    async def store(self, bookmark: regista.Bookmark) -> None:
        with self._database:
            self._database.execute(STORE, (bookmark.log_id, bookmark.position, bookmark.hash))


async def main(kind: str, address: str, path: str) -> None:
    with closing(sqlite3.connect(path, timeout=30)) as database:
        database.executescript(TABLES)

        def handler(event: regista.LoggedEvent) -> None:
            with database:
                database.execute("INSERT INTO handled (position) VALUES (?)", (event.position,))
                database.execute(STORE, (event.log_id, event.position, event.hash))

        source = {"url": address} if kind == "url" else {"kafka": address}
        subscriber = regista.Subscriber(positions=Place(database), from_="start", **source)  # type: ignore[arg-type]
        async with subscriber:
            await subscriber.run(handler)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

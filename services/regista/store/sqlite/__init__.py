"""The log store in one SQLite file: the default, durable at every commit, one registrar per data directory."""

from regista.store.sqlite.reader import SQLiteLogReader
from regista.store.sqlite.store import SQLiteLogStore

__all__ = ["SQLiteLogReader", "SQLiteLogStore"]

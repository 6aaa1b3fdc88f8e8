"""The log store in PostgreSQL: durable at every commit, for any number of registrars at once.

Needs the extra ``postgres``; without it importing this package raises ``ModuleNotFoundError``.
"""

from regista.store.postgres.leadership import PostgresLeadership
from regista.store.postgres.private import PostgresPrivateTable
from regista.store.postgres.reader import PostgresLogReader
from regista.store.postgres.store import PostgresLogStore
from regista.store.postgres.wakeup import PostgresWakeup

__all__ = ["PostgresLeadership", "PostgresLogReader", "PostgresLogStore", "PostgresPrivateTable", "PostgresWakeup"]

"""Reading the log's tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from regista.domain.errors import NotFound
from regista.store.append import CommandFound
from regista.store.postgres.address import Address
from regista.store.postgres.connections import ReaderPool
from regista.store.postgres.faults import translated
from regista.store.postgres.identity import identify
from regista.store.postgres.schema import QUERIES, WITH_MARKS
from regista.store.postgres.soundness import problems_of
from regista.store.reading import TableReader

_WANTED = (
    "SELECT wanted.actor, wanted.command_id, known.digest, known.position, known.count, known.hash "
    "FROM unnest(%s::text[], %s::text[]) AS wanted (actor, command_id) "
    "CROSS JOIN LATERAL (SELECT * FROM regista.commands WHERE commands.actor = wanted.actor "
    "AND commands.command_id = wanted.command_id LIMIT 1) AS known"
)


class PostgresLogReader(TableReader):
    """Implements ``LogReader``. Takes no lock: works beside running registrars and on a standby."""

    immediate = False
    _queries = QUERIES

    def __init__(self, url: str, *, lock_timeout: float = 5.0) -> None:
        """Read the log in the database at ``url``.

        Raises:
            NotFound: ``log_not_found``: it holds none.
            Damaged: it is not a log of Regista, or one of a newer release.
            Unavailable: it cannot be reached.
            Invalid: ``settings_invalid``: the address cannot be read.
        """
        address = Address(url)
        self._open(address, ReaderPool(address, lock_timeout=lock_timeout))

    def _open(self, address: Address, readers: ReaderPool) -> None:
        self.address = address
        self._readers = readers
        try:
            with translated(address), self._readers.connection() as connection:
                identity = identify(connection, address)
        except BaseException:
            readers.close()
            raise
        if identity is None:
            readers.close()
            raise NotFound(f"There is no log in {address.shown}.", code="log_not_found")
        self._identity, self._log_id = identity, identity.log_id
        self._has_marks = identity.version >= WITH_MARKS

    def find_commands(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], CommandFound]:
        """Where the events of several commands are."""
        columns = ([actor for actor, _ in keys], [command_id for _, command_id in keys])
        entries = self._fetch(_WANTED, columns)
        return {(actor, command_id): CommandFound(*found) for actor, command_id, *found in entries}

    def storage_problems(self) -> list[str]:
        """What PostgreSQL finds in pages and indexes: by amcheck where the server has it, else by reading both."""
        with translated(self.address), self._readers.connection() as connection:
            return problems_of(connection)

    def close(self) -> None:
        """Close the connections."""
        self._readers.close()

    def _fetch(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with translated(self.address), self._readers.connection() as connection:
            return connection.execute(sql, values, prepare=True, binary=True).fetchall()

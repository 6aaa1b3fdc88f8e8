"""Secrets that count no more are erased, whatever kept that from happening at once: a crash, or a table out of reach.

What counts is read from the log: an id that left the state of its stream never comes back to it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from regista.domain.errors import RegistaError
from regista.domain.events import SecretRef
from regista.domain.kinds import KINDS
from regista.domain.times import Clock, utc_now
from regista.store.log import LogReader
from regista.store.mapper import AvroMapper
from regista.store.private import PrivateEntry, PrivateTable
from regista.within import set_within

COLLECT_EVERY = 600.0
"""Seconds between two looks: no secret outlives its ``expires_at`` by more, as long as the registry runs."""
_log = logging.getLogger("regista.secrets")


class SecretUpkeep:
    """Erases secrets that an event displaced, whose time is up, or that no event came to name for ``older_than``."""

    def __init__(self, log: LogReader, table: PrivateTable, *, older_than: timedelta, clock: Clock = utc_now) -> None:
        self._log = log
        self._table = table
        self._mapper = AvroMapper()
        self._older_than = older_than
        self._clock = clock

    async def run(self, leaving: asyncio.Event) -> None:
        """Look at once and then again and again, until ``leaving`` is set. What cannot be done now is tried again then."""
        while not leaving.is_set():
            try:
                await asyncio.to_thread(self.collect)
            except RegistaError as error:
                _log.warning("secrets that count no more were not erased: %s", error)
            await set_within(leaving, COLLECT_EVERY)

    def collect(self) -> int:
        """Look once: how many were erased. Blocks.

        A secret is put before the event that names it: one of which no event knows may be on its way, and is left alone
        until it is old.

        Raises:
            Damaged: an event cannot be read, so what it names is not known; nothing more was erased.
            Unavailable: the log or the table cannot be read or written now.
        """
        now, found = self._clock(), 0
        entries = sorted(self._table.entries(), key=attrgetter("owner"))
        for owner, kept in groupby(entries, attrgetter("owner")):
            ids = list(self._past(owner, list(kept), now))
            if ids:
                self._table.erase(ids)
                found += len(ids)
        if found:
            _log.info("%d secrets that count no more were erased", found)
        return found

    def _past(self, owner: str, entries: Sequence[PrivateEntry], now: datetime) -> Iterator[str]:
        """Those of a stream's secrets that count no more."""
        ever: set[str] = set()
        counting: dict[str, SecretRef] = {}
        for counting in self._counting(owner):
            ever.update(counting)
        for entry in entries:
            named = counting.get(entry.id)
            if named is not None:
                if named.expires_at is not None and named.expires_at <= now:
                    yield entry.id
            elif entry.id in ever or entry.put_at + self._older_than <= now:
                yield entry.id

    def _counting(self, owner: str) -> Iterator[dict[str, SecretRef]]:
        """The secrets that counted after each event of a stream, by id."""
        kind = KINDS.get(owner.partition("/")[0])
        if kind is None:
            return
        state = kind.empty
        for row in self._log.load(owner):
            state = kind.evolve(state, self._mapper.from_row(row).event)
            yield {secret.id: secret for secret in getattr(state, "secrets", ())}

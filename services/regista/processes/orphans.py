"""Uploads that nothing in the log names are deleted after a while.

What is needed is read from the log itself: a view may have skipped an event, or stand still before it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain

from regista.artifacts.uploads import ArtifactStore
from regista.domain.chain import Row
from regista.domain.errors import RegistaError
from regista.domain.events import EVENT_TYPES, EvaluationRecorded, VersionRegistered, VersionUpdated
from regista.domain.metadata import Code, Dataset, FeatureSet
from regista.store.log import LogReader
from regista.store.mapper import AvroMapper
from regista.within import set_within

COLLECT_EVERY = 3600.0
"""Seconds between two collections."""
_CHUNK = 1000
_STORED = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
"""How the artifact store names bytes; data may be named by other digests."""
_NAMING = frozenset({VersionRegistered.TYPE, VersionUpdated.TYPE, EvaluationRecorded.TYPE})
logger = logging.getLogger("regista.orphans")


class NamedDigests:
    """The digests that the events of a log name. Remembers how far it has read: each event is read once.

    Belongs to one thread at a time. Holds about 150 bytes for each distinct digest.
    """

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._mapper = AvroMapper()
        self._log_id = log.log_id
        self._position = 0
        self._digests: set[str] = set()

    def read(self) -> set[str]:
        """The digests named by the events up to now: of manifests, of training scripts, and of data.

        Raises:
            Damaged: an event cannot be read, or may name something in a way that this release does not know.
            Unavailable: the log cannot be read now.
        """
        if self._log.log_id != self._log_id:  # an import has replaced the log
            self._log_id, self._position, self._digests = self._log.log_id, 0, set()
        while rows := self._log.read(self._position + 1, _CHUNK):
            for row in rows:
                self._digests.update(digest for digest in self._named(row) if _STORED.fullmatch(digest))
            self._position = rows[-1].position
        return set(self._digests)

    def _named(self, row: Row) -> Iterator[str]:
        if row.type in EVENT_TYPES and row.type not in _NAMING:
            return
        match self._mapper.from_row(row).event:
            case VersionRegistered() as event:
                yield event.artifact.digest
                yield from _of_code(event.code)
                evaluated = (evaluation.dataset for evaluation in event.evaluations)
                yield from _of_data(chain(event.datasets, event.features, evaluated))
            case VersionUpdated(supplied=supplied) if supplied is not None:
                yield from _of_code(supplied.code)
                yield from _of_data(supplied.datasets)
            case EvaluationRecorded() as event:
                yield from _of_data([event.dataset])


def _of_code(code: Code | None) -> Iterator[str]:
    if code is not None and code.snapshot is not None:
        yield code.snapshot


def _of_data(used: Iterable[Dataset | FeatureSet | None]) -> Iterator[str]:
    for data in used:
        if data is not None and data.digest is not None:
            yield data.digest


class OrphanCollector:
    """Deletes uploads that no event names and nobody asked about for ``older_than``."""

    def __init__(self, log: LogReader, blobs: ArtifactStore, *, older_than: timedelta) -> None:
        self._named = NamedDigests(log)
        self._blobs = blobs
        self._older_than = older_than

    async def run(self, leaving: asyncio.Event) -> None:
        """Collect every hour until ``leaving`` is set. What cannot be done now is tried again then."""
        while not leaving.is_set():
            if await set_within(leaving, COLLECT_EVERY):
                return
            try:
                await self.collect()
            except RegistaError as error:
                logger.warning("orphaned uploads were not collected: %s", error)

    async def collect(self) -> None:
        """Collect once.

        What is registered while this runs is safe: a registration makes the bytes it names young again.

        Raises:
            Damaged: an event cannot be read, so what it names is not known; nothing was deleted.
            Unavailable: the log or the blobs cannot be read now.
        """
        named = await asyncio.to_thread(self._named.read)
        found = await self._blobs.collect_orphans(named, older_than=self._older_than)
        if found.blobs or found.unfinished:
            logger.info("%d orphaned blobs with %d bytes were deleted", len(found.blobs), found.size)

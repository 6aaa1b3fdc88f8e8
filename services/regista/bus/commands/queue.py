"""One partition of the commands topic, taken in from where the store stands.

The store's offset is the truth: Kafka's committed offsets are not used. Whatever goes wrong, the queue is looked at again
from there, so nothing is lost and nothing is done twice, whoever else believes to have the partition.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from regista.bus.clients import raise_if_cancelled
from regista.bus.commands.records import decode_order, source_name
from regista.bus.commands.results import Teller
from regista.domain.errors import RegistaError, Unavailable
from regista.registrar.taking import Delivery, Taker
from regista.store.append import IntakeMoved
from regista.store.log import LogReader
from regista.store.lookup import ask

LARGEST = 32
"""Most commands that are decided together: deciding them holds the event loop for some milliseconds."""
_FETCHED = 512
_LONG_POLL_MS = 500
_SHRUNK_LOOKS = 20
_LOOK = 0.5
_CONTENDED = frozenset({"log_contended", "overloaded"})
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Progress:
    """How one partition stands. ``offset``: the next to take in; ``end``: the end seen last; ``error``: what holds it."""

    offset: int = 0
    end: int = 0
    taken: int = 0
    error: RegistaError | None = None

    @property
    def lag(self) -> int:
        """Offsets not taken in yet: at least as many as commands."""
        return max(0, self.end - self.offset)


class Queue:
    """Takes one partition in, from ``start`` until ``stop``. Belongs to one event loop."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        partition: TopicPartition,
        taker: Taker,
        store: LogReader,
        *,
        max_bytes: int,
        clock: Callable[[], datetime],
        told: Callable[[], None],
    ) -> None:
        """``told`` is called when there is something new to publish."""
        self._consumer = consumer
        self._partition = partition
        self._source = source_name(partition.topic, partition.partition)
        self._taker = taker
        self._store = store
        self._teller = Teller(self._source, max_bytes, clock)
        self._told = told
        self._limit = LARGEST
        self._failures = 0
        self.progress = Progress()
        self._stopping = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self.task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Begin nothing more. ``task`` ends with what is being appended."""
        self._stopping.set()

    def saw_end(self, end: int) -> None:
        """The partition goes up to ``end``."""
        self.progress.end = max(end, self.progress.offset)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._take_in()
            except asyncio.CancelledError:
                raise_if_cancelled()
            except IntakeMoved as moved:
                _log.info("%s; going on from there", moved)
                await self._pause(random.uniform(0.0, 0.2))  # noqa: S311 - no secret
            except Exception as error:  # noqa: BLE001 - whatever it is, looking again from the store is the answer to it
                self._note(error)
                await self._pause(random.uniform(0.5, 1.0) * min(5.0, 0.1 * 2 ** min(self._failures, 10)))  # noqa: S311 - no secret

    async def _take_in(self) -> None:
        """Take in from where the store stands, until something goes wrong or it is stopped."""
        before, expected = await self._go_to_start()
        records: list[Any] = []
        while not self._stopping.is_set():
            if not records:
                records = await self._next(expected)
            if not records:
                continue
            some = records[: self._limit]
            taken = await self._taker.take(self._source, before, self._deliveries(some), self._teller.tell)
            before = expected = some[taken - 1].offset + 1
            del records[:taken]
            self._note_taken(before, taken)

    async def _go_to_start(self) -> tuple[int, int]:
        """Move the consumer to where the store stands: the store's offset, and the offset of the next record.

        Records that Kafka removed before they were taken in are passed over. A topic that ends before the store's offset
        was made anew, and is read from its beginning.
        """
        shrunk = 0
        while True:
            stored = await ask(self._store, self._store.intake_offset, self._source)
            before = stored or 0
            begin = (await self._consumer.beginning_offsets([self._partition]))[self._partition]
            end = (await self._consumer.end_offsets([self._partition]))[self._partition]
            if before <= end:
                break
            # A broker that has just become the leader may not know the end yet.
            shrunk += 1
            if shrunk >= _SHRUNK_LOOKS:
                _log.warning("%s ends at %d, and %d was taken in: it was made anew", self._source, end, before)
                # Before it grows beyond that offset, from where on nothing would tell it from the old one.
                await self._taker.begin_anew(self._source, before, begin)
                before = begin
                break
            await self._pause(_LOOK)
            if self._stopping.is_set():
                break
        start = before if begin <= before <= end else begin
        if stored is not None and begin > before:
            _log.warning("commands of %s expired unread: offsets %d to %d", self._source, before, begin - 1)
        self._consumer.seek(self._partition, start)
        self.progress.offset, self.progress.end = start, max(end, start)
        return before, start

    async def _next(self, expected: int) -> list[Any]:
        found = await self._consumer.getmany(self._partition, timeout_ms=_LONG_POLL_MS, max_records=_FETCHED)
        records = found.get(self._partition, [])
        if records and records[0].offset < expected:
            raise Unavailable("The consumer stands where it was not sent.", code="kafka_unavailable")
        if (end := self._consumer.last_stable_offset(self._partition)) is not None:
            self.saw_end(end)
        return list(records)

    def _deliveries(self, records: Sequence[Any]) -> list[Delivery]:
        self._teller.records = {record.offset: record for record in records}
        return [_delivery(record) for record in records]

    def _note_taken(self, offset: int, taken: int) -> None:
        self._told()
        self._failures = 0
        self._limit = min(LARGEST, self._limit * 2)
        progress = self.progress
        progress.offset, progress.taken, progress.error = offset, progress.taken + taken, None

    def _note(self, error: Exception) -> None:
        self._failures += 1
        said = error if isinstance(error, RegistaError) else Unavailable(repr(error), code="intake_failed")
        if said.code in _CONTENDED:
            self._limit = max(1, self._limit // 4)
        if self.progress.error is None or self.progress.error.code != said.code:
            unknown = None if isinstance(error, RegistaError) else error
            _log.warning("%s waits: %s", self._source, said, exc_info=unknown)
        self.progress.error = said

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def _delivery(record: Any) -> Delivery:  # noqa: ANN401 - aiokafka has no types
    try:
        return Delivery(record.offset, decode_order(record.value))
    except RegistaError as error:
        return Delivery(record.offset, error)

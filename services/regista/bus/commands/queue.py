"""One partition of the commands topic, taken in from where the store stands.

The store's offset is the truth: Kafka's committed offsets are not used. Whatever goes wrong, the queue is looked at again
from there, so nothing is lost and nothing is done twice, whoever else believes to have the partition. An offset means
something in one topic only, so the store knows the last record as well, and it is looked at before the queue goes on;
what comes later is compared with it by the times that brokers gave, never by how long this process believes to have waited.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from regista.bus.clients import raise_if_cancelled
from regista.bus.commands.mark import Mark
from regista.bus.commands.records import decode_order, source_name
from regista.bus.commands.results import Teller
from regista.bus.commands.same import HALTS, check_made_anew, follows_at_once, may_be_another, shorter, still_holds
from regista.domain.errors import RegistaError, Unavailable
from regista.domain.times import Clock
from regista.registrar.taking import Delivery, Taker
from regista.store.append import IntakeMoved, Taken
from regista.store.log import LogReader
from regista.store.lookup import ask
from regista.within import set_within

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
    """How one partition stands. ``offset``: the next to take in; ``end``: the end seen last; ``error``: what holds it.

    ``begun_anew`` counts how often it was found to be another topic's, and read from its beginning.
    """

    offset: int = 0
    end: int = 0
    taken: int = 0
    begun_anew: int = 0
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
        clock: Clock,
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
        self._mark: Mark | None = None
        self._opening = self._unopened = False
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
                await set_within(self._stopping, random.uniform(0.0, 0.2))  # noqa: S311 - no secret
            except Exception as error:  # noqa: BLE001 - whatever it is, looking again from the store is the answer to it
                self._note(error)
                seconds = random.uniform(0.5, 1.0) * min(5.0, 0.1 * 2 ** min(self._failures, 10))  # noqa: S311 - no secret
                await set_within(self._stopping, seconds)

    async def _take_in(self) -> None:
        """Take in from where the store stands, until something goes wrong or it is stopped."""
        self._opening = True
        if (opened := await self._go_to_start()) is None:
            return
        taken, expected = opened
        self._opening = False
        if self._unopened:
            # Over, whether or not there is something to take in; what keeps records out is over when one is in.
            self._unopened, self.progress.error = False, None
        records: list[Any] = []
        while not self._stopping.is_set():
            if not records:
                records = await self._next(expected)
                if records and await self._are_of_another(records):
                    return  # to look at it as one that was just opened
            if not records:
                continue
            some = self._deliveries(records[: self._limit])
            count = await self._taker.take(self._source, taken, some, self._teller.tell)
            last = some[count - 1]
            taken, expected = Taken(last.offset + 1, last.mark), last.offset + 1
            self._mark = Mark.unpacked(last.mark)
            del records[:count]
            self._note_taken(expected, count)

    async def _go_to_start(self) -> tuple[Taken, int] | None:
        """Move the consumer to where the store stands: how far it has the queue, and the offset of the next record.

        None when it was stopped before it was known whether the topic is the one that was taken in from.

        Records that Kafka removed before they were taken in are passed over. A topic that was made anew is read from its
        beginning.

        Raises:
            Damaged: it is another topic than was taken in from, and holds what was taken in, or may: ``same.HALTS``.
        """
        stored, begin, end = await self._look()
        if self._stopping.is_set():
            return None
        taken = stored or Taken(0)
        self._mark = Mark.unpacked(taken.mark)
        if self._mark is not None and self._mark.offset != taken.offset - 1:
            self._mark = None  # of an earlier release, which moved the offset alone
        if taken.offset > end or (
            self._mark and not await still_holds(self._consumer, self._partition, self._mark, begin, end)
        ):
            await check_made_anew(self._consumer, self._partition, self._mark, begin, end)
            _log.warning("%s was made anew: %d offsets were taken in of the one before it", self._source, taken.offset)
            taken = await self._taker.begin_anew(self._source, taken, begin)
            self.progress.begun_anew += 1
            self._mark = None
        elif stored is not None and begin > taken.offset:
            _log.warning("commands of %s expired unread: offsets %d to %d", self._source, taken.offset, begin - 1)
        start = max(begin, taken.offset)
        self._consumer.seek(self._partition, start)
        self.progress.offset, self.progress.end = start, max(end, start)
        return taken, start

    async def _look(self) -> tuple[Taken | None, int, int]:
        """How far the store has taken it in, and from where to where the partition goes.

        It ends before the store's offset only when it did so again and again, or the queue is stopped meanwhile: a broker
        that has just become the leader may not know the end yet.
        """
        for again in range(_SHRUNK_LOOKS):
            if again:
                await set_within(self._stopping, _LOOK)
            stored = await ask(self._store, self._store.intake, self._source)
            begin, end = await self._bounds()
            taken = begin if stored is None else max(begin, stored.offset)
            self.progress.offset, self.progress.end = taken, max(taken, end)
            if stored is None or stored.offset <= end or self._stopping.is_set():
                break
            if self.progress.error is None or self.progress.error.code not in HALTS:
                self._say(shorter(self._source, stored.offset, end))
                self._unopened = True
        return stored, begin, end

    async def _are_of_another(self, records: Sequence[Any]) -> bool:
        """Whether records that came are of a topic that was made anew since the last one was taken in.

        Asked after they came, so that what happened before they did is seen, however long this process was frozen.
        """
        mark = self._mark
        if mark is None or follows_at_once(mark, records[0]):
            return False
        went_back = records[0].timestamp < mark.timestamp_ms
        if not went_back and not await may_be_another(self._consumer, self._partition, mark):
            return False
        # Clocks of brokers that differ look like that too, so the remembered record itself has the last word.
        held = await still_holds(self._consumer, self._partition, mark, *await self._bounds())
        self._consumer.seek(self._partition, records[-1].offset + 1)
        return not held

    async def _bounds(self) -> tuple[int, int]:
        """From where to where the partition goes."""
        only = [self._partition]
        # At once: a broker answers both behind the fetch that the connection waits for, which takes half a second.
        begin, end = await asyncio.gather(self._consumer.beginning_offsets(only), self._consumer.end_offsets(only))
        return begin[self._partition], end[self._partition]

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
        self._say(said, None if isinstance(error, RegistaError) else error)
        self._unopened = self._opening

    def _say(self, error: RegistaError, unknown: Exception | None = None) -> None:
        """Show what the queue waits for; ``unknown``: what it comes from, where that says more."""
        if self.progress.error is None or self.progress.error.code != error.code:
            _log.warning("%s waits: %s", self._source, error, exc_info=unknown)
        self.progress.error = error


def _delivery(record: Any) -> Delivery:  # noqa: ANN401 - aiokafka has no types
    mark = Mark.of(record).packed
    try:
        return Delivery(record.offset, decode_order(record.value), mark)
    except RegistaError as error:
        return Delivery(record.offset, error, mark)

"""The newest event that committed readers of Kafka can see: what an answer with ``acknowledge=kafka`` waits for."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random

from aiokafka import AIOKafkaConsumer, TopicPartition

from regista.bus.clients import BATCH, raise_if_cancelled, reading
from regista.bus.events.backwards import newest
from regista.bus.events.envelope import received
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.domain.chain import Row, event_hash
from regista.store.log import LogReader
from regista.store.lookup import ask

_LONG_POLL_MS = 500
_log = logging.getLogger(__name__)


class CommittedTail:
    """Follows the events topic from its end and knows the newest position. Belongs to one event loop.

    A commit's answer comes before its records can be read: only a reader knows that they can.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._partition = TopicPartition(Topics(settings.kafka_prefix).events, 0)
        self._newest: Row | None = None
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def position(self) -> int:
        """The newest position that was seen; 0 while there is none."""
        return 0 if self._newest is None else self._newest.position

    @property
    def newest(self) -> Row | None:
        """The newest event that was seen."""
        return self._newest

    async def run(self) -> None:
        """Follow until ``close``, through every outage of Kafka."""
        self._task = asyncio.create_task(self._follow())
        try:
            await asyncio.wait([self._task])
        finally:
            self._task.cancel()
            await asyncio.wait([self._task])
            for _, _, future in self._waiting:
                future.cancel()

    async def close(self) -> None:
        """Stop. Who waits is told that what he waits for was not seen."""
        self._closing.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def wait_for(self, position: int, timeout: float) -> bool:  # noqa: ASYNC109 - a deadline that is answered
        """Whether Kafka came as far as ``position`` within ``timeout`` seconds. ``KafkaCopy`` knows with which events."""
        if self.position >= position:
            return True
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (position, next(self._order), future))
        await asyncio.wait([future], timeout=timeout)
        future.cancel()
        return self.position >= position

    async def _follow(self) -> None:
        while not self._closing.is_set():
            try:
                async with reading(
                    self._settings, "tail", self._partition, fetch_max_wait_ms=_LONG_POLL_MS, fetch_min_bytes=1
                ) as consumer:
                    await self._read_on(consumer)
            except asyncio.CancelledError:
                raise_if_cancelled()
            except Exception as error:  # noqa: BLE001 - whatever it is, a new consumer is the answer to it
                _log.debug("The end of the log on Kafka cannot be followed now: %r", error)
            await asyncio.sleep(random.uniform(0.1, 0.6))  # noqa: S311 - no secret

    async def _read_on(self, consumer: AIOKafkaConsumer) -> None:
        last = await newest(consumer, self._partition)
        if last is None:
            begin = (await consumer.beginning_offsets([self._partition]))[self._partition]
            self._newest = None
        else:
            begin = last.offset + 1
            self._saw(received(last).row)
        consumer.seek(self._partition, begin)
        while not self._closing.is_set():
            found = await consumer.getmany(self._partition, timeout_ms=_LONG_POLL_MS, max_records=BATCH)
            if records := found.get(self._partition):
                self._saw(received(records[-1]).row)

    def _saw(self, row: Row) -> None:
        self._newest = row
        while self._waiting and self._waiting[0][0] <= row.position:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)


class KafkaCopy:
    """How far Kafka has one log, by the newest event there that the log holds as well.

    Positions alone do not tell: a store that fell back gives positions again that Kafka has with other events. Kafka
    being a prefix of the log, everything up to an event that both have is there.
    """

    def __init__(self, log: LogReader, tail: CommittedTail) -> None:
        self._log = log
        self._tail = tail

    def position(self) -> int:
        """Every event of the log up to here can be read from Kafka; 0 where its newest is none of this log. Blocks.

        Raises:
            Unavailable: the log cannot be read now.
        """
        there = self._tail.newest
        ours = None if there is None else self._log.row(there.position)
        if there is None or ours is None or _hash(ours) != _hash(there):
            return 0
        return there.position

    async def wait_for(self, position: int, timeout: float) -> bool:  # noqa: ASYNC109 - a deadline that is answered
        """Whether the log's event at ``position`` could be read from Kafka within ``timeout`` seconds.

        Raises:
            Unavailable: the log cannot be read now.
        """
        return await self._tail.wait_for(position, timeout) and await ask(self._log, self.position) >= position


def _hash(row: Row) -> bytes:
    return event_hash(row.stream, row.sequence, row.value)

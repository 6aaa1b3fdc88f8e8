"""The events topic as a feed: what projections read from when there is Kafka between them and the log.

No offsets are kept anywhere. Whoever reads says behind which event, and that event is found by search, looked at, and
read on from; a cursor then stays there for the next call. So a projector starts anywhere, several read at once, and
a topic that was made anew is no riddle.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from regista.bus.clients import committed_consumer, reading, start, stop_quietly
from regista.bus.events.backwards import newest
from regista.bus.events.cursor import Cursor
from regista.bus.events.envelope import received
from regista.bus.events.existence import check_exists
from regista.bus.events.seek import seek_to_position
from regista.bus.faults import translated
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.domain.errors import Damaged, Unavailable
from regista.projections.feed import Batch, Mark, diverged

_ROLE = "projector"
_IDLE = 60.0
"""Seconds after which a cursor that nobody reads from is closed."""
_CURSORS = 6
_LONG_POLL_MS = 500


class KafkaFeed:
    """Implements ``Feed`` over the events topic, read as committed. Belongs to one event loop.

    ``read`` and ``wait`` are called one at a time. An outage of Kafka is waited out: what was read stays read.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._partition = TopicPartition(Topics(settings.kafka_prefix).events, 0)
        self._cursors: list[Cursor] = []

    async def log_id(self) -> str:
        """As ``Feed.log_id``: that of the topic's first event.

        Raises:
            Unavailable: ``log_empty``: nothing was published yet; ``kafka_unavailable``.
        """
        with translated(self._settings):
            async with reading(self._settings, _ROLE, self._partition, fetch_max_wait_ms=_LONG_POLL_MS) as consumer:
                return await self._log_id(consumer)

    async def newest(self) -> int:
        """As ``Feed.newest``."""
        with translated(self._settings):
            async with reading(self._settings, _ROLE, self._partition, fetch_max_wait_ms=_LONG_POLL_MS) as consumer:
                last = await newest(consumer, self._partition)
                return 0 if last is None else received(last).row.position

    async def read(self, after: Mark, limit: int) -> Batch:
        """As ``Feed.read``.

        Raises:
            Damaged: ``log_diverged``; ``log_truncated``: the topic no longer begins with the log's beginning;
                ``foreign_event``, ``event_missing``: the topic does not hold one whole log.
            Unavailable: ``kafka_unavailable``; ``events_topic_missing``; ``log_empty``: it was made anew and is empty.
        """
        await self._close_idle()
        async with self._dropping_what_fails():
            cursor = next((c for c in self._cursors if c.go_to(after)), None) or await self._open(after)
            return Batch(await cursor.read(limit))

    async def wait(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - a poll interval, not a deadline
        """As ``Feed.wait``: a long poll. Kafka being away keeps the waiter waiting; ``read`` will say so."""
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                async with self._dropping_what_fails():
                    cursor = next((c for c in self._cursors if c.position == position), None)
                    cursor = cursor or await self._open_unseen(position)
                    await cursor.wait(deadline)
        except TimeoutError:
            return
        except Exception:  # noqa: BLE001 - whatever it is, the next read meets it too, and says so
            await asyncio.sleep(max(0.0, deadline - asyncio.get_running_loop().time()))

    async def close(self) -> None:
        """Close the connections."""
        await self._drop(self._cursors)

    async def _open(self, after: Mark) -> Cursor:
        """A new cursor behind an event that the topic was seen to hold."""
        consumer = await self._consumer()
        try:
            log_id = await self._log_id(consumer)
            if after.position:
                await self._find(consumer, after)
            else:
                await self._begin(consumer)
        except BaseException:
            await stop_quietly(consumer)
            raise
        return await self._keep(Cursor(consumer, self._partition, log_id, after.position, after))

    async def _open_unseen(self, position: int) -> Cursor:
        """A new cursor behind a position, to wait there: what lies at the position is not looked at."""
        consumer = await self._consumer()
        try:
            log_id = await self._log_id(consumer)
            await seek_to_position(consumer, self._partition, position + 1)
        except BaseException:
            await stop_quietly(consumer)
            raise
        return await self._keep(Cursor(consumer, self._partition, log_id, position, None))

    async def _consumer(self) -> AIOKafkaConsumer:
        consumer = committed_consumer(self._settings, _ROLE, fetch_max_wait_ms=_LONG_POLL_MS)
        await start(consumer)
        try:
            await check_exists(consumer, self._settings)
        except BaseException:
            await stop_quietly(consumer)
            raise
        consumer.assign([self._partition])
        return consumer

    async def _keep(self, cursor: Cursor) -> Cursor:
        self._cursors.append(cursor)
        if len(self._cursors) > _CURSORS:
            await self._drop([min(self._cursors, key=lambda c: c.used)])
        return cursor

    async def _log_id(self, consumer: AIOKafkaConsumer) -> str:
        begin = (await consumer.beginning_offsets([self._partition]))[self._partition]
        end = (await consumer.end_offsets([self._partition]))[self._partition]
        consumer.seek(self._partition, begin)
        while await consumer.position(self._partition) < end:
            found = await consumer.getmany(self._partition, timeout_ms=_LONG_POLL_MS, max_records=1)
            for record in found.get(self._partition, ()):
                return received(record).log_id
        raise Unavailable(
            f"{self._partition.topic} holds no event yet",
            code="log_empty",
            hint="A relay publishes the log: regista relay, or regista up with Kafka set.",
        )

    async def _find(self, consumer: AIOKafkaConsumer, mark: Mark) -> None:
        """Stand behind the remembered event.

        Raises:
            Damaged: ``log_diverged``: the topic does not have it; ``log_truncated``: it does not go back as far.
        """
        await seek_to_position(consumer, self._partition, mark.position)
        end = (await consumer.end_offsets([self._partition]))[self._partition]
        while await consumer.position(self._partition) < end:
            found = await consumer.getmany(self._partition, timeout_ms=_LONG_POLL_MS, max_records=1)
            for record in found.get(self._partition, ()):
                row = received(record).row
                if row.position != mark.position:
                    await self._check_beginning(consumer)
                    raise diverged(mark, missing=True)
                if Mark.of(row) != mark:
                    raise diverged(mark, missing=False)
                return
        raise diverged(mark, missing=True)

    async def _begin(self, consumer: AIOKafkaConsumer) -> None:
        begin = await self._check_beginning(consumer)
        consumer.seek(self._partition, begin)

    async def _check_beginning(self, consumer: AIOKafkaConsumer) -> int:
        begin = (await consumer.beginning_offsets([self._partition]))[self._partition]
        if begin:
            raise Damaged(
                f"{self._partition.topic} has lost its first {begin} records",
                code="log_truncated",
                hint="Its retention must be unlimited (regista topics check). Delete the topic and its checkpoint in "
                f"{Topics(self._settings.kafka_prefix).relay}: the relay publishes the log again from the first event.",
            )
        return int(begin)

    @asynccontextmanager
    async def _dropping_what_fails(self) -> AsyncIterator[None]:
        """Run with Kafka's errors as ours; after one of any kind every place is searched and looked at anew."""
        try:
            with translated(self._settings):
                yield
        except Exception:
            await self.close()
            raise

    async def _close_idle(self) -> None:
        now = asyncio.get_running_loop().time()
        await self._drop([cursor for cursor in self._cursors if now - cursor.used > _IDLE])

    async def _drop(self, cursors: Sequence[Cursor]) -> None:
        self._cursors = [cursor for cursor in self._cursors if cursor not in cursors]
        await asyncio.gather(*(stop_quietly(cursor.consumer) for cursor in cursors))

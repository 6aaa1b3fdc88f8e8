"""Events from Kafka: the events topic, read as committed, by position instead of offsets and consumer groups."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from regista.bus.clients import reading
from regista.bus.events.backwards import newest
from regista.bus.events.envelope import Consumed, Received, received
from regista.bus.events.existence import check_exists
from regista.bus.events.seek import seek_to_position
from regista.bus.faults import translated
from regista.bus.settings import KafkaSettings
from regista.bus.subscriber.logged import Bookmark, Data, LoggedEvent
from regista.bus.subscriber.source import Item, Start, readable
from regista.bus.topics.topology import Topics
from regista.domain.chain import event_hash
from regista.domain.errors import BeyondLog, Damaged, Refused, Unavailable
from regista.domain.events import EVENT_TYPES
from regista.domain.records import from_record
from regista.schemas.codec import decode, decode_meta
from regista.schemas.errors import SchemaError

_ROLE = "subscriber"
_WAIT_MS = 500
_BATCH = 500
"""Records taken in at once: few enough that a subscriber which stops soon has read little in vain."""
_ANSWER_WITHIN = 10.0


class KafkaSource:
    """Implements ``Source``. It filters nothing; the place read on from is checked by the event that lies there.

    Brokers that say nothing for ``silence`` seconds are asked whether they are there.
    """

    def __init__(self, settings: KafkaSettings, *, silence: float) -> None:
        self._settings = settings
        self._silence = silence
        self._partition = TopicPartition(Topics(settings.kafka_prefix).events, 0)

    async def begin(self, start: Start) -> Bookmark:
        """The place to begin at."""
        with translated(self._settings):
            async with self._reading() as consumer:
                last = await self._last(consumer)
                if start in ("start", 0):
                    return Bookmark(last.log_id, 0, "")
                if isinstance(start, int) and last.row.position < start:
                    raise BeyondLog(f"the log on Kafka ends at {last.row.position}, before position {start}")
                return _behind(last) if start == "end" else await self._at_or_before(consumer, int(start))

    async def read(self, after: Bookmark) -> AsyncIterator[Sequence[Item]]:
        """What is behind a place, and what comes, with one consumer."""
        with translated(self._settings):
            async with self._reading() as consumer:
                await self._find(consumer, after)
                yield ()
                async with aclosing(self._records(consumer)) as batches:
                    async for records in batches:
                        async for piece in readable(_items(map(received, records))):
                            yield piece

    async def aclose(self) -> None:
        """Nothing is held beside the connections, which end with each reading."""

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AIOKafkaConsumer]:
        async with reading(self._settings, _ROLE) as consumer:
            await check_exists(consumer, self._settings)
            consumer.assign([self._partition])
            yield consumer

    async def _find(self, consumer: AIOKafkaConsumer, after: Bookmark) -> None:
        """Stand behind the place, having seen that it is there."""
        last = await self._last(consumer)
        if last.log_id != after.log_id:
            raise Refused(
                f"{self._partition.topic} holds the log {last.log_id}, not {after.log_id}",
                code="another_log",
                hint="Each log has a prefix of its own: look at REGISTA_KAFKA_PREFIX. "
                "Where it is the right one, remove the stored position and say where to begin.",
            )
        if not after.position:
            await consumer.seek_to_beginning(self._partition)
            return
        if last.row.position < after.position:
            raise Unavailable(
                f"Kafka has the log up to {last.row.position}; this subscriber has seen {after.position}",
                code="kafka_behind",
                hint="The relay catches up, or stands still: `regista status` says. A topic that was made anew is "
                "filled by it from the first event on.",
            )
        await seek_to_position(consumer, self._partition, after.position)
        found = received(await self._one(consumer))
        if found.row.position != after.position or _hash(found) != after.hash:
            raise Refused(
                f"the log on Kafka does not hold the event that this subscriber saw at position {after.position}",
                code="log_diverged",
                hint="The log was restored from an older copy, or is another one. Where it is the right one, remove "
                "the stored position and say where to begin.",
            )

    async def _last(self, consumer: AIOKafkaConsumer) -> Received:
        record = await newest(consumer, self._partition)
        if record is None:
            raise Unavailable(
                f"there is nothing on {self._partition.topic} yet",
                code="kafka_empty",
                hint="`regista relay` publishes the log; with Kafka set, `regista up` does.",
            )
        return received(record)

    async def _at_or_before(self, consumer: AIOKafkaConsumer, position: int) -> Bookmark:
        await seek_to_position(consumer, self._partition, position)
        record = await self._one(consumer)
        if (found := received(record)).row.position == position:
            return _behind(found)
        record = await newest(consumer, self._partition, before=record.offset)  # positions may have gaps
        return Bookmark(found.log_id, 0, "") if record is None else _behind(received(record))

    async def _one(self, consumer: AIOKafkaConsumer) -> ConsumerRecord:
        async with asyncio.timeout(_ANSWER_WITHIN):
            return await consumer.getone(self._partition)

    async def _records(self, consumer: AIOKafkaConsumer) -> AsyncGenerator[Sequence[Consumed], None]:
        heard = time.monotonic()
        while True:
            found = await consumer.getmany(self._partition, timeout_ms=_WAIT_MS, max_records=_BATCH)
            if records := found.get(self._partition):
                yield records
                heard = time.monotonic()
            elif time.monotonic() - heard > self._silence:
                async with asyncio.timeout(_ANSWER_WITHIN):
                    await consumer.end_offsets([self._partition])
                heard = time.monotonic()


def _items(events: Iterable[Received]) -> Iterator[Item]:
    """The events, with their place said where a set ends at the last of them."""
    whole: Bookmark | None = None
    for event in events:
        item = _logged(event)
        yield item
        whole = item.bookmark if event.ends_set else None
    if whole is not None:
        yield whole


def _behind(event: Received) -> Bookmark:
    return Bookmark(event.log_id, event.row.position, _hash(event))


def _hash(event: Received) -> str:
    return event_hash(event.row.stream, event.row.sequence, event.row.value).hex()


def _logged(event: Received) -> LoggedEvent:
    row = event.row
    data: Data = row.value
    try:
        if row.type in EVENT_TYPES:
            record = decode(row.value).record
            meta, data = record["meta"], from_record(row.type, record)
        else:
            meta = decode_meta(row.value)
    except SchemaError as error:
        raise Damaged(
            f"the event at position {row.position} cannot be read: {error}",
            code="undecodable_event",
            hint="Where a newer release wrote it, upgrade this one; else `regista verify` says what is damaged.",
        ) from error
    return LoggedEvent(
        position=row.position,
        stream=row.stream,
        sequence=row.sequence,
        type=row.type,
        time=meta["time"],
        actor=meta["actor"],
        identity=meta["identity"],
        reason=meta["reason"],
        command_id=meta["command_id"],
        cause=meta["cause"],
        previous_hash=meta["previous_hash"].hex(),
        hash=_hash(event),
        log_id=event.log_id,
        data=data,
    )

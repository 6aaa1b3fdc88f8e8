"""The relay's producer: once it is there, no older one can publish any more.

Safety comes from the transactional id alone. All relays of one outbox share it, whatever log they believe in, so two
of them never publish at the same time, not even those of two logs that were given the same prefix by mistake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, Protocol, TypeAlias

import aiokafka.producer.sender
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from regista.bus.clients import start, stop_quietly
from regista.bus.connection import client_options
from regista.bus.events.envelope import Headers
from regista.bus.settings import KafkaSettings
from regista.domain.errors import Unavailable

TRANSACTION = 10.0
"""Seconds that a transaction may stay open: after that the broker aborts it, and its readers go on."""
_NEXT_TRANSACTION = 0.001
"""Seconds before a transaction is tried again while the marks of the one before are being written.

aiokafka waits 20 ms, in a constant of its own; with 1 ms it commits six times as many events a second.
"""
_ROOM = 64 * 2**10
_LARGEST_BATCH = 2 * 2**20
Batch: TypeAlias = Any  # aiokafka has no types
_partition_of = DefaultPartitioner()


class Message(Protocol):
    """What is published: see ``outbox.Entry``."""

    @property
    def topic(self) -> str: ...  # noqa: D102 - named as in Kafka
    @property
    def key(self) -> bytes: ...  # noqa: D102 - named as in Kafka
    @property
    def value(self) -> bytes: ...  # noqa: D102 - named as in Kafka
    @property
    def headers(self) -> Headers: ...  # noqa: D102 - named as in Kafka
    @property
    def timestamp_ms(self) -> int | None: ...  # noqa: D102 - named as in Kafka


class Keyed(Protocol):
    """What a relay notes in its own topic: a checkpoint or a barrier."""

    @property
    def key(self) -> bytes: ...  # noqa: D102 - named as in Kafka
    @property
    def value(self) -> bytes: ...  # noqa: D102 - named as in Kafka


def transactional_id(settings: KafkaSettings, outbox: str) -> str:
    """The id that all relays of an outbox share."""
    return f"{settings.kafka_prefix}.relay.{outbox}"


class FencedProducer:
    """Publishes in transactions, each with a note. After any error it must be closed and another one made."""

    def __init__(self, settings: KafkaSettings, outbox: str, notes: str) -> None:
        """``notes`` is the topic of one partition that notes go to."""
        self._notes = notes
        self._ends: dict[TopicPartition, int] = {}
        aiokafka.producer.sender.BACKOFF_OVERRIDE = _NEXT_TRANSACTION
        self._producer = AIOKafkaProducer(
            **client_options(settings, f"relay.{outbox}"),
            transactional_id=transactional_id(settings, outbox),
            acks="all",
            transaction_timeout_ms=int(TRANSACTION * 1000),
            request_timeout_ms=8_000,
            retry_backoff_ms=20,
            max_batch_size=min(int(settings.kafka_max_message) - _ROOM, _LARGEST_BATCH),
            compression_type="zstd",
        )

    async def start(self) -> None:
        """Fence: when it returns, every older producer has ended, its transaction committed or aborted whole.

        Raises:
            Exception: anything that aiokafka raises.
        """
        await start(self._producer)

    async def publish(self, messages: Sequence[Message], note: Keyed) -> None:
        """Publish messages and note in one transaction: when it returns, all of them will be read, each once.

        They become readable about a millisecond later. Messages of one partition keep their order.

        Raises:
            Exception: anything; what became of the transaction, only whoever fences next can tell.
        """
        async with asyncio.timeout(TRANSACTION):
            await self._producer.begin_transaction()
            # The note takes no part in the order, and one request can name all partitions if it comes early.
            sent = [await self._send(self._notes, 0, self._batch_of_note(note))]
            for topic, partition, group in await self._partitioned(messages):
                sent += [await self._send(topic, partition, batch) for batch in self._batches(group)]
            # A commit succeeds although a send failed: it must know first that none did.
            self._check_order(await asyncio.gather(*sent))
        async with asyncio.timeout(TRANSACTION):
            await self._producer.commit_transaction()

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Every partition of topics that exist.

        Raises:
            Exception: anything that aiokafka raises.
        """
        async with asyncio.timeout(TRANSACTION):
            return [TopicPartition(topic, n) for topic in topics for n in await self._producer.partitions_for(topic)]

    async def conclude(self, partitions: Iterable[TopicPartition], *, commit: bool) -> None:
        """Commit or abort what older transactions of this outbox left open in partitions, by one without records.

        The marks are there a moment later. Where nothing is open they change nothing.

        Raises:
            Exception: anything that aiokafka raises.
        """
        async with asyncio.timeout(TRANSACTION):
            await self._producer.begin_transaction()
            for partition in partitions:
                # Its own interface adds a partition with a record only.
                self._producer._txn_manager.maybe_add_partition_to_txn(partition)  # noqa: SLF001
            await (self._producer.commit_transaction() if commit else self._producer.abort_transaction())

    def follows(self, partition: TopicPartition, offset: int) -> None:
        """What is published to a partition must come behind this offset: that of the last record that is there."""
        self._ends[partition] = offset

    async def check_topics(self, *names: str) -> None:
        """Check that topics are there. Asks for all topics: a broker may create what it is asked about.

        Raises:
            Unavailable: ``topics_vanished``: one is not.
            Exception: anything that aiokafka raises.
        """
        async with asyncio.timeout(TRANSACTION):
            there = (await self._producer.client.fetch_all_metadata()).topics()
        if gone := set(names) - there:
            raise Unavailable(f"{', '.join(sorted(gone))} cannot be found any more.", code="topics_vanished")

    @property
    def published(self) -> frozenset[TopicPartition]:
        """The partitions that were published to, and those that ``follows`` named."""
        return frozenset(self._ends)

    def check_ends(self, ends: Mapping[TopicPartition, int]) -> None:
        """Check that partitions still hold what was published to them; ``ends`` are the offsets behind their last.

        Raises:
            Unavailable: ``topics_vanished``: one ends before that: the topic was made anew, the partition lost its end, or
                a transaction was left open in it.
        """
        for partition, end in ends.items():
            if end <= self._ends.get(partition, -1):
                raise Unavailable(f"{partition.topic} ends at offset {end} now.", code="topics_vanished")

    def _check_order(self, sent: Sequence[Any]) -> None:
        """Check that every partition goes on where it was.

        Raises:
            Unavailable: ``topics_vanished``: it begins again: the topic was made anew, or the partition lost its end.
        """
        for batch in sent:
            if batch.offset < 0:
                continue  # a broker that was sent a batch twice does not say where it is
            if batch.offset <= self._ends.get(batch.topic_partition, -1):
                raise Unavailable(f"{batch.topic} begins again at offset {batch.offset}.", code="topics_vanished")
            self._ends[batch.topic_partition] = batch.offset

    async def close(self) -> None:
        """Give up what is open. Never fails, takes three seconds at most."""
        await stop_quietly(self._producer)
        _collect(self._producer)

    async def _partitioned(self, messages: Iterable[Message]) -> list[tuple[str, int, list[Message]]]:
        groups: dict[tuple[str, int], list[Message]] = {}
        for topic, following in groupby(messages, key=attrgetter("topic")):
            every = sorted(await self._producer.partitions_for(topic))
            if len(every) == 1:
                groups.setdefault((topic, every[0]), []).extend(following)
                continue
            for message in following:
                groups.setdefault((topic, _partition_of(message.key, every, every)), []).append(message)
        return [(topic, partition, group) for (topic, partition), group in groups.items()]

    async def _send(self, topic: str, partition: int, batch: Batch) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = await self._producer.send_batch(batch, topic, partition=partition)
        # Where one fails the others are not waited for: their errors are known, not forgotten.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return future

    def _batches(self, messages: Iterable[Message]) -> Iterator[Batch]:
        batch = self._producer.create_batch()
        for message in messages:
            if _append(batch, message) is None:
                yield batch
                batch = self._producer.create_batch()
                _append(batch, message)
        yield batch

    def _batch_of_note(self, note: Keyed) -> Batch:
        batch = self._producer.create_batch()
        batch.append(key=note.key, value=note.value, headers=[], timestamp=None)
        return batch


def _append(batch: Batch, message: Message) -> object | None:
    """Add a message; None when there is no room for it. A batch has room for any one message."""
    return batch.append(  # type: ignore[no-any-return]  # aiokafka has no types
        key=message.key, value=message.value, headers=message.headers, timestamp=message.timestamp_ms
    )


def _collect(producer: Any) -> None:  # noqa: ANN401 - aiokafka has no types
    """Take the errors that a failed producer leaves in futures nobody waits for: the event loop would report each.

    These are its own attributes, of the version that is pinned; a test looks whether something is still reported.
    """
    batches = producer._message_accumulator  # noqa: SLF001
    left = [producer._txn_manager.wait_for_transaction_end()]  # noqa: SLF001
    for batch in (*chain.from_iterable(batches._batches.values()), *batches._pending_batches):  # noqa: SLF001
        left += [batch.future, batch._drain_waiter]  # noqa: SLF001
    for future in left:
        if future is not None and future.done() and not future.cancelled():
            future.exception()

"""What committed readers see of topics: by librdkafka, by aiokafka, all at once or followed while it is written."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as Partition
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

Reader: TypeAlias = Literal["librdkafka", "aiokafka"]
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as a reader got it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def place(self) -> str:
        """``topic/partition/offset``."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Topic(list[Seen]):
    """The records of a topic, partition by partition, in their order."""


async def read(bootstrap: str, topics: Collection[str], reader: Reader) -> dict[str, Topic]:
    """Everything that is committed in these topics, from their beginning to the end that they have now."""
    if reader == "aiokafka":
        found = await _by_aiokafka(bootstrap, topics)
    else:
        found = await asyncio.to_thread(_by_librdkafka, bootstrap, topics)
    return _sorted(topics, found)


def _sorted(topics: Iterable[str], seen: Iterable[Seen]) -> dict[str, Topic]:
    """By topic and partition, but within a partition as they came: their order is what is looked at."""
    found: defaultdict[tuple[str, int], list[Seen]] = defaultdict(list)
    for one in seen:
        found[one.topic, one.partition].append(one)
    return {
        topic: Topic(one for place in sorted(found) if place[0] == topic for one in found[place]) for topic in topics
    }


def _consumer(bootstrap: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "nobody",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 100,
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }
    )


def _partitions(consumer: Consumer, topics: Collection[str]) -> list[TopicPartition]:
    known = consumer.list_topics(timeout=PATIENCE).topics
    return [TopicPartition(topic, number, 0) for topic in topics for number in known[topic].partitions]


def _by_librdkafka(bootstrap: str, topics: Collection[str]) -> list[Seen]:
    found: list[Seen] = []
    deadline = time.monotonic() + PATIENCE
    with closing(_consumer(bootstrap)) as consumer:
        partitions = _partitions(consumer, topics)
        consumer.assign(partitions)
        left = {(one.topic, one.partition) for one in partitions}
        while left:
            assert time.monotonic() < deadline, f"not read to the end: {left}"
            for message in consumer.consume(5000, 0.2):
                error = message.error()
                if error is None:
                    found.append(_seen(message))
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard((message.topic() or "", message.partition() or 0))
    return found


def _seen(message: Message) -> Seen:
    headers: Any = message.headers() or ()
    key: Any = message.key()
    value: Any = message.value()
    return Seen(message.topic() or "", message.partition() or 0, message.offset() or 0, key, value, tuple(headers))


async def _by_aiokafka(bootstrap: str, topics: Collection[str]) -> list[Seen]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=100,
    )
    found: list[Seen] = []
    await consumer.start()
    try:
        cluster = await consumer._client.fetch_all_metadata()
        partitions = [Partition(t, number) for t in topics for number in cluster.partitions_for_topic(t)]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        ends: Mapping[Any, int] = await consumer.end_offsets(partitions)
        deadline = time.monotonic() + PATIENCE
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                assert time.monotonic() < deadline, f"not read to the end: {partition}"
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [
                        Seen(r.topic, r.partition, r.offset, r.key, r.value, tuple(r.headers))
                        for r in records
                        if r.offset < ends[Partition(r.topic, r.partition)]
                    ]
    finally:
        await consumer.stop()
    return found


class Tail:
    """Follows topics by librdkafka, in a thread of its own, through whatever happens to the brokers."""

    def __init__(self, bootstrap: str, topics: Collection[str]) -> None:
        self._topics = tuple(topics)
        self._consumer = _consumer(bootstrap)
        self._consumer.assign(_partitions(self._consumer, topics))
        self._seen: list[Seen] = []
        self._ends = threading.Event()
        self.errors: list[str] = []
        self._thread = threading.Thread(target=self._follow, name="tail", daemon=True)
        self._thread.start()

    @property
    def seen(self) -> dict[str, Topic]:
        """What it has seen so far, in the order it came."""
        return _sorted(self._topics, list(self._seen))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self._consumer.close()

    def _follow(self) -> None:
        while not self._ends.is_set():
            for message in self._consumer.consume(1000, 0.1):
                error = message.error()
                if error is None:
                    self._seen.append(_seen(message))
                elif error.code() != KafkaError._PARTITION_EOF and not error.retriable():
                    self.errors.append(str(error))

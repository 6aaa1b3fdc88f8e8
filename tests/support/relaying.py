"""A relay over a real log, and what a committed reader of Kafka then sees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition

from regista.bus.clients import looking
from regista.bus.events.backwards import between
from regista.bus.events.envelope import Received, received
from regista.bus.relay.checkpoint import Checkpoint
from regista.bus.relay.fenced import FencedProducer
from regista.bus.relay.notes import newest_checkpoint
from regista.bus.relay.outbox import LARGEST, EventsOutbox
from regista.bus.relay.relay import Relay, RelayState
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.domain.chain import Head, Row, advance
from regista.store.leadership import Leadership
from regista.store.log import LogReader

_MARKED_WITHIN = 5.0
PATIENCE = 40.0


def relay_of(
    log: LogReader, settings: KafkaSettings, *, leadership: Leadership | None = None, largest: int = LARGEST
) -> Relay:
    return Relay(
        EventsOutbox(log, Topics(settings.kafka_prefix).events), settings, leadership=leadership, largest=largest
    )


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[Relay]:
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        await relay.close()
        await task


@asynccontextmanager
async def relaying(log: LogReader, settings: KafkaSettings, **options: Any) -> AsyncIterator[Relay]:
    async with running(relay_of(log, settings, **options)) as relay:
        yield relay


async def until(condition: Callable[[], bool], what: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for a condition; ``what`` is shown when it does not come to hold."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, what()
        await asyncio.sleep(0.01)


async def published(relay: Relay, position: int, patience: float = PATIENCE) -> RelayState:
    await until(lambda: relay.state().position >= position, relay.state, patience)
    return relay.state()


async def halted(relay: Relay) -> RelayState:
    await until(lambda: relay.state().state == "halted", relay.state)
    return relay.state()


def events_of(settings: KafkaSettings) -> TopicPartition:
    return TopicPartition(Topics(settings.kafka_prefix).events, 0)


async def records(settings: KafkaSettings, partition: TopicPartition | None = None) -> list[Any]:
    """Every committed record of a partition, that of the events unless another is named."""
    chosen = partition or events_of(settings)
    async with looking(settings, "test", chosen) as consumer:
        end = (await consumer.end_offsets([chosen]))[chosen]
        return [record async for found in between(consumer, chosen, 0, end) for record in found]


async def on_kafka(settings: KafkaSettings) -> list[Received]:
    return [received(record) for record in await records(settings)]


async def assert_prefix(settings: KafkaSettings, log: LogReader) -> Sequence[Received]:
    """Kafka holds the log from its beginning: each event once, in order, in the same bytes; what it holds."""
    found = await on_kafka(settings)
    rows = [event.row for event in found]
    positions = [row.position for row in rows]
    assert positions == sorted(set(positions)), "events twice or out of order"
    assert rows == log.read(1, len(rows)), "events are missing or changed"
    assert {event.log_id for event in found} <= {log.log_id}
    return found


async def assert_all(settings: KafkaSettings, log: LogReader) -> None:
    """Kafka holds the whole log, and the checkpoint says so with the right digest.

    A commit is answered before its marks are written, in each partition by itself: they are waited for.
    """
    wanted, clock = log.read(1, 10**9), asyncio.get_running_loop().time
    until = clock() + _MARKED_WITHIN
    while True:
        rows = [event.row for event in await assert_prefix(settings, log)]
        checkpoint = await checkpoint_of(settings)
        head = None if checkpoint is None else checkpoint.head
        if (rows == wanted and head == head_of(rows)) or clock() > until:
            break
    assert rows == wanted
    assert head == head_of(rows)


def head_of(rows: Sequence[Row]) -> Head:
    head = Head()
    for row in rows:
        head = advance(head, row)
    return head


async def checkpoint_of(settings: KafkaSettings) -> Checkpoint | None:
    notes = TopicPartition(Topics(settings.kafka_prefix).relay, 0)
    async with looking(settings, "test", notes) as consumer:
        return await newest_checkpoint(consumer, notes, "events")


async def write_record(settings: KafkaSettings, topic: str, key: bytes, value: bytes, headers: Any = ()) -> None:
    """Write to a topic what no relay wrote."""

    class Anything:
        def __init__(self) -> None:
            self.topic, self.key, self.value, self.headers, self.timestamp_ms = topic, key, value, list(headers), None

    producer = FencedProducer(settings, "test", Topics(settings.kafka_prefix).dead_letters)
    await producer.start()
    try:
        await producer.publish([Anything()], Checkpoint("nobody", "test"))
    finally:
        await producer.close()

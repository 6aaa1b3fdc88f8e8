"""Subscribing to Kafka: the same promises as over HTTP, kept by position over a topic with gaps and aborted records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from tests.fixtures.kafka import KafkaCluster, MakeBroker
from tests.support.chained_log import Writer, filled
from tests.support.server import running_server
from tests.support.topic_writer import TopicWriter

import regista
from regista.bus.clients import reading
from regista.bus.events.seek import position_of, seek_to_position
from regista.bus.settings import KafkaSettings
from regista.bus.subscriber.kafka_source import KafkaSource
from regista.bus.subscriber.logged import Bookmark
from regista.bus.topics.administration import ensure_topics
from regista.bus.topics.topology import Topics
from regista.domain.chain import Row
from regista.domain.events import LogCreated, ModelRegistered
from regista.schemas.atomic import atomic_sets
from regista.store.log import LogStore
from regista.store.sqlite import SQLiteLogStore

T = TypeVar("T")
pytestmark = pytest.mark.engine("kafka")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogStore]:
    store = SQLiteLogStore(tmp_path_factory.mktemp("log") / "data")
    yield filled(store)
    store.close()


@pytest.fixture(scope="module")
def topic(kafka: KafkaCluster, log: LogStore) -> KafkaSettings:
    """The whole log on Kafka, with an aborted transaction between any two sets."""
    settings = KafkaSettings(kafka=kafka.bootstrap, kafka_prefix=f"subscriber-{uuid4().hex[:8]}")
    with TopicWriter(settings, log.log_id) as writer:
        for rows in sets_of(log):
            writer.abort(rows)
            writer.publish(rows)
    return settings


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[LogStore]:
    store = SQLiteLogStore(tmp_path / "data")
    yield filled(store)
    store.close()


def sets_of(log: LogStore, start: int = 1) -> list[tuple[Row, ...]]:
    return [rows for _, rows in atomic_sets(log.read(start, 1000))]


async def take(events: AsyncIterator[T], count: int) -> list[T]:
    async with asyncio.timeout(30):
        return [await anext(events) for _ in range(count)]


async def test_all_events_come_typed_once_and_in_order(topic: KafkaSettings, log: LogStore) -> None:
    async with regista.Subscriber(kafka=topic, from_="start") as subscribed:
        events = await take(aiter(subscribed), 12)
    assert [event.position for event in events] == list(range(1, 13))
    assert isinstance(events[0].data, LogCreated)
    assert isinstance(events[1].data, ModelRegistered)
    assert {event.log_id for event in events} == {log.log_id}
    assert (events[1].stream, events[1].sequence, events[1].actor) == ("model/a", 1, "ci")


async def test_events_are_those_of_the_event_stream(
    kafka_settings: KafkaSettings, growing: LogStore, tmp_path: Path
) -> None:
    with TopicWriter(kafka_settings, growing.log_id) as writer:
        await writer.published(*sets_of(growing))
    growing.close()
    with running_server(tmp_path / "data") as server:
        async with regista.Subscriber(server.url, from_="start") as subscribed:
            over_http = await take(aiter(subscribed), 12)
    async with regista.Subscriber(kafka=kafka_settings, from_="start") as subscribed:
        assert await take(aiter(subscribed), 12) == over_http


async def test_without_a_position_it_begins_at_the_end_and_then_where_it_was(
    kafka_settings: KafkaSettings, growing: LogStore, tmp_path: Path
) -> None:
    with TopicWriter(kafka_settings, growing.log_id) as topic:
        await topic.published(*sets_of(growing))
        async with regista.Subscriber(kafka=kafka_settings, positions=regista.FilePositions(tmp_path / "p")) as first:
            assert first.position == 12
        later = Writer(growing, "later")
        for models in (("a",), ("c",)):
            later.write(*models)
        await topic.published(*sets_of(growing, 13))
    for position in (13, 14):
        positions = regista.FilePositions(tmp_path / "p")
        async with regista.Subscriber(kafka=kafka_settings, positions=positions) as subscribed:
            (event,) = await take(aiter(subscribed), 1)
            assert event.position == position
            await event.done()


@pytest.mark.parametrize("begin", [0, 1, 5, 11])
async def test_it_begins_behind_the_position_that_it_is_told(topic: KafkaSettings, begin: int) -> None:
    async with regista.Subscriber(kafka=topic, from_=begin) as subscribed:
        assert (await take(aiter(subscribed), 1))[0].position == begin + 1


async def test_it_does_not_begin_where_the_log_is_not_yet(topic: KafkaSettings) -> None:
    with pytest.raises(regista.BeyondLog):
        await KafkaSource(topic, silence=60).begin(13)


async def test_a_position_in_a_gap_stands_for_the_event_before_it(kafka_settings: KafkaSettings, log: LogStore) -> None:
    apart = [[Row(row.position * 10, row.stream, row.sequence, row.type, row.value)] for row in log.read(1, 20)]
    with TopicWriter(kafka_settings, log.log_id) as writer:
        await writer.published(*apart)
        source = KafkaSource(kafka_settings, silence=60)
        assert [(await source.begin(at)).position for at in (5, 10, 119)] == [0, 10, 110]


async def test_atomic_sets_come_whole(topic: KafkaSettings) -> None:
    async with regista.Subscriber(kafka=topic, from_="start") as subscribed:
        sets = await take(subscribed.sets(), 11)
    assert [[event.position for event in together] for together in sets if len(together) > 1] == [[5, 6]]


async def test_filters_let_through_what_they_name_and_the_position_goes_on(topic: KafkaSettings) -> None:
    positions = regista.MemoryPositions()
    async with regista.Subscriber(
        kafka=topic, from_="start", models="C", types="model.registered", positions=positions
    ) as subscribed:
        (event,) = await take(aiter(subscribed), 1)
        assert event.stream == "model/c"
        await event.done()
    assert positions.bookmark is not None
    assert positions.bookmark.position == 12


async def test_what_it_knows_of_the_log_is_compared(topic: KafkaSettings, log: LogStore) -> None:
    source = KafkaSource(topic, silence=60)
    there = await source.begin(5)
    for bookmark, kind, code in (
        (Bookmark("another", 5, there.hash), regista.Refused, "another_log"),
        (Bookmark(log.log_id, 5, "00"), regista.Refused, "log_diverged"),
        (Bookmark(log.log_id, 13, "00"), regista.Unavailable, "kafka_behind"),
    ):
        with pytest.raises(kind) as error:
            await anext(source.read(bookmark))
        assert error.value.code == code


async def test_it_waits_for_the_first_event_on_kafka(kafka_settings: KafkaSettings, log: LogStore) -> None:
    heard: list[str | None] = []
    said = {"events_topic_missing": asyncio.Event(), "kafka_empty": asyncio.Event()}

    def on_outage(error: regista.RegistaError | None) -> None:
        heard.append(error.code if error else None)
        if error is not None:
            said[error.code].set()

    async def first() -> int:
        async with regista.Subscriber(kafka=kafka_settings, from_="start", on_outage=on_outage) as subscribed:
            return (await take(aiter(subscribed), 1))[0].position

    waiting = asyncio.ensure_future(first())
    async with asyncio.timeout(20):
        await said["events_topic_missing"].wait()
        await ensure_topics(kafka_settings)
        await said["kafka_empty"].wait()
    with TopicWriter(kafka_settings, log.log_id) as writer:
        await writer.published(*sets_of(log))
        assert await waiting == 1
    assert heard[-1] is None


async def test_every_position_is_found_by_search(topic: KafkaSettings) -> None:
    partition = TopicPartition(Topics(topic.kafka_prefix).events, 0)
    async with reading(topic, "test", partition) as consumer:
        for position in range(1, 13):
            await seek_to_position(consumer, partition, position)
            assert position_of(await consumer.getone(partition)) == position
        await seek_to_position(consumer, partition, 13)
        assert await consumer.getmany(partition, timeout_ms=200) == {}


@pytest.mark.engine("kafka-native")
async def test_it_goes_on_through_cut_connections_and_a_broker_that_is_killed_and_comes_back(
    own_broker: MakeBroker, growing: LogStore, kafka_prefix: str
) -> None:
    broker = own_broker(proxied=True)
    settings = KafkaSettings(kafka=broker.bootstrap, kafka_prefix=kafka_prefix)
    later = Writer(growing, "later")
    with TopicWriter(settings, growing.log_id) as writer:
        await writer.published(*sets_of(growing))
        async with regista.Subscriber(kafka=settings, from_="start", silence=0.5) as subscribed:
            await take(aiter(subscribed), 12)
            waiting = asyncio.ensure_future(take(aiter(subscribed), 1))
            await asyncio.to_thread(broker.cut)
            later.write("a")
            await writer.published(*sets_of(growing, 13))
            assert [event.position for event in await waiting] == [13]

            waiting = asyncio.ensure_future(take(aiter(subscribed), 2))
            await asyncio.to_thread(broker.kill)
            await asyncio.wait([waiting], timeout=1.5)
            await asyncio.to_thread(broker.start)
            later.write("a", "b")
            await writer.published(*sets_of(growing, 14))
            assert [event.position for event in await waiting] == [14, 15]

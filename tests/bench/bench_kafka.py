"""The way over Kafka, in this process: the relay catching up from the log, the projector catching up from the topic.

Each beside its floor in the same run: the relay beside the same records sent in the same transactions with nothing
around them, the projector beside the feed that it reads from. The broker is on the same machine.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiokafka.producer.sender
from aiokafka import AIOKafkaProducer
from tests.bench.bench_projection import life_cycles
from tests.bench.report import Row
from tests.support.postgres_server import PostgresServer, fresh_database, why_not
from tests.support.projecting import Place, open_views
from tests.support.relaying import published, relaying

from native_kafka import Cluster
from regista.bus.events.feed import KafkaFeed
from regista.bus.relay.outbox import LARGEST, Entry, EventsOutbox
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import ensure_topics
from regista.bus.topics.topology import Topics
from regista.projections.feed import START, Mark
from regista.projections.runner import Projector
from regista.store.command_sets import command_sets
from regista.store.log import LogStore
from regista.store.postgres import PostgresLogStore
from regista.store.sqlite import SQLiteLogStore

EVENTS = 60_000
PATIENCE = 300.0
_LARGEST_BATCH = 900_000


@dataclass(frozen=True)
class Pace:
    """How long so many events took, in seconds of the clock and of this process's processor time."""

    events: int
    seconds: float
    processor: float

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def micros(self) -> float:
        """Microseconds of processor time per event."""
        return self.processor / self.events * 1e6


def run(events: int = EVENTS) -> list[Row]:
    """All rows of this file."""
    history = life_cycles(events)
    with tempfile.TemporaryDirectory() as name, Cluster(Path(name) / "kafka") as kafka, _as_in_a_server():
        folder = Path(name)
        with closing(SQLiteLogStore(folder / "log")) as store:
            store.adopt(command_sets(history.rows), history.log_id)
            settings = _settings(kafka)
            floor = asyncio.run(_send_alone(store, _settings(kafka)))
            relayed = asyncio.run(_relay(store, settings))
        feed = asyncio.run(_feed_alone(settings, len(history.rows)))
        folded = asyncio.run(_project(settings, folder / "views.db", len(history.rows)))
        rows = [
            Row("floor: the same records in the same transactions", floor.rate, "events/s"),
            Row("… processor time per event", floor.micros, "µs"),
            *_relay_rows("SQLite", relayed, floor, ">= 50000"),
            Row("floor: the feed alone", feed.rate, "events/s"),
            Row("… processor time per event", feed.micros, "µs"),
            *_project_rows("SQLite", folded, feed, ">= 50000"),
        ]
        if why_not() is not None:
            return rows
        with (
            PostgresServer(durable=True) as server,
            fresh_database(server.url) as log,
            fresh_database(server.url) as views,
        ):
            with closing(PostgresLogStore(log)) as postgres:
                postgres.adopt(command_sets(history.rows), history.log_id)
                relayed = asyncio.run(_relay(postgres, _settings(kafka)))
            folded = asyncio.run(_project(settings, views, len(history.rows)))
        return [
            *rows,
            *_relay_rows("PostgreSQL", relayed, floor, ">= 30000"),
            *_project_rows("PostgreSQL", folded, feed, ">= 30000"),
        ]


def _relay_rows(store: str, pace: Pace, floor: Pace, goal: str) -> list[Row]:
    return [
        Row(f"relay catching up from {store}", pace.rate, "events/s", goal),
        Row("… processor time per event", pace.micros, "µs"),
        Row("… of the floor", pace.rate / floor.rate),
    ]


def _project_rows(store: str, pace: Pace, floor: Pace, goal: str) -> list[Row]:
    return [
        Row(f"projector from Kafka into {store}, all views", pace.rate, "events/s", goal),
        Row("… processor time per event", pace.micros, "µs"),
        Row("… of the floor", pace.rate / floor.rate),
    ]


@contextmanager
def _as_in_a_server() -> Iterator[None]:
    """Collect garbage as a server does after its start (``http.serving``)."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _settings(kafka: Cluster) -> KafkaSettings:
    return KafkaSettings(kafka=kafka.bootstrap, kafka_prefix=f"bench-{uuid4().hex[:8]}")


async def _timed(events: int, work: Callable[[], Awaitable[object]]) -> Pace:
    began, used = time.perf_counter(), time.process_time()
    await work()
    return Pace(events, time.perf_counter() - began, time.process_time() - used)


async def _relay(store: LogStore, settings: KafkaSettings) -> Pace:
    """From the first transaction to the last: what comes before, topics and fencing, does not grow with the log."""
    end = store.max_position()
    async with relaying(store, settings) as relay:
        begun = (await published(relay, 1)).published
        return await _timed(end - begun, lambda: published(relay, end, PATIENCE))


async def _send_alone(store: LogStore, settings: KafkaSettings) -> Pace:
    """The relay's records, read and made before, in transactions of the relay's size, one after the other."""
    topic = Topics(settings.kafka_prefix).events
    outbox = EventsOutbox(store, topic)
    entries = [entry for batch in _batches(outbox) for entry in batch]
    await ensure_topics(settings)
    aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.001
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka,
        transactional_id=settings.kafka_prefix,
        acks="all",
        max_batch_size=_LARGEST_BATCH,
        compression_type="zstd",
    )

    async def send() -> None:
        for begin in range(0, len(entries), LARGEST):
            async with producer.transaction():
                batches = _made(producer, entries[begin : begin + LARGEST])
                sent = [await producer.send_batch(batch, topic, partition=0) for batch in batches]
                await asyncio.gather(*sent)

    await producer.start()
    try:
        return await _timed(len(entries), send)
    finally:
        await producer.stop()


def _batches(outbox: EventsOutbox) -> Iterator[Sequence[Entry]]:
    position = 1
    while entries := outbox.read(position, LARGEST):
        yield entries
        position = entries[-1].position + 1


def _made(producer: AIOKafkaProducer, entries: Sequence[Entry]) -> Iterator[object]:
    batch = producer.create_batch()
    for entry in entries:
        while batch.append(key=entry.key, value=entry.value, headers=entry.headers, timestamp=None) is None:
            yield batch
            batch = producer.create_batch()
    yield batch


@asynccontextmanager
async def _feed(settings: KafkaSettings) -> AsyncIterator[KafkaFeed]:
    feed = KafkaFeed(settings)
    try:
        yield feed
    finally:
        await feed.close()


async def _feed_alone(settings: KafkaSettings, events: int) -> Pace:
    """Everything on the topic, looked at and cut into whole sets, and then dropped."""

    async def read(feed: KafkaFeed) -> None:
        mark, seen = START, 0
        while seen < events:
            if rows := (await feed.read(mark, 5_000)).rows:
                mark, seen = Mark.of(rows[-1]), seen + len(rows)

    async with _feed(settings) as feed, asyncio.timeout(PATIENCE):
        return await _timed(events, lambda: read(feed))


async def _project(settings: KafkaSettings, place: Place, end: int) -> Pace:
    """From a database without views to the topic's end, as a projector does that starts for the first time."""

    async def caught_up() -> None:
        assert await projector.wait_for(end, PATIENCE), projector.status()

    async with _feed(settings) as feed:
        with closing(open_views(place)) as database:
            projector = Projector(feed, database)
            task = asyncio.create_task(projector.run())
            try:
                return await _timed(end, caught_up)
            finally:
                await projector.close()
                await task

"""The conformance suite of feeds: every implementation passes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest
from eventsourcing.persistence import StoredEvent
from tests.support.histories import History
from tests.support.topic_writer import TopicWriter

from regista.bus.events.feed import KafkaFeed
from regista.bus.settings import KafkaSettings
from regista.domain.chain import Row
from regista.domain.errors import Damaged
from regista.projections.feed import START, Feed, Mark, is_missing
from regista.projections.memory import MemoryFeed
from regista.store.append import Append, CommandKey
from regista.store.feed import StoreFeed
from regista.store.log import LogStore
from regista.store.postgres import PostgresLogStore
from regista.store.sqlite import SQLiteLogStore


class Log(Protocol):
    """A feed under test, and the log behind it."""

    @property
    def feed(self) -> Feed:
        """The feed."""

    def append(self, rows: Sequence[Row]) -> None:
        """Append one atomic set; the positions are the log's to give."""


class InMemory:
    def __init__(self) -> None:
        self.feed = MemoryFeed("log-1")
        self.feed.append(History().rows[0])

    def append(self, rows: Sequence[Row]) -> None:
        end = self.feed.end
        self.feed.append(*(Row(end + i, r.stream, r.sequence, r.type, r.value) for i, r in enumerate(rows, 1)))


class OnKafka:
    def __init__(self, settings: KafkaSettings) -> None:
        self._writer = TopicWriter(settings)
        self._writer.publish([History().rows[0]])
        self.feed = KafkaFeed(settings)

    def append(self, rows: Sequence[Row]) -> None:
        end = self._writer.end
        self._writer.publish([Row(end + i, r.stream, r.sequence, r.type, r.value) for i, r in enumerate(rows, 1)])

    def close(self) -> None:
        self._writer.close()


class InStore:
    def __init__(self, store: LogStore) -> None:
        self._store = store
        self.feed = StoreFeed(self._store, poll=0.02)

    def append(self, rows: Sequence[Row]) -> None:
        key = CommandKey("ada", f"command-{self._store.max_position()}", bytes(32))
        events = tuple(StoredEvent(row.stream, row.sequence, row.type, row.value) for row in rows)
        self._store.append([Append(events, key, {})])
        self.feed.notify()

    def close(self) -> None:
        self._store.close()


ENGINES = [pytest.param(engine, marks=pytest.mark.engine(engine)) for engine in ("postgres", "kafka")]


@pytest.fixture(params=["memory", "sqlite", *ENGINES])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    match request.param:
        case "memory":
            yield InMemory()
        case "sqlite":
            with closing(InStore(SQLiteLogStore(tmp_path / "data"))) as in_file:
                yield in_file
        case "postgres":
            with closing(InStore(PostgresLogStore(request.getfixturevalue("postgres_database")))) as in_database:
                yield in_database
        case _:
            with closing(OnKafka(request.getfixturevalue("kafka_settings"))) as on_kafka:
                yield on_kafka
                await on_kafka.feed.close()


def sets(count: int, size: int = 1) -> list[list[Row]]:
    """Atomic sets of real events; a set of several is several promotions by one command."""
    history = History()
    history.register_model("fraud")
    for seed in range(count):
        history.register("fraud", seed)
    singles = [rows[0] for rows in history.sets[1:]]
    if size == 1:
        return [[row] for row in singles[:count]]
    whole = []
    for start in range(0, count * size, size):
        history = History()
        history.register_model(f"model-{start}")
        for seed in range(size - 1):
            history.register(f"model-{start}", seed)
        rows = history.rows[1:]
        whole.append([_same_command(row, rows[0]) for row in rows])
    return whole


def _same_command(row: Row, first: Row) -> Row:
    from regista.schemas.codec import decode, encode

    name, record = decode(row.value)
    record["meta"]["command_id"] = f"set-{first.stream}"
    return Row(row.position, row.stream, row.sequence, row.type, encode(name, record))


async def read_all(feed: Feed, limit: int) -> list[Row]:
    rows: list[Row] = []
    mark = START
    while batch := (await feed.read(mark, limit)).rows:
        rows.extend(batch)
        mark = Mark.of(batch[-1])
    return rows


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
async def test_every_row_comes_once_and_in_order_whatever_the_limit(log: Log, limit: int) -> None:
    for rows in sets(10):
        log.append(rows)
    positions = [row.position for row in await read_all(log.feed, limit)]
    assert positions == list(range(1, 12))


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_an_atomic_set_is_never_split(log: Log, limit: int) -> None:
    for rows in sets(4, size=3):
        log.append(rows)
    mark, sizes = START, []
    while batch := (await log.feed.read(mark, limit)).rows:
        sizes.append(len(batch))
        mark = Mark.of(batch[-1])
    assert sum(sizes) == 13
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    assert all((end - 1) % 3 == 0 for end in ends)


async def test_behind_the_last_row_there_is_nothing(log: Log) -> None:
    [row] = (await log.feed.read(START, 10)).rows
    assert not (await log.feed.read(Mark.of(row), 10)).rows


async def test_a_remembered_row_that_is_another_now_is_noticed(log: Log) -> None:
    for rows in sets(3):
        log.append(rows)
    with pytest.raises(Damaged) as caught:
        await log.feed.read(Mark(3, bytes(32)), 10)
    assert caught.value.code == "log_diverged"
    assert not is_missing(caught.value)


async def test_a_log_that_ends_before_the_remembered_row_is_noticed(log: Log) -> None:
    with pytest.raises(Damaged) as caught:
        await log.feed.read(Mark(99, bytes(32)), 10)
    assert caught.value.code == "log_diverged"
    assert is_missing(caught.value)


async def test_the_newest_position_is_known(log: Log) -> None:
    assert await log.feed.newest() == 1
    for rows in sets(2):
        log.append(rows)
    assert await log.feed.newest() == 3


async def test_a_reader_may_go_back_and_several_may_be_at_several_places(log: Log) -> None:
    for rows in sets(10):
        log.append(rows)
    rows = await read_all(log.feed, 100)
    marks = [START, *map(Mark.of, rows)]
    for place in (10, 3, 5, 4, 3, 9, 0, 2):
        batch = (await log.feed.read(marks[place], 3)).rows
        assert [row.position for row in batch] == list(range(place + 1, min(place + 3, 11) + 1))


async def test_an_append_wakes_whoever_waits(log: Log) -> None:
    waiter = asyncio.create_task(log.feed.wait(1, 30))
    [first, *_] = sets(1)
    await asyncio.sleep(0)
    log.append(first)
    async with asyncio.timeout(5):
        await waiter


async def test_waiting_ends_at_once_when_there_is_more_already_and_after_the_timeout_when_not(log: Log) -> None:
    async with asyncio.timeout(5):
        await log.feed.wait(0, 30)
        await log.feed.wait(1, 0.01)


async def test_the_log_has_an_identity(log: Log) -> None:
    assert await log.feed.log_id()

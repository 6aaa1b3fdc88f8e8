"""A store that becomes another log under a relay: by an import, or by a heal that begins with an empty store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.chained_log import Writer, filled
from tests.support.relaying import assert_all, halted, published, relaying, until

from regista.bus.settings import KafkaSettings
from regista.copies import offline_heal
from regista.settings import Settings
from regista.store.command_sets import command_sets
from regista.store.log import LogReader, LogStore
from regista.store.postgres import PostgresLogReader, PostgresLogStore
from regista.store.sqlite import SQLiteLogReader, SQLiteLogStore

pytestmark = pytest.mark.engine("kafka")


@dataclass(frozen=True)
class Place:
    """Where a log is: opened to be written as by a registrar, and to be read as by a relay of another process."""

    open: Callable[[], LogStore]
    read: Callable[[], LogReader]
    settings: dict[str, object]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine("postgres"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    data = tmp_path / "data"
    if request.param == "sqlite":
        return Place(lambda: SQLiteLogStore(data), lambda: SQLiteLogReader(data / "log.db"), {"data": data})
    url: str = request.getfixturevalue("postgres_database")
    return Place(lambda: PostgresLogStore(url), lambda: PostgresLogReader(url), {"data": data, "database": url})


@pytest.fixture
def other(tmp_path: Path) -> Iterator[LogStore]:
    """Another log, of twelve events."""
    with closing(SQLiteLogStore(tmp_path / "other")) as store:
        yield filled(store)


def become(log: LogStore, other: LogReader) -> None:
    log.adopt(command_sets(other.read(1, 100)), other.log_id)


async def test_a_relay_that_has_published_nothing_yet_publishes_the_log_that_was_imported(
    place: Place, other: LogStore, kafka_settings: KafkaSettings
) -> None:
    with closing(place.open()) as log, closing(place.read()) as read:
        away = kafka_settings.model_copy(update={"kafka": "127.0.0.1:1"})
        async with relaying(read, away) as relay:
            await until(lambda: relay.state().code == "kafka_unavailable", relay.state)
            become(log, other)
        async with relaying(read, kafka_settings) as relay:
            await published(relay, 12)
        await assert_all(kafka_settings, log)


async def test_a_relay_that_has_published_the_log_before_halts_and_goes_on_once_the_right_one_is_there(
    place: Place, other: LogStore, kafka_settings: KafkaSettings
) -> None:
    with closing(place.open()) as log, closing(place.read()) as read:
        first, first_id = log.read(1, 10), log.log_id
        async with relaying(read, kafka_settings) as relay:
            await published(relay, 1)
            become(log, other)
            state = await halted(relay)
            assert (state.code, state.position) == ("foreign_log", 1)
            assert other.log_id in str(state.error)
            assert first_id in str(state.error)
            log.restore(0, command_sets(first), first_id, end=12)
            written = Writer(log).write("a")
            await published(relay, written)
            assert relay.state().code is None
        await assert_all(kafka_settings, log)


async def test_a_relay_that_waits_on_a_new_store_goes_on_when_it_is_healed_from_what_kafka_has(
    place: Place, other: LogStore, kafka_settings: KafkaSettings
) -> None:
    async with relaying(other, kafka_settings) as relay:
        await published(relay, 12)
    place.open().close()
    settings = Settings.model_validate(
        {**place.settings, "kafka": kafka_settings.kafka, "kafka_prefix": kafka_settings.kafka_prefix}
    )
    with closing(place.read()) as read:
        async with relaying(read, kafka_settings) as relay:
            assert (await halted(relay)).code == "foreign_log"
            done = await asyncio.to_thread(lambda: offline_heal(settings, actor="ops", reason="lost", quarantine=None))
            assert done.log_id == other.log_id
            await published(relay, done.position)
        await assert_all(kafka_settings, read)

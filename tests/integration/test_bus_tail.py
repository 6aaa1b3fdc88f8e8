"""The end of the log on Kafka as committed readers see it: what acknowledge=kafka waits for."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.chained_log import Writer
from tests.support.relaying import on_kafka, published, relaying, until

from regista.bus.events.tail import CommittedTail, KafkaCopy
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import create_topics
from regista.store.sqlite import SQLiteLogStore

pytestmark = pytest.mark.engine("kafka")


@asynccontextmanager
async def following(settings: KafkaSettings) -> AsyncIterator[CommittedTail]:
    tail = CommittedTail(settings)
    task = asyncio.create_task(tail.run())
    try:
        yield tail
    finally:
        await tail.close()
        await task


async def test_a_position_is_answered_once_it_can_be_read(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    await create_topics(kafka_settings)
    log = SQLiteLogStore(tmp_path)
    writer = Writer(log)
    async with relaying(log, kafka_settings) as relay, following(kafka_settings) as tail:
        for _ in range(20):
            position = writer.write("a", "b") + 1
            relay.notify()
            assert await tail.wait_for(position, 30)
            assert len(await on_kafka(kafka_settings)) >= position
    log.close()


async def test_what_was_published_before_is_known(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    log = SQLiteLogStore(tmp_path)
    position = Writer(log).write("a")
    async with relaying(log, kafka_settings) as relay:
        await published(relay, position)
    async with following(kafka_settings) as tail:
        assert await tail.wait_for(position, 30)
        assert tail.position == position
    log.close()


async def test_positions_that_kafka_has_with_other_events_are_not_acknowledged(
    tmp_path: Path, kafka_settings: KafkaSettings
) -> None:
    (tmp_path / "old").mkdir()
    log = SQLiteLogStore(tmp_path / "now")
    writer = Writer(log)
    first = writer.write("a")
    shutil.copy(tmp_path / "now" / "log.db", tmp_path / "old")
    last = writer.write("b", "c")
    fell_back = SQLiteLogStore(tmp_path / "old")
    async with relaying(log, kafka_settings) as relay, following(kafka_settings) as tail:
        await published(relay, last)
        assert await KafkaCopy(log, tail).wait_for(last, 30)
        assert await KafkaCopy(log, tail).wait_for(first, 0)
        assert not await KafkaCopy(fell_back, tail).wait_for(first, 0)
        forked = Writer(fell_back).write("other")
        assert forked <= tail.position
        assert not await KafkaCopy(fell_back, tail).wait_for(forked, 0)
    for each in (log, fell_back):
        each.close()


async def test_who_waits_for_what_does_not_come_is_told_in_time(kafka_settings: KafkaSettings) -> None:
    await create_topics(kafka_settings)
    async with following(kafka_settings) as tail:
        assert not await tail.wait_for(1, 0.05)


async def test_closing_ends_the_waiting(kafka_settings: KafkaSettings) -> None:
    await create_topics(kafka_settings)
    async with following(kafka_settings) as tail:
        waiting = asyncio.create_task(tail.wait_for(1, 60))
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert not await waiting


async def test_topics_that_come_later_are_followed_then(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    log = SQLiteLogStore(tmp_path)
    async with following(kafka_settings) as tail:
        await asyncio.sleep(0)
        async with relaying(log, kafka_settings):
            await until(lambda: tail.position == 1, lambda: tail.position)
    log.close()

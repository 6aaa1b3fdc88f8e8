"""Deployers with work databases of their own, on Kafka: from where on events have effects, and for which one of several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.topic_writer import TopicWriter
from tests.support.working import Notes, ScriptedLog, eventually, noted

from regista.bus.events.feed import KafkaFeed
from regista.bus.settings import KafkaSettings
from regista.processes.bringing import Bringing
from regista.processes.kafka_parts import check_topics_at_start
from regista.settings import Settings
from regista.work.consumer import Consumer, End, Overtaken
from regista.work.database import Work

pytestmark = pytest.mark.engine("kafka")
PATIENCE = 40.0


@dataclass
class Place:
    """A process's own work database, and what follows by it."""

    settings: Settings
    work: Work
    feed: KafkaFeed

    def consumer(self, end: End | None = None) -> Consumer:
        return Consumer(self.work, Notes(), self.feed, end=end)

    async def used(self) -> None:
        """It has followed the log to its end before."""
        consumer = self.consumer()
        await consumer.catch_up()
        await consumer.close()

    def bringing(self, consumer: Consumer) -> Bringing:
        return Bringing(self.settings, self.work, self.feed, [consumer], tick=lambda: None, count=nothing)


async def nothing(_: Sequence[Any]) -> None:
    return


@asynccontextmanager
async def place(settings: KafkaSettings, data: Path) -> AsyncIterator[Place]:
    given = {"data": data, "kafka": settings.kafka, "kafka_prefix": settings.kafka_prefix}
    made = Settings.model_validate(given)
    data.mkdir()  # noqa: ASYNC240 - nothing else is under way
    work, feed = Work.at(data / "work.db"), KafkaFeed(made)
    try:
        yield Place(made, work, feed)
    finally:
        await feed.close()
        work.close()


async def test_what_is_there_is_taken_by_the_one_that_the_group_chooses(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    log = ScriptedLog()
    log.alias()
    with TopicWriter(kafka_settings) as writer:
        writer.publish(log.feed.rows)
        async with place(kafka_settings, tmp_path / "one") as one, place(kafka_settings, tmp_path / "other") as other:
            await check_topics_at_start(one.settings)
            places = (one, other)
            for each in places:
                await each.used()
            change = log.alias()
            writer.publish(log.feed.rows[-1:])
            consumers = [each.consumer() for each in places]
            bringing = [each.bringing(consumer) for each, consumer in zip(places, consumers, strict=True)]
            running = [asyncio.create_task(each.run()) for each in bringing]
            ended, [follows] = await asyncio.wait(running, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            assert [type(task.exception()) for task in ended] == [Overtaken]
            chosen = running.index(follows)
            await eventually(lambda: consumers[chosen].taking.mark.position == change, PATIENCE)
            took = [(await noted(each.work)).get(change) for each in places]
            assert took[chosen] == "taken"
            assert took.count(None) == 1
            await bringing[chosen].close()
            await follows
            for consumer in consumers:
                await consumer.close()


@pytest.mark.parametrize(("in_topic", "in_log"), [(0, 0), (2, 5)])
async def test_what_is_written_since_a_process_began_has_effects_though_the_topic_was_empty_then_or_behind(
    kafka_settings: KafkaSettings, tmp_path: Path, in_topic: int, in_log: int
) -> None:
    log = ScriptedLog()
    for _ in range(in_log):
        log.alias()
    with TopicWriter(kafka_settings) as writer:
        if in_topic:
            writer.publish(*([row] for row in log.feed.rows[:in_topic]))
        async with place(kafka_settings, tmp_path / "one") as one:
            await check_topics_at_start(one.settings)

            async def end(log_id: str) -> int:
                assert log_id == log.log_id
                return in_log

            consumer = one.consumer(end)
            bringing = one.bringing(consumer)
            running = asyncio.create_task(bringing.run())
            for _ in range(3):
                log.alias()
            writer.publish(*([row] for row in log.feed.rows[in_topic:]))
            await eventually(lambda: consumer.taking.mark.position == in_log + 3, PATIENCE)
            took = await noted(one.work)
            await bringing.close()
            await running
            await consumer.close()
    assert took == {n: "known" if n <= in_log else "taken" for n in range(1, in_log + 4)}

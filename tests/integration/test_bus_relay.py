"""The relay on a real broker: what it publishes, where it goes on, and when it would rather not."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import aiokafka.producer.sender
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from tests.support.chained_log import Writer, filled
from tests.support.relaying import (
    assert_all,
    assert_prefix,
    checkpoint_of,
    events_of,
    halted,
    on_kafka,
    published,
    records,
    relaying,
    until,
    write_record,
)

from regista.bus.clients import administering
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import create_topics
from regista.bus.topics.topology import Topics
from regista.domain.events import ModelRegistered
from regista.store.append import Append
from regista.store.leadership import FileLeadership
from regista.store.log import LogStore
from regista.store.sqlite import SQLiteLogStore

_NUMBERS = itertools.count()
pytestmark = pytest.mark.engine("kafka")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogStore]:
    store = SQLiteLogStore(tmp_path / "data")
    yield filled(store)
    store.close()


def writer_to(log: LogStore) -> Writer:
    """A writer whose commands nobody else gave."""
    return Writer(log, f"writer-{next(_NUMBERS)}")


async def test_a_log_that_is_there_already_is_published_whole(log: LogStore, kafka_settings: KafkaSettings) -> None:
    async with relaying(log, kafka_settings) as relay:
        state = await published(relay, 12)
        assert (state.state, state.lag, state.published, state.error) == ("leading", 0, 12, None)
    assert relay.state().state == "stopped"
    await assert_all(kafka_settings, log)


async def test_what_is_appended_later_follows_without_being_polled_for(
    log: LogStore, kafka_settings: KafkaSettings
) -> None:
    writer = writer_to(log)
    async with relaying(log, kafka_settings) as relay:
        await published(relay, 12)
        for _ in range(5):
            position = writer.write("a")
            relay.notify()
            await published(relay, position)
    await assert_all(kafka_settings, log)


async def test_a_relay_goes_on_where_the_one_before_it_ended(log: LogStore, kafka_settings: KafkaSettings) -> None:
    writer = writer_to(log)
    for _ in range(3):
        position = writer.write("a", "b", "c")
        async with relaying(log, kafka_settings) as relay:
            await published(relay, position + 2)
    await assert_all(kafka_settings, log)


async def test_an_atomic_set_is_in_one_transaction_and_says_where_it_ends(
    log: LogStore, kafka_settings: KafkaSettings
) -> None:
    writer_to(log).write("a", "b", "c", "d", "e")
    async with relaying(log, kafka_settings, largest=1) as relay:
        await published(relay, log.max_position())
    notes = TopicPartition(Topics(kafka_settings.kafka_prefix).relay, 0)
    ends = {int(position) for position in (await checkpoints(kafka_settings, notes))}
    found = await on_kafka(kafka_settings)
    assert len(ends) > 8
    assert ends <= {event.row.position for event in found if event.ends_set}
    assert [(event.set_index, event.set_size) for event in found[-5:]] == [(n, 5) for n in range(1, 6)]
    assert (found[0].set_index, found[0].set_size) == (1, 1)


async def checkpoints(settings: KafkaSettings, notes: TopicPartition) -> list[int]:
    contents = [json.loads(record.value) for record in await records(settings, notes)]
    return [content["position"] for content in contents if content["kind"] == "checkpoint"]


async def test_no_transaction_holds_more_than_it_may(log: LogStore, kafka_settings: KafkaSettings) -> None:
    writer = writer_to(log)
    log.append([writer.append("a") for _ in range(300)])
    async with relaying(log, kafka_settings, largest=100) as relay:
        await published(relay, 312)
    notes = TopicPartition(Topics(kafka_settings.kafka_prefix).relay, 0)
    positions = [0, *await checkpoints(kafka_settings, notes)]
    assert max(after - before for before, after in itertools.pairwise(positions)) <= 101
    await assert_all(kafka_settings, log)


async def test_two_relays_at_once_publish_each_event_once_and_leave_each_other_in_peace(
    log: LogStore, kafka_settings: KafkaSettings
) -> None:
    writer = writer_to(log)
    async with relaying(log, kafka_settings) as first:
        await published(first, 12)
        async with relaying(log, kafka_settings) as second:
            await until(lambda: second.state().state == "leading", second.state)
            for _ in range(100):
                writer.write("a")
                first.notify()
                second.notify()
                await asyncio.sleep(0.005)
            await published(second, log.max_position())
            await until(lambda: first.state().code == "relay_stands_by", first.state)
            await until(lambda: first.state().position == log.max_position(), first.state)
            assert second.state().state == "leading"
        writer.write("a")
        await published(first, log.max_position())
        assert first.state().state == "leading"
    await assert_all(kafka_settings, log)


async def test_with_a_lock_the_second_waits_for_the_first(
    log: LogStore, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    lock = tmp_path / "relay.lock"
    async with relaying(log, kafka_settings, leadership=FileLeadership(lock)) as first:
        await published(first, 12)
        async with relaying(log, kafka_settings, leadership=FileLeadership(lock)) as second:
            writer_to(log).write("a")
            await published(first, 13)
            assert (second.state().state, second.state().published) == ("starting", 0)
            await first.close()
            writer_to(log).write("a")
            await published(second, 14)
    await assert_all(kafka_settings, log)


async def test_another_log_is_not_published_behind_this_one(
    log: LogStore, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    async with relaying(log, kafka_settings) as relay:
        await published(relay, 12)
    other = filled(SQLiteLogStore(tmp_path / "other"))
    async with relaying(other, kafka_settings) as relay:
        state = await halted(relay)
    other.close()
    assert state.code == "foreign_log"
    assert log.log_id in str(state.error)
    assert "REGISTA_KAFKA_PREFIX" in str(state.hint)
    await assert_all(kafka_settings, log)


async def test_a_log_restored_from_an_old_copy_stops_its_relay(
    log: LogStore, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / "data", tmp_path / "old")
    writer_to(log).write("a")
    async with relaying(log, kafka_settings) as relay:
        await published(relay, 13)
    old = SQLiteLogStore(tmp_path / "old")
    async with relaying(old, kafka_settings) as relay:
        state = await halted(relay)
        assert state.code == "log_diverged"
        assert "regista heal" in str(state.hint)
    writer_to(old).write("b")
    async with relaying(old, kafka_settings) as relay:
        assert (await halted(relay)).code == "log_diverged"
    old.close()
    await assert_all(kafka_settings, log)


async def test_a_relay_without_its_checkpoint_does_not_start_over(log: LogStore, kafka_settings: KafkaSettings) -> None:
    async with relaying(log, kafka_settings) as relay:
        await published(relay, 12)
    await emptied(kafka_settings, Topics(kafka_settings.kafka_prefix).relay)
    async with relaying(log, kafka_settings) as relay:
        state = await halted(relay)
    assert state.code == "relay_checkpoint_lost"
    assert state.hint
    await assert_prefix(kafka_settings, log)


async def test_a_relay_whose_events_are_gone_does_not_leave_a_gap(log: LogStore, kafka_settings: KafkaSettings) -> None:
    async with relaying(log, kafka_settings) as relay:
        await published(relay, 12)
    await emptied(kafka_settings, events_of(kafka_settings).topic)
    async with relaying(log, kafka_settings) as relay:
        assert (await halted(relay)).code == "events_topic_lost"


async def emptied(settings: KafkaSettings, topic: str) -> None:
    """Delete every record of a topic of one partition, and make sure that it is empty."""
    async with administering(settings) as admin:
        await admin.delete_topics([topic])
        while topic in await admin.list_topics():  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.05)
    await create_topics(settings)


async def test_a_record_that_no_relay_wrote_stops_it(log: LogStore, kafka_settings: KafkaSettings) -> None:
    async with relaying(log, kafka_settings) as relay:
        await published(relay, 12)
    await write_record(kafka_settings, events_of(kafka_settings).topic, b"model/a", b"nonsense")
    async with relaying(log, kafka_settings) as relay:
        assert (await halted(relay)).code == "undecodable_record"


async def test_topics_of_the_wrong_kind_stop_it_before_anything_is_published(
    log: LogStore, kafka_settings: KafkaSettings
) -> None:
    async with administering(kafka_settings) as admin:
        await admin.create_topics([NewTopic(events_of(kafka_settings).topic, 3, 1)])
    async with relaying(log, kafka_settings) as relay:
        state = await halted(relay)
    assert state.code == "topics_mismatch"
    assert "3 partitions" in str(state.error)


async def test_an_event_too_large_for_its_topic_is_reported_and_goes_out_once_the_topic_allows_it(
    log: LogStore, kafka_settings: KafkaSettings
) -> None:
    topic = events_of(kafka_settings).topic
    await create_topics(kafka_settings)

    async def allow(size: int) -> None:
        configs = {"max.message.bytes": str(size), "retention.ms": "-1", "retention.bytes": "-1"}
        async with administering(kafka_settings) as admin:
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])

    async with relaying(log, kafka_settings) as relay:
        await published(relay, 12)
        await allow(20_000)
        writer = writer_to(log)
        large = ModelRegistered("large", None, os.urandom(40_000).hex(), None, {}, "default")
        key = writer.append_key("large")
        log.append([writer.append("a"), Append((writer.event("large", key, large),), key), writer.append("b")])
        relay.notify()
        await until(lambda: relay.state().error is not None, relay.state)
        await published(relay, 13)
        await until(lambda: relay.state().code == "kafka_record_too_large", relay.state)
        assert (relay.state().state, relay.state().lag) == ("waiting", 2)
        await allow(2**20)
        await published(relay, 15)
        assert relay.state().error is None
    await assert_all(kafka_settings, log)


async def test_the_checkpoint_is_found_behind_many_others(log: LogStore, kafka_settings: KafkaSettings) -> None:
    writer = writer_to(log)
    async with relaying(log, kafka_settings, largest=1) as relay:
        log.append([writer.append("a") for _ in range(100)])
        await published(relay, 112)
    for _ in range(2):
        async with relaying(log, kafka_settings) as relay:
            await published(relay, 112)
            assert relay.state().published == 0
    assert (await checkpoint_of(kafka_settings)).position == 112  # type: ignore[union-attr]


def test_the_back_off_that_the_relay_shortens_is_still_there() -> None:
    assert aiokafka.producer.sender.BACKOFF_OVERRIDE in {0.02, 0.001}
    assert aiokafka.__version__ == "0.14.0"

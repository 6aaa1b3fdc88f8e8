"""Topics that are deleted under running services: said clearly, and never replaced by one that lacks what was there."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from tests.fixtures.kafka import MakeBroker
from tests.support.chained_log import Writer, filled
from tests.support.projecting_kafka import projecting_kafka
from tests.support.relaying import assert_all, halted, published, records, relaying
from tests.support.topics import delete_topics

from regista.bus.clients import administering, reading
from regista.bus.relay import fenced
from regista.bus.relay import relay as relays
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import create_topics
from regista.bus.topics.topology import Topics
from regista.store.log import LogStore
from regista.store.sqlite import SQLiteLogStore

pytestmark = [pytest.mark.engine("kafka"), pytest.mark.engine("kafka-native")]
_NUMBERS = itertools.count()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogStore]:
    store = SQLiteLogStore(tmp_path / "data")
    yield filled(store)
    store.close()


@pytest.fixture
def settings(kafka_settings: KafkaSettings) -> KafkaSettings:
    """A broker that makes no topic by itself."""
    return kafka_settings


@pytest.fixture
def creating(own_broker: MakeBroker) -> KafkaSettings:
    """A broker that makes any topic that it is asked about, as brokers do unless they are told not to."""
    chosen: dict[str, Any] = {"auto.create.topics.enable": "true"}
    broker = own_broker(**chosen)
    return KafkaSettings(kafka=broker.bootstrap, kafka_prefix="gone")


def write(log: LogStore) -> int:
    return Writer(log, f"writer-{next(_NUMBERS)}").write("a")


async def names(settings: KafkaSettings) -> set[str]:
    async with administering(settings) as admin:
        return {topic["topic"] for topic in await admin.describe_topics()}


async def delete_or_lose(settings: KafkaSettings, topic: str) -> None:
    """Delete a topic that a broker may make anew at once."""
    async with administering(settings) as admin:
        await admin.delete_topics([topic])


@pytest.mark.parametrize(
    ("broker", "writing"), [("settings", True), ("settings", False), ("creating", False), ("creating", True)]
)
async def test_a_relay_whose_events_are_deleted_halts_and_publishes_the_log_once_both_topics_are_new(
    log: LogStore, broker: str, writing: bool, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: KafkaSettings = request.getfixturevalue(broker)
    monkeypatch.setattr(relays, "_LOOK_AT_TOPICS", 0.5)
    monkeypatch.setattr(fenced, "TRANSACTION", 2.0)
    topics = Topics(settings.kafka_prefix)
    async with relaying(log, settings) as relay:
        await published(relay, 12)
        await delete_or_lose(settings, topics.events)
        if writing:
            write(log)
        state = await halted(relay)
        assert state.code == "events_topic_lost"
        # A broker goes on taking records until it hears of the deletion, so what was written may just have been published.
        assert 12 <= state.position <= log.max_position()
        assert "have them made anew" in (state.hint or "")
    await delete_topics(settings, *{topics.events, topics.relay} & await names(settings))
    await create_topics(settings)
    async with relaying(log, settings) as relay:
        await published(relay, log.max_position())
    await assert_all(settings, log)


async def test_a_relay_does_not_leave_a_gap_in_a_topic_that_was_made_anew_under_it(
    log: LogStore, settings: KafkaSettings
) -> None:
    """It looks at the offsets that the broker gives it: a new topic begins again."""
    events = Topics(settings.kafka_prefix).events
    async with relaying(log, settings) as relay:
        await published(relay, 12)
        await delete_topics(settings, events)
        await create_topics(settings)
        write(log)
        assert (await halted(relay)).code == "events_topic_lost"
    assert await records(settings) == []


@pytest.mark.parametrize(("role", "code"), [("events", "events_topic_lost"), ("relay", "relay_checkpoint_lost")])
async def test_a_relay_with_nothing_to_publish_notices_a_topic_that_was_made_anew_at_once(
    log: LogStore, settings: KafkaSettings, role: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "_LOOK_AT_TOPICS", 2.0)
    async with relaying(log, settings) as relay:
        await published(relay, 12)
        await delete_topics(settings, getattr(Topics(settings.kafka_prefix), role))
        await create_topics(settings)
        assert (await halted(relay)).code == code


async def test_a_relay_whose_checkpoints_are_deleted_halts(
    log: LogStore, settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "_LOOK_AT_TOPICS", 0.5)
    async with relaying(log, settings) as relay:
        await published(relay, 12)
        await delete_or_lose(settings, Topics(settings.kafka_prefix).relay)
        assert (await halted(relay)).code == "relay_checkpoint_lost"


async def test_a_relay_does_not_begin_again_in_topics_that_a_broker_made_by_itself(
    log: LogStore, creating: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a topic forgets events after some days."""
    monkeypatch.setattr(fenced, "TRANSACTION", 2.0)
    topics = Topics(creating.kafka_prefix)
    async with relaying(log, creating) as relay:
        await published(relay, 12)
        async with administering(creating) as admin:
            await admin.delete_topics([topics.events, topics.relay])
        async with reading(creating, "somebody", TopicPartition(topics.events, 0), TopicPartition(topics.relay, 0)):
            while not {topics.events, topics.relay} <= await names(creating):  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(0.05)
        write(log)
        assert (await halted(relay)).code in {"topics_mismatch", "events_topic_lost"}
    assert await records(creating) == []


@pytest.mark.parametrize("broker", ["settings", "creating"])
async def test_views_say_that_the_events_are_gone_and_go_on_by_themselves_once_the_relay_has_published_them_again(
    log: LogStore, broker: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings: KafkaSettings = request.getfixturevalue(broker)
    topics = Topics(settings.kafka_prefix)
    async with relaying(log, settings) as relay:
        await published(relay, 12)
    async with projecting_kafka(settings, tmp_path / "views.db") as projection:
        await projection.reached(12)
        await delete_or_lose(settings, topics.events)
        async with asyncio.timeout(60):
            while topics.events not in str(projection.projector.status().error):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
        said = str(projection.projector.status().error)
        assert "does not exist" in said or "holds no event yet" in said
        assert {(view.state, view.position) for view in projection.projector.status().views} == {("live", 12)}
        await delete_topics(settings, *({topics.events, topics.relay} & await names(settings)))
        await create_topics(settings)
        written = write(log)
        async with relaying(log, settings) as relay:
            await published(relay, written)
            await projection.reached(written)
        assert projection.projector.status().error is None
        assert {entry.generation for entry in projection.entries()} == {1}


async def test_both_topics_made_anew_under_a_running_relay_are_filled_from_the_log(
    log: LogStore, settings: KafkaSettings
) -> None:
    topics = Topics(settings.kafka_prefix)
    async with relaying(log, settings) as relay:
        await published(relay, 12)
        await delete_topics(settings, topics.events, topics.relay)
        await create_topics(settings)
        written = write(log)
        async with asyncio.timeout(60):
            while len(await records(settings)) < written:  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(0.1)
    await assert_all(settings, log)

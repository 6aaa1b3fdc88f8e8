"""Topics on a real broker: made once, and everything that is wrong with them is found."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.admin import NewTopic

from regista.bus.clients import administering
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import check_topics, create_topics, ensure_topics
from regista.bus.topics.topology import Topics, specs
from regista.domain.errors import Refused, Unavailable

pytestmark = pytest.mark.engine("kafka")


async def make(settings: KafkaSettings, topic: str, partitions: int, **configs: str) -> None:
    named = {name.replace("_", "."): value for name, value in configs.items()}
    async with administering(settings) as admin:
        await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=named)])


async def test_topics_are_made_once_and_are_as_they_should_be(kafka_settings: KafkaSettings) -> None:
    assert {problem.code for problem in await check_topics(kafka_settings)} == {"missing"}
    assert await create_topics(kafka_settings) == [spec.name for spec in specs(kafka_settings)]
    assert await create_topics(kafka_settings) == []
    assert await check_topics(kafka_settings) == []
    assert await ensure_topics(kafka_settings) == []


async def test_what_is_there_is_left_alone(kafka_settings: KafkaSettings) -> None:
    topics = Topics(kafka_settings.kafka_prefix)
    await make(kafka_settings, topics.commands, 3)
    assert topics.commands not in await create_topics(kafka_settings)
    [problem] = [found for found in await ensure_topics(kafka_settings) if found.code == "partitions"]
    assert (problem.topic, problem.fatal) == (topics.commands, False)


@pytest.mark.parametrize(
    ("topic", "partitions", "configs", "code"),
    [
        ("events", 3, {"retention_ms": "-1", "retention_bytes": "-1"}, "partitions"),
        ("events", 1, {"retention_ms": "604800000"}, "retention.ms"),
        ("events", 1, {"retention_ms": "-1", "retention_bytes": "1000000"}, "retention.bytes"),
        ("events", 1, {"retention_ms": "-1", "cleanup_policy": "compact"}, "cleanup.policy"),
        ("events", 1, {"retention_ms": "-1", "cleanup_policy": "compact,delete"}, "cleanup.policy"),
        ("events", 1, {"retention_ms": "-1", "max_message_bytes": "100000"}, "max.message.bytes"),
        ("relay", 1, {"cleanup_policy": "delete"}, "cleanup.policy"),
        ("relay", 2, {"cleanup_policy": "compact"}, "partitions"),
        ("results", 12, {"cleanup_policy": "compact"}, "cleanup.policy"),
    ],
)
async def test_a_topic_that_would_break_a_guarantee_is_refused(
    kafka_settings: KafkaSettings, topic: str, partitions: int, configs: dict[str, Any], code: str
) -> None:
    name = getattr(Topics(kafka_settings.kafka_prefix), topic)
    await make(kafka_settings, name, partitions, **configs)
    with pytest.raises(Refused) as refused:
        await ensure_topics(kafka_settings)
    assert refused.value.code == "topics_mismatch"
    assert [(reason.field, reason.code) for reason in refused.value.reasons] == [(name, code)]
    assert all(reason.hint for reason in refused.value.reasons)


async def test_a_commands_topic_with_the_times_of_senders_is_warned_of(kafka_settings: KafkaSettings) -> None:
    await make(kafka_settings, Topics(kafka_settings.kafka_prefix).commands, 12, message_timestamp_type="CreateTime")
    [problem] = [found for found in await ensure_topics(kafka_settings) if found.code == "message.timestamp.type"]
    assert (problem.topic, problem.fatal) == (Topics(kafka_settings.kafka_prefix).commands, False)
    assert "--add-config message.timestamp.type=LogAppendTime" in problem.hint


async def test_where_nothing_may_be_created_what_is_missing_is_named(kafka_settings: KafkaSettings) -> None:
    settings = kafka_settings.model_copy(update={"kafka_create_topics": False})
    with pytest.raises(Refused) as refused:
        await ensure_topics(settings)
    assert {reason.field for reason in refused.value.reasons} == {spec.name for spec in specs(settings)}
    assert await check_topics(settings) != []


async def test_more_copies_than_brokers_is_said_in_the_broker_s_words(kafka_settings: KafkaSettings) -> None:
    with pytest.raises(Refused, match="replication factor") as refused:
        await create_topics(kafka_settings.model_copy(update={"kafka_replication": 30}))
    assert refused.value.code == "topics_not_created"


async def test_no_broker_is_an_error_that_says_where_it_was_looked_for() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1") as unavailable:
        await check_topics(KafkaSettings(kafka="127.0.0.1:1"))
    assert unavailable.value.code == "kafka_unavailable"

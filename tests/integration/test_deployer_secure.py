"""The deployer on a broker that lets nobody in without a name: Faust comes by TLS and SCRAM, with the rights of the plan."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from tests.support.deploying_kafka import Story, eventually
from tests.support.inference import report
from tests.support.secure_broker import SecureBroker
from tests.support.secure_roles import add_role
from tests.support.topic_writer import TopicWriter

from regista.bus.connection import client_options
from regista.bus.metrics.publisher import ReportPublisher
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics

pytestmark = [pytest.mark.engine("kafka-native"), pytest.mark.engine("openssl")]


def given(settings: KafkaSettings) -> dict[str, Any]:
    """As a process is told by its environment."""
    assert settings.kafka_password is not None
    named = settings.model_dump(include={"kafka", "kafka_prefix", "kafka_security", "kafka_ca", "kafka_username"})
    return {**named, "kafka_password": settings.kafka_password.get_secret_value(), "kafka_create_topics": "false"}


@pytest.fixture
def unguarded(secure_broker: SecureBroker, kafka_prefix: str) -> KafkaSettings:
    """For the test itself: the listener at which all is allowed."""
    return KafkaSettings(kafka=secure_broker.administration, kafka_prefix=kafka_prefix)


@pytest.fixture
def story(secure_broker: SecureBroker, unguarded: KafkaSettings, kafka_prefix: str, tmp_path: Path) -> Iterator[Story]:
    deployer = add_role(secure_broker, kafka_prefix, "deployer")
    with TopicWriter(unguarded) as writer:
        yield Story(unguarded, tmp_path / "data", writer, given(deployer))


async def publish(settings: KafkaSettings, value: bytes) -> None:
    producer = AIOKafkaProducer(**client_options(settings, "test"))
    await producer.start()
    try:
        await producer.send_and_wait(Topics(settings.kafka_prefix).metrics, value, key=b"prod/fraud")
    finally:
        await producer.stop()


async def test_it_follows_events_and_metrics_with_the_rights_of_the_plan_and_no_more(
    story: Story, secure_broker: SecureBroker, unguarded: KafkaSettings, kafka_prefix: str
) -> None:
    with story.deploying() as process:
        first, last = story.around_an_aborted_change(process)
        publisher = ReportPublisher(add_role(secure_broker, kafka_prefix, "endpoint"))
        await publisher.publish([report("1.3.0", 5, ended_at=datetime.now(UTC))])
        await publisher.close()
        await publish(unguarded, b"no report")

        def intake() -> dict[str, int]:
            counts: dict[str, int] = story.part(process, "experiments")["intake"]
            return counts

        eventually(lambda: sum(intake().values()) == 2, lambda: (intake(), process.errors))
        assert intake() == {"taken": 1, "too_old": 0, "dead": 1}
        assert process.terminate() == 0, process.errors
        assert "uthoriz" not in process.errors
    assert story.actions() == [(first, "succeeded"), (last, "succeeded")]
    assert await story.acknowledged() == last

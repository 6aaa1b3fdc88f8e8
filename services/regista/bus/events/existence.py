"""Whether the events topic is there: a consumer of one that is not waits without a word."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer

from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.domain.errors import Unavailable


async def check_exists(consumer: AIOKafkaConsumer, settings: KafkaSettings) -> None:
    """Check that the events topic exists, by the names of all: a broker may create what it is asked about.

    Raises:
        Unavailable: ``events_topic_missing``.
    """
    topics = Topics(settings.kafka_prefix)
    if topics.events not in await consumer.topics():
        raise Unavailable(
            f"{topics.events} does not exist, or this user may not describe it",
            code="events_topic_missing",
            hint="The relay makes it when it first starts (regista relay; with Kafka set, regista up does). Where it was "
            f"deleted, delete {topics.relay} too, have both made anew (regista topics create) and start the relay again: "
            "it publishes the log from the first event, and what was read so far is found again. Else look at "
            "REGISTA_KAFKA_PREFIX, and at the rights: regista topics plan.",
        )

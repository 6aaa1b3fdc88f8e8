"""A consumer group on the events topic, for those whose own cursor is the truth: its place, and who is in it."""

from __future__ import annotations

import logging

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, NoError, for_code

from regista.bus.clients import administering, committed_consumer, start, stop_quietly
from regista.bus.events.seek import seek_to_position
from regista.bus.faults import in_our_words, translated
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics

_NO_SUCH_GROUP = 69
_log = logging.getLogger(__name__)


async def begin_behind(settings: KafkaSettings, role: str, group: str, position: int) -> None:
    """Make a group begin behind a position, where it would begin before it.

    Else its first member would be brought all of the topic, for nothing. Best effort: a group that has members keeps
    its place, and what comes once more is left out by its position.

    Raises:
        Unavailable: ``kafka_unavailable``.
        Damaged: ``undecodable_record``.
    """
    partition = TopicPartition(Topics(settings.kafka_prefix).events, 0)
    with translated(settings):
        consumer = committed_consumer(settings, role, group_id=group, fetch_max_wait_ms=10)
        await start(consumer)
        try:
            consumer.assign([partition])
            await seek_to_position(consumer, partition, position + 1)
            await _advance(consumer, partition, await consumer.position(partition))
        finally:
            await stop_quietly(consumer)


async def _advance(consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> None:
    there = await consumer.committed(partition)
    if there is not None and there >= offset:
        return
    try:
        await consumer.commit({partition: offset})
    except KafkaError as error:
        _log.debug("The group keeps its place at %s: %r", there, error)


async def members(settings: KafkaSettings, group: str) -> frozenset[str]:
    """The client ids of those who are in a group now; what died is in it until its session has timed out.

    Raises:
        Unavailable: ``kafka_unavailable``.
        Forbidden: ``kafka_forbidden``: this user may not describe the group.
    """
    with translated(settings):
        async with administering(settings) as admin:
            [answer] = await admin.describe_consumer_groups([group])
    [described] = answer.to_object()["groups"]
    if described["error_code"] != _NO_SUCH_GROUP and (refused := for_code(described["error_code"])) is not NoError:
        raise in_our_words(settings, refused())
    return frozenset(member["client_id"] for member in described["members"])

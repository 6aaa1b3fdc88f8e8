"""Whether a queue is still the one that was taken in from: by the last record, never by its offset alone.

A commands topic may be made anew, and grow beyond the offset that the store remembers, and Kafka may lose the end of one
that it keeps (an unclean election of a leader, a disk from a backup). In both another record lies where the last one lay.
What follows differs. All that a new topic holds is new, or a copy of a command that the log knows by its id. A topic
that was cut still holds what was taken in long ago, refusals among it, and those leave no trace in the log: decided
again, one that was refused might now be carried out, and nobody would expect it.

Told apart they are by the brokers' clocks: of a topic made anew even the first record is later than the last one that
was taken in.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from regista.bus.commands.mark import LOG_APPEND_TIME, Dated, Mark
from regista.bus.topics.topology import TIMESTAMP_TYPE
from regista.domain.errors import Damaged, Unavailable

CUT = "commands_topic_cut"
UNDATED = "commands_topic_undated"
HALTS = frozenset({CUT, UNDATED})
"""Codes of what keeps a queue from being taken in until somebody did something about it."""
SHORTER = "commands_topic_shorter"
_AT_ONCE_MS = 20
"""No topic is deleted, made anew and filled in less."""
_LONG_POLL_MS = 500
_PATIENCE = 5.0


async def still_holds(consumer: AIOKafkaConsumer, partition: TopicPartition, mark: Mark, begin: int, end: int) -> bool:
    """Whether the remembered record is there; one that Kafka was to remove by now is taken to have been.

    Moves the consumer, whose committed records go from ``begin`` to ``end``.

    Raises:
        Unavailable, TimeoutError: the partition cannot be read now.
    """
    if mark.offset < begin:
        return True
    found = await _first(consumer, partition, mark.offset, end) if mark.offset < end else None
    return found is not None and Mark.of(found) == mark


def shorter(source: str, taken: int, end: int) -> Unavailable:
    """Why a queue waits that ends before what was taken in of it."""
    return Unavailable(
        f"{source} ends at offset {end}, and was taken in up to {taken}: it was made anew, or its leader does not know the "
        "end yet. It is looked at again for some seconds.",
        code=SHORTER,
        hint="Wait: it goes on by itself, or halts and says why.",
    )


async def check_made_anew(
    consumer: AIOKafkaConsumer, partition: TopicPartition, mark: Mark | None, begin: int, end: int
) -> None:
    """Check that a queue which is not the one that was taken in from holds nothing of it. Moves the consumer.

    Raises:
        Damaged: ``commands_topic_cut``: it does; ``commands_topic_undated``: whether it does cannot be told.
        Unavailable, TimeoutError: the partition cannot be read now.
    """
    first = await _first(consumer, partition, begin, end) if begin < end else None
    if first is None or mark is None:
        return
    topic = partition.topic
    if first.timestamp_type != LOG_APPEND_TIME:
        raise Damaged(
            f"{topic}/{partition.partition} was taken in up to offset {mark.offset}, and what lies there now is not that "
            "record. Whether the topic was made anew or lost its end cannot be told: its records carry the times of their "
            f"senders ({TIMESTAMP_TYPE}=CreateTime), not the brokers'.",
            code=UNDATED,
            hint=f"Have it made with {TIMESTAMP_TYPE}=LogAppendTime, as regista topics create does and regista topics plan "
            f"says, delete {topic} and have it made anew: it is then read from its beginning by itself. On a topic that "
            f"stays, kafka-configs --alter --topic {topic} --add-config {TIMESTAMP_TYPE}=LogAppendTime keeps it from "
            "happening again; records that are there keep their times. Who published a command and got no result "
            "publishes it again, with the same command_id.",
        )
    if first.timestamp > mark.timestamp_ms:
        return
    raise Damaged(
        f"{topic}/{partition.partition} was taken in up to offset {mark.offset}, and what lies there now is not that "
        "record, though the partition holds older ones: Kafka lost its end.",
        code=CUT,
        hint=f"Delete {topic} and have it made anew (regista topics create): it is then read from its beginning by "
        "itself. Who published a command and got no result publishes it again, with the same command_id.",
    )


def follows_at_once(mark: Mark, record: Dated) -> bool:
    """Whether a record behind the remembered one was appended so soon after it that no topic was made anew between."""
    return 0 <= record.timestamp - mark.timestamp_ms <= _AT_ONCE_MS


async def may_be_another(consumer: AIOKafkaConsumer, partition: TopicPartition, mark: Mark) -> bool:
    """Whether a queue has to be looked at from its beginning again: a quick question, which reads no record.

    The first record later than the remembered one comes behind it, or the topic is another one.
    """
    later = (await consumer.offsets_for_times({partition: mark.timestamp_ms + 1}))[partition]
    return later is not None and later.offset <= mark.offset


async def _first(consumer: AIOKafkaConsumer, partition: TopicPartition, start: int, end: int) -> Dated | None:
    """The first committed record from an offset on; None when there is none before ``end``."""
    consumer.seek(partition, start)
    async with asyncio.timeout(_PATIENCE):
        while True:
            found: dict[TopicPartition, list[Any]] = await consumer.getmany(
                partition, timeout_ms=_LONG_POLL_MS, max_records=1
            )
            for record in found.get(partition, ()):
                return record  # type: ignore[no-any-return]  # aiokafka has no types
            position = await consumer.position(partition)
            if position < start:
                msg = f"{partition.topic} was made anew while it was looked at"
                raise Unavailable(msg, code="kafka_unavailable")
            if position >= end:
                return None

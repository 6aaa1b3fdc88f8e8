"""What relays noted in their topic, as committed readers find it."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from regista.bus.events.backwards import newest
from regista.bus.relay.checkpoint import Checkpoint, parsed


async def newest_checkpoint(consumer: AIOKafkaConsumer, notes: TopicPartition, outbox: str) -> Checkpoint | None:
    """The newest checkpoint of an outbox, of whatever log; None when there is none.

    Raises:
        Damaged: ``undecodable_record``.
    """

    def ours(record: Any) -> bool:  # noqa: ANN401 - aiokafka has no types
        content = parsed(record)
        return isinstance(content, Checkpoint) and content.outbox == outbox

    record = await newest(consumer, notes, ours)
    found = None if record is None else parsed(record)
    return found if isinstance(found, Checkpoint) else None

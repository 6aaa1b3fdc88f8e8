"""Where a relay goes on: what the checkpoint says, once it is sure that log, checkpoint and topic belong together."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition

from regista.bus.clients import looking
from regista.bus.events.backwards import newest
from regista.bus.events.envelope import Received, received
from regista.bus.relay.checkpoint import Barrier, Checkpoint, parsed
from regista.bus.relay.fenced import FencedProducer
from regista.bus.relay.notes import newest_checkpoint
from regista.bus.relay.outbox import Outbox
from regista.bus.relay.settling import settle
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import check_topics
from regista.bus.topics.topology import Topics
from regista.domain.chain import event_hash
from regista.domain.errors import Damaged, Refused, Unavailable

FOREIGN = "foreign_log"
_APPEARS = 15.0
_LOOKS = 10
_LOOK = 0.5
_FRESH = "delete the events topic and the relay's topic and have them made anew: the relay fills them from the log"


async def resume(settings: KafkaSettings, outbox: Outbox, producer: FencedProducer) -> Checkpoint:
    """The checkpoint to go on from, with ``producer`` having fenced the others; one at 0 on empty topics.

    Raises:
        Refused: ``foreign_log``: the topics hold another log; ``relay_checkpoint_lost``: events, but no checkpoint;
            ``events_topic_lost``: a checkpoint, but the topic does not end where it says.
        Damaged: ``undecodable_record``: something else wrote to a topic.
        Exception: anything that aiokafka raises.
    """
    log_id = await asyncio.to_thread(lambda: outbox.log_id)
    notes = TopicPartition(Topics(settings.kafka_prefix).relay, 0)
    barrier = Barrier(outbox.name, uuid4().hex)
    await settle(settings, outbox, producer)
    await producer.publish((), barrier)
    partitions = [notes] if outbox.guarded is None else [notes, TopicPartition(outbox.guarded, 0)]
    async with looking(settings, f"relay.{outbox.name}.start", *partitions) as consumer:
        await _appeared(consumer, notes, barrier)
        checkpoint = await newest_checkpoint(consumer, notes, outbox.name)
        if checkpoint is not None and checkpoint.log_id != log_id:
            raise _foreign(checkpoint.log_id, log_id, notes.topic)
        if outbox.guarded is not None:
            last = await newest(consumer, partitions[1])
            _together(outbox, log_id, checkpoint, None if last is None else received(last))
            if last is not None:
                producer.follows(partitions[1], last.offset)
    return checkpoint or Checkpoint(log_id, outbox.name)


async def _appeared(consumer: AIOKafkaConsumer, notes: TopicPartition, barrier: Barrier) -> None:
    """Wait until the barrier can be read, and so everything that was committed before it."""

    def ours(record: Any) -> bool:  # noqa: ANN401 - aiokafka has no types
        # The relays of other outboxes write to this topic too, behind the barrier as well.
        return parsed(record).outbox == barrier.outbox

    deadline = asyncio.get_running_loop().time() + _APPEARS
    while True:
        last = await newest(consumer, notes, ours)
        if last is not None and parsed(last) == barrier:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise Unavailable("What the relay just committed does not become readable.", code="kafka_unavailable")
        await asyncio.sleep(0.005)


def _together(outbox: Outbox, log_id: str, checkpoint: Checkpoint | None, last: Received | None) -> None:
    if last is not None and last.log_id != log_id:
        raise _foreign(last.log_id, log_id, str(outbox.guarded))
    if checkpoint is None:
        if last is None:
            return
        raise Refused(
            f"{outbox.guarded} holds events up to position {last.row.position}, but the relay's checkpoint is gone.",
            code="relay_checkpoint_lost",
            hint=f"Compare both copies with regista verify --kafka, then {_FRESH}.",
        )
    ends = (0, b"") if last is None else (last.row.position, _hash(last))
    if ends != (checkpoint.position, checkpoint.hash):
        raise Refused(
            f"The relay published up to position {checkpoint.position}, but {outbox.guarded} ends at {ends[0]}.",
            code="events_topic_lost",
            hint=f"Records were lost or the topic was made anew. Keep the log, then {_FRESH}.",
        )


async def check_still_there(settings: KafkaSettings, outbox: Outbox) -> None:
    """Check that the topics are there without which nothing can be gone on with. They are not made anew here.

    A topic that took what it held with it is a loss that somebody has to know of, and an empty one in its place would
    hide it. A broker that has just started may not know all topics yet: one is lost that stays away.

    Raises:
        Refused: ``events_topic_lost``, ``relay_checkpoint_lost``: it is gone.
        Exception: Kafka cannot be asked.
    """
    notes = Topics(settings.kafka_prefix).relay
    needed = {notes} if outbox.guarded is None else {notes, outbox.guarded}
    for again in range(_LOOKS):
        if again:
            await asyncio.sleep(_LOOK)
        gone = needed & {problem.topic for problem in await check_topics(settings) if problem.code == "missing"}
        if not gone:
            return
    events = outbox.guarded in gone
    raise Refused(
        f"{' and '.join(sorted(gone))} {'is' if len(gone) == 1 else 'are'} gone: deleted, it seems, while the relay ran.",
        code="events_topic_lost" if events else "relay_checkpoint_lost",
        hint=f"The log still has all of it. Keep the log, then {_FRESH}. Start the relay again after that.",
    )


def _hash(last: Received) -> bytes:
    return event_hash(last.row.stream, last.row.sequence, last.row.value)


def _foreign(theirs: str, ours: str, topic: str) -> Refused:
    return Refused(
        f"{topic} belongs to the log {theirs}; this one is {ours}.",
        code=FOREIGN,
        hint="Give this log a prefix of its own (REGISTA_KAFKA_PREFIX), or restore the log that belongs to these "
        "topics: regista heal.",
    )


def diverged(outbox: Outbox, checkpoint: Checkpoint, found: int | None) -> Damaged:
    """The store does not hold what the checkpoint remembers; ``found``: the position that came instead."""
    what = (
        "has nothing there"
        if found is None
        else "holds another event"
        if found == checkpoint.position
        else (f"goes on at {found}")
    )
    return Damaged(
        f"Kafka has the {outbox.name} up to position {checkpoint.position}, but the log {what}.",
        code="log_diverged",
        hint="The log lost events or was replaced by another copy: regista heal restores it from Kafka.",
    )

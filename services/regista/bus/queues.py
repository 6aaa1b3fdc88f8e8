"""The queue of commands as Kafka remembers it, for a store that has forgotten: how far commands were answered.

Results and dead letters name the command that they answer. What was answered is not to be decided again; what was not,
is: a command whose events are in the log is known by its id, and no other left a trace.
"""

from __future__ import annotations

from aiokafka import TopicPartition

from regista.bus.checkpoint import Checkpoint
from regista.bus.clients import BATCH, administering, reading
from regista.bus.commands import SOURCE, parse_source
from regista.bus.faults import translated
from regista.bus.fenced import FencedProducer
from regista.bus.settings import KafkaSettings
from regista.bus.topology import Topics

RESULTS = "results"
_WAIT_MS = 200


async def answered_up_to(settings: KafkaSettings) -> dict[str, int]:
    """By source (``topic/partition``), the offset behind the last command that was answered.

    Raises:
        Damaged: a result does not say what it answers.
        Unavailable: Kafka cannot be read.
    """
    topics = Topics(settings.kafka_prefix)
    answered: dict[str, int] = {}
    with translated(settings):
        partitions = await _partitions(settings, topics.results, topics.dead_letters)
        async with reading(settings, "queues", *partitions) as consumer:
            begins = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, begins[partition])
            while behind := [each for each in partitions if await consumer.position(each) < ends[each]]:
                for records in (await consumer.getmany(*behind, timeout_ms=_WAIT_MS, max_records=BATCH)).values():
                    for record in records:
                        _note(answered, dict(record.headers).get(SOURCE))
    return answered


async def begin_results_anew(settings: KafkaSettings, log_id: str) -> None:
    """Have the relay of results go on with the first outcome that the store has; any relay at work is fenced.

    Raises:
        Unavailable: Kafka cannot be written.
    """
    with translated(settings):
        producer = FencedProducer(settings, RESULTS, Topics(settings.kafka_prefix).relay)
        try:
            await producer.start()
            await producer.publish((), Checkpoint(log_id, RESULTS))
        finally:
            await producer.close()


async def _partitions(settings: KafkaSettings, *topics: str) -> list[TopicPartition]:
    async with administering(settings) as admin:
        # All topics rather than ours by name: a broker may create what it is asked about.
        described = [topic for topic in await admin.describe_topics() if topic["topic"] in topics]
    return [TopicPartition(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]]


def _note(answered: dict[str, int], header: bytes | None) -> None:
    if header is not None:
        source, offset = parse_source(header)
        answered[source] = max(answered.get(source, 0), offset + 1)

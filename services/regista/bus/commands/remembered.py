"""The queue of commands as Kafka remembers it, for a store that has forgotten: how far commands were answered.

Results and dead letters name the command that they answer. What was answered is not to be decided again; what was not,
is: a command whose events are in the log is known by its id, and no other left a trace. Answers carry the mark of their
command too, so that a topic which was made anew since is known for one (``regista.bus.commands.same``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from regista.bus.clients import BATCH, administering, reading
from regista.bus.commands.mark import MARK, Mark, parse_mark
from regista.bus.commands.records import SOURCE, parse_source
from regista.bus.commands.results import ResultsOutbox
from regista.bus.faults import translated
from regista.bus.relay.checkpoint import Checkpoint
from regista.bus.relay.fenced import FencedProducer
from regista.bus.relay.notes import newest_checkpoint
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.store.append import Taken
from regista.store.log import LogReader

RESULTS = "results"
_WAIT_MS = 200


async def answered_up_to(settings: KafkaSettings) -> dict[str, Taken]:
    """By source (``topic/partition``), the offset behind the last command that was answered, and that command's mark.

    The last is the one that came last, whatever its offset: answers outlive a commands topic that is made anew, where
    offsets begin again. Answers of earlier releases carry no mark; a queue whose last answer has none is known by its
    offset alone.

    Raises:
        Damaged: a result does not say what it answers.
        Unavailable: Kafka cannot be read.
    """
    topics = Topics(settings.kafka_prefix)
    answered: dict[str, _Answers] = {}
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
                        _note(answered, record)
    return {source: answers.last() for source, answers in answered.items()}


async def published_results(settings: KafkaSettings) -> Checkpoint | None:
    """The last outcome that was published, by the relay's own note; None where none ever was.

    Raises:
        Damaged: the note cannot be read.
        Unavailable: Kafka cannot be read.
    """
    topics = Topics(settings.kafka_prefix)
    with translated(settings):
        if not (partitions := await _partitions(settings, topics.relay)):
            return None
        async with reading(settings, "queues", *partitions) as consumer:
            return await newest_checkpoint(consumer, partitions[0], RESULTS)


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


def knows(log: LogReader, published: Checkpoint | None, settings: KafkaSettings) -> bool:
    """Whether a log still has the last outcome that was published, so that its relay can go on."""
    if published is None or not published.position:
        return True
    found = ResultsOutbox(log, Topics(settings.kafka_prefix)).read(published.position, 1)
    return bool(found) and (found[0].position, found[0].hash) == (published.position, published.hash)


@dataclass(slots=True)
class _Answers:
    """The answers to the commands of one source, as far as they were read. Times are milliseconds since 1970.

    Those with a mark are in the order of their commands' times, which one broker gave to all of a partition. Those
    without one have their offsets only. Which of the two came last is told by when they were published.
    """

    marked: tuple[int, int, bytes] | None = None
    """Time, offset and mark of the last command."""
    marked_at: int = -1
    unmarked: int = -1
    unmarked_at: int = -1

    def add(self, offset: int, mark: bytes | None, published: int) -> None:
        """One more, in any order."""
        known = Mark.unpacked(mark)
        if mark is None or known is None:
            self.unmarked, self.unmarked_at = max(self.unmarked, offset), max(self.unmarked_at, published)
            return
        found = (known.timestamp_ms, offset, mark)
        self.marked = found if self.marked is None else max(self.marked, found)
        self.marked_at = max(self.marked_at, published)

    def last(self) -> Taken:
        """How far the source was answered."""
        if self.marked is None or self.unmarked_at > self.marked_at:
            return Taken(self.unmarked + 1)
        _, offset, mark = self.marked
        return Taken(offset + 1, mark)


def _note(answered: dict[str, _Answers], record: Any) -> None:  # noqa: ANN401 - aiokafka has no types
    headers = dict(record.headers)
    if SOURCE in headers:
        source, offset = parse_source(headers[SOURCE])
        answered.setdefault(source, _Answers()).add(offset, parse_mark(headers.get(MARK)), record.timestamp)

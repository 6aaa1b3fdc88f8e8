"""A broker is killed about its transactions, and forgets marks of some partitions: relays find out what was decided."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.producer.transaction_manager import TransactionManager
from tests.fixtures.kafka import MakeBroker
from tests.support.chained_log import Writer, filled
from tests.support.relaying import assert_all, published, running, until

from regista.bus.clients import administering, looking
from regista.bus.commands.records import SOURCE
from regista.bus.commands.results import ResultsOutbox
from regista.bus.events.backwards import between
from regista.bus.relay import relay as relays
from regista.bus.relay.checkpoint import Checkpoint
from regista.bus.relay.fenced import FencedProducer
from regista.bus.relay.notes import newest_checkpoint
from regista.bus.relay.outbox import EventsOutbox, Outbox
from regista.bus.relay.relay import Relay
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics, specs
from regista.domain.chain import advance_over
from regista.store.append import Append, Outgoing
from regista.store.sqlite import SQLiteLogStore

pytestmark = pytest.mark.engine("kafka-native")


@dataclass(frozen=True)
class Forgetful:
    """A transaction: which of its partitions get a mark, and of what; ``part`` is how much of it came to the broker."""

    name: str
    marked: Callable[[str, int], bool]
    commits: bool
    part: float = 1.0


LIVED_THROUGH = Forgetful("lived.through", lambda topic, _: topic == "relay", commits=True)
CASES = (
    Forgetful("aborted.relay", lambda topic, _: topic == "relay", commits=False),
    Forgetful("aborted.others", lambda topic, number: topic == "events" or number % 2 == 1, commits=False),
    Forgetful("aborted.none", lambda _topic, _number: False, commits=False, part=0.6),
    Forgetful("committed.relay", lambda topic, number: topic == "relay" or number % 2 == 1, commits=True),
    Forgetful("committed.others", lambda topic, number: topic == "events" or number % 2 == 1, commits=True),
)


class Story:
    """A log with events and answers, on a prefix of its own: what there is at first is published in order."""

    def __init__(self, case: Forgetful, bootstrap: str, folder: Path) -> None:
        self.case = case
        self.settings = KafkaSettings(kafka=bootstrap, kafka_prefix=case.name)
        self.topics = Topics(case.name)
        self.log = SQLiteLogStore(folder / case.name)
        self.writer = Writer(self.log, "later")
        self.told = 0
        filled(self.log)

    def go_on(self) -> None:
        """One more set of events, and answers enough for most partitions."""
        self.writer.write("a", "b")
        self.writer.write("c")
        self.log.append([Append((), None, outcomes=tuple(self._outcome() for _ in range(10)))])

    def _outcome(self) -> Outgoing:
        self.told += 1
        kind: Literal["dead-letter", "result"] = "dead-letter" if self.told % 5 == 0 else "result"
        source = f"{self.topics.commands}/0/{self.told}".encode()
        return Outgoing(kind, f"command-{self.told}".encode(), b"told", ((SOURCE, source),), 0)

    @property
    def outboxes(self) -> tuple[Outbox, Outbox]:
        return EventsOutbox(self.log, self.topics.events), ResultsOutbox(self.log, self.topics)

    async def all_published(self) -> None:
        async with AsyncExitStack() as stack:
            # Both at once: where each left a note open in their topic, one waits for the other.
            relays = [await stack.enter_async_context(running(Relay(each, self.settings))) for each in self.outboxes]
            for relay, outbox in zip(relays, self.outboxes, strict=True):
                await published(relay, outbox.newest())

    async def publish_as_the_case_says(self) -> list[FencedProducer]:
        """What is new, by producers whose coordinator knows of the partitions that it will mark, and of no others."""
        producers = []
        for outbox in self.outboxes:
            before = await self.checkpoint(outbox)
            entries = outbox.read(before.position + 1, 100)
            assert len(entries) > 2
            head = advance_over(before.head, ((entry.position, entry.hash) for entry in entries))
            after = replace(before, head=head, hash=entries[-1].hash)
            producer = FencedProducer(self.settings, outbox.name, self.topics.relay)
            producers.append(producer)
            await producer.start()
            _tell_of(producer, self.is_marked)
            if not self.case.commits:
                _never_commit(producer)
            await producer.publish(entries[: int(len(entries) * self.case.part)], after)
        return producers

    def is_marked(self, partition: TopicPartition) -> bool:
        topic = partition.topic.removeprefix(f"{self.case.name}.").removesuffix(".v1")
        return self.case.marked(topic, partition.partition)

    async def checkpoint(self, outbox: Outbox) -> Checkpoint:
        notes = TopicPartition(self.topics.relay, 0)
        async with looking(self.settings, "test", notes) as consumer:
            found = await newest_checkpoint(consumer, notes, outbox.name)
        assert found is not None
        return found

    async def assert_each_once(self) -> None:
        await assert_all(self.settings, self.log)
        assert await self.answered() == {f"command-{number}".encode(): 1 for number in range(1, self.told + 1)}

    async def answered(self) -> Counter[bytes]:
        """How often each command's answer or dead letter can be read."""
        names = (self.topics.results, self.topics.dead_letters)
        partitions = [TopicPartition(name, n) for name in names for n in range(_partitions(name))]
        seen: Counter[bytes] = Counter()
        async with looking(self.settings, "test", *partitions) as consumer:
            ends = await consumer.end_offsets(partitions)
            for partition in partitions:
                async for records in between(consumer, partition, 0, ends[partition]):
                    seen.update(record.key for record in records)
        return seen


def _partitions(topic: str) -> int:
    """Two where some are marked and some are not: what more there usually are costs time to make."""
    return 2 if topic.endswith(".command-results.v1") else 1


async def _topics_of(stories: list[Story]) -> None:
    async with administering(stories[0].settings) as admin:
        wanted = [spec for story in stories for spec in specs(story.settings)]
        topics = [NewTopic(spec.name, _partitions(spec.name), 1, topic_configs=dict(spec.configs)) for spec in wanted]
        made = await admin.create_topics(topics)
        assert not any(error for _, error, *_ in made.topic_errors), made


def _tell_of(producer: FencedProducer, marked: Callable[[TopicPartition], bool]) -> None:
    transactions = producer._producer._txn_manager
    tell = transactions.maybe_add_partition_to_txn

    def tell_of_some(partition: TopicPartition) -> None:
        if marked(partition):
            tell(partition)

    transactions.maybe_add_partition_to_txn = tell_of_some


def _never_commit(producer: FencedProducer) -> None:
    async def nothing() -> None:
        """The kill comes first."""

    producer._producer.commit_transaction = nothing


async def test_whatever_marks_a_killed_broker_forgets_all_is_published_once_and_in_order(
    own_broker: MakeBroker, tmp_path: Path
) -> None:
    """The coordinator is not told of partitions whose mark it is to forget; brokers that check would refuse that."""
    broker = await asyncio.to_thread(lambda: own_broker(transaction_partition_verification_enable="false"))
    with ExitStack() as stack:
        stories = [Story(case, broker.bootstrap, tmp_path) for case in CASES]
        for story in stories:
            stack.enter_context(closing(story.log))
        for story in stories:
            story.go_on()
        await _topics_of(stories)
        await asyncio.gather(*(story.all_published() for story in stories))
        for story in stories:
            story.go_on()
        producers = await asyncio.gather(*(story.publish_as_the_case_says() for story in stories))
        await asyncio.to_thread(broker.kill)
        await asyncio.gather(*(producer.close() for made in producers for producer in made))
        await asyncio.to_thread(broker.start)
        for story in stories:
            story.go_on()
        await asyncio.gather(*(story.all_published() for story in stories))
        await asyncio.gather(*(story.assert_each_once() for story in stories))


async def test_an_idle_relay_that_lived_through_it_makes_readable_what_its_broker_forgot_to_mark(
    own_broker: MakeBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "_LOOK_AT_TOPICS", 0.5)
    broker = await asyncio.to_thread(lambda: own_broker(transaction_partition_verification_enable="false"))
    story = Story(LIVED_THROUGH, broker.bootstrap, tmp_path)
    with closing(story.log):
        story.go_on()
        await _topics_of([story])
        await story.all_published()
        _, outbox = story.outboxes
        async with running(Relay(outbox, story.settings)) as relay:
            await published(relay, outbox.newest())
            with monkeypatch.context() as forgetting:
                tell = TransactionManager.maybe_add_partition_to_txn

                def tell_of_some(self: TransactionManager, partition: TopicPartition) -> None:
                    if story.is_marked(partition):
                        tell(self, partition)

                forgetting.setattr(TransactionManager, "maybe_add_partition_to_txn", tell_of_some)
                story.go_on()
                relay.notify()
                await published(relay, outbox.newest())
            await until(lambda: relay.state().state != "leading", relay.state)
            await until(lambda: relay.state().state == "leading", relay.state)
            assert await story.answered() == {f"command-{number}".encode(): 1 for number in range(1, story.told + 1)}

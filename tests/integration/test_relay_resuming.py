"""Where relays go on: beside those of other outboxes in the same topic, and behind what a broker left open."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from tests.fixtures.kafka import MakeBroker
from tests.support.chained_log import Writer, filled
from tests.support.relaying import assert_all, checkpoint_of, on_kafka, published, relaying, until

from regista.bus.relay.checkpoint import Barrier
from regista.bus.relay.fenced import FencedProducer
from regista.bus.relay.outbox import EventsOutbox, Outbox
from regista.bus.relay.resuming import resume
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import ensure_topics
from regista.bus.topics.topology import Topics
from regista.domain.chain import advance_over
from regista.store.sqlite import SQLiteLogStore

SOON = 10.0  # seconds: less than a relay waits for a barrier that never comes

pytestmark = pytest.mark.engine("kafka")


class Overtaken:
    """A producer behind whose every transaction the relay of another outbox commits one too."""

    def __init__(self, own: FencedProducer, other: FencedProducer) -> None:
        self.own, self.other = own, other

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        return await self.own.partitions(topics)

    async def publish(self, messages: Sequence[Any], note: Any) -> None:
        await self.own.publish(messages, note)
        await self.other.publish((), Barrier("results", "theirs"))


async def test_a_relay_goes_on_although_another_outbox_writes_behind_its_barrier(kafka_settings: KafkaSettings) -> None:
    await ensure_topics(kafka_settings)
    notes = Topics(kafka_settings.kafka_prefix).relay
    own, other = (FencedProducer(kafka_settings, name, notes) for name in ("events", "results"))
    try:
        await own.start()
        await other.start()
        outbox = cast("Outbox", SimpleNamespace(name="events", log_id="log", topics=(), guarded=None))
        async with asyncio.timeout(SOON):
            checkpoint = await resume(kafka_settings, outbox, cast("FencedProducer", Overtaken(own, other)))
        assert (checkpoint.outbox, checkpoint.position) == ("events", 0)
    finally:
        await own.close()
        await other.close()


@pytest.mark.engine("kafka-native")
async def test_a_relay_makes_readable_what_a_broker_that_started_anew_forgot_to_mark(
    own_broker: MakeBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between the decision of a commit and its marks: records and checkpoint are there, and open.

    The coordinator is not told of the partitions here, so that it marks none; brokers that check would refuse that.
    """
    broker = await asyncio.to_thread(lambda: own_broker(transaction_partition_verification_enable="false"))
    settings = KafkaSettings(kafka=broker.bootstrap, kafka_prefix="open")
    topics = Topics(settings.kafka_prefix)
    with closing(SQLiteLogStore(tmp_path / "data")) as log:
        filled(log)
        async with relaying(log, settings) as relay:
            known = (await published(relay, log.max_position())).position
        writer = Writer(log, "later")
        writer.write("a")
        before = await checkpoint_of(settings)
        assert before is not None
        entries = EventsOutbox(log, topics.events).read(known + 1, 100)
        head = advance_over(before.head, ((entry.position, entry.hash) for entry in entries))
        producer = FencedProducer(settings, "events", topics.relay)
        await producer.start()
        monkeypatch.setattr(producer._producer._txn_manager, "maybe_add_partition_to_txn", lambda _partition: None)
        await producer.publish(entries, replace(before, head=head, hash=entries[-1].hash))
        await producer.close()
        assert len(await on_kafka(settings)) == known, "they are to be open, and so cannot be read"
        async with relaying(log, settings) as relay:
            await until(lambda: relay.state().state in {"leading", "halted"}, relay.state)
            assert relay.state().position == log.max_position(), relay.state()
            await assert_all(settings, log)
            writer.write("a")
            await published(relay, log.max_position())
        await assert_all(settings, log)

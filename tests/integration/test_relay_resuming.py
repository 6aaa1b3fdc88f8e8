"""Relays of several outboxes share the topic that they keep their checkpoints in, and do not wait for each other."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from regista.bus.relay.checkpoint import Barrier
from regista.bus.relay.fenced import FencedProducer
from regista.bus.relay.outbox import Outbox
from regista.bus.relay.resuming import resume
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import ensure_topics
from regista.bus.topics.topology import Topics

SOON = 10.0  # seconds: less than a relay waits for a barrier that never comes

pytestmark = pytest.mark.engine("kafka")


class Overtaken:
    """A producer behind whose every transaction the relay of another outbox commits one too."""

    def __init__(self, own: FencedProducer, other: FencedProducer) -> None:
        self.own, self.other = own, other

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
        outbox = cast("Outbox", SimpleNamespace(name="events", log_id="log", guarded=None))
        async with asyncio.timeout(SOON):
            checkpoint = await resume(kafka_settings, outbox, cast("FencedProducer", Overtaken(own, other)))
        assert (checkpoint.outbox, checkpoint.position) == ("events", 0)
    finally:
        await own.close()
        await other.close()

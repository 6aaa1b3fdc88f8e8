"""The control of the chaos: relays that read the checkpoint before they fence are caught by the very same checker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.fixtures.kafka import MakeBroker
from tests.support.chained_log import Writer
from tests.support.chaos import checker
from tests.support.chaos.copy import Files
from tests.support.chaos.injuries import quarrel
from tests.support.chaos.reading import Reader, Seen, read
from tests.support.chaos.rounds import Order, run
from tests.support.chaos.wrong_order import PROGRAM, held
from tests.support.relaying import published, relaying, running, until

from regista.bus.relay.checkpoint import Checkpoint
from regista.bus.relay.outbox import EventsOutbox
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.store.sqlite import SQLiteLogStore

ROUNDS = 40
"""Within so many rounds of quarrelling relays the wrong order must show."""


@pytest.mark.engine("kafka")
@pytest.mark.parametrize("reader", ["librdkafka", "aiokafka"])
async def test_a_relay_that_reads_before_it_fences_is_caught(
    kafka_settings: KafkaSettings, tmp_path: Path, reader: Reader
) -> None:
    log = SQLiteLogStore(tmp_path)
    topic = Topics(kafka_settings.kafka_prefix).events
    has_read, may_fence = asyncio.Event(), asyncio.Event()

    async def wait(_: Checkpoint | None) -> None:
        has_read.set()
        await may_fence.wait()

    async def events() -> list[Seen]:
        return (await read(kafka_settings.brokers, [topic], reader))[topic]

    writer = Writer(log)
    try:
        async with relaying(log, kafka_settings) as right:
            await published(right, writer.write("a", "b") + 1)
            wrong = held(wait)(EventsOutbox(log, topic), kafka_settings)
            async with running(wrong):
                await has_read.wait()
                newest = writer.write("a", "b", "c") + 2
                await published(right, newest)
                assert checker.events(Files(tmp_path).copy(), await events()) == []
                may_fence.set()
                await until(lambda: wrong.state().published > 0, wrong.state)
        found = checker.events(Files(tmp_path).copy(), await events())
        assert any("surplus" in one for one in found), found
    finally:
        log.close()


@pytest.mark.soak
async def test_relays_in_the_wrong_order_are_caught_by_the_rounds(own_broker: MakeBroker, tmp_path: Path) -> None:
    broker = await asyncio.to_thread(lambda: own_broker(proxied=True))
    plan = ((quarrel,),) * ROUNDS
    figures = await run(tmp_path, broker, Order(ROUNDS, injuries=plan, relay=PROGRAM.format(0.2)))
    assert any(what in one for one in figures.violations for what in ("is not", "surplus")), figures.violations

"""Brokers killed, frozen and cut off under a relay: commands go on, the outbox grows, and the relay catches up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.chained_log import Writer
from tests.support.own_broker import OwnBroker
from tests.support.relaying import assert_all, published, relaying, until

from regista.bus.events.tail import CommittedTail
from regista.bus.settings import KafkaSettings
from regista.store.sqlite import SQLiteLogStore

pytestmark = pytest.mark.engine("kafka-native")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SQLiteLogStore]:
    store = SQLiteLogStore(tmp_path / "data")
    yield store
    store.close()


@pytest.fixture
def settings(shared_broker: OwnBroker, kafka_prefix: str) -> KafkaSettings:
    return KafkaSettings(kafka=shared_broker.bootstrap, kafka_prefix=kafka_prefix)


async def test_a_broker_killed_and_started_again_is_caught_up_with(
    log: SQLiteLogStore, shared_broker: OwnBroker, settings: KafkaSettings
) -> None:
    writer = Writer(log)
    writer.write("a")
    tail = CommittedTail(settings)
    following = asyncio.create_task(tail.run())
    async with relaying(log, settings) as relay:
        await published(relay, 2)
        for _ in range(2):
            await asyncio.to_thread(shared_broker.kill)
            for _ in range(20):
                position = writer.write("a", "b") + 1
            relay.notify()
            await until(lambda: relay.state().lag == 40, relay.state)
            assert relay.state().position == position - 40
            await asyncio.to_thread(shared_broker.start)
            await published(relay, position)
            assert relay.state().error is None
            assert await tail.wait_for(position, 30)
    await tail.close()
    await following
    await assert_all(settings, log)


async def test_a_relay_that_starts_before_its_broker_waits_for_it(
    log: SQLiteLogStore, shared_broker: OwnBroker, settings: KafkaSettings
) -> None:
    await asyncio.to_thread(shared_broker.stop)
    async with relaying(log, settings) as relay:
        await until(lambda: relay.state().state == "waiting", relay.state)
        assert (relay.state().code, relay.state().lag) == ("kafka_unavailable", 1)
        await asyncio.to_thread(shared_broker.start)
        await published(relay, 1)
    await assert_all(settings, log)


async def test_connections_that_are_cut_again_and_again_do_no_harm(
    log: SQLiteLogStore, shared_broker: OwnBroker, settings: KafkaSettings
) -> None:
    writer = Writer(log)
    async with relaying(log, settings) as relay:
        await published(relay, 1)
        for _ in range(15):
            log.append([writer.append("a", "b") for _ in range(50)])
            relay.notify()
            await asyncio.sleep(0.03)
            await asyncio.to_thread(shared_broker.cut)
        await published(relay, log.max_position())
    await assert_all(settings, log)


async def test_closing_does_not_wait_for_a_broker_that_is_frozen(
    log: SQLiteLogStore, shared_broker: OwnBroker, settings: KafkaSettings
) -> None:
    async with relaying(log, settings) as relay:
        await published(relay, 1)
        await asyncio.to_thread(shared_broker.pause)
        Writer(log).write("a")
        relay.notify()
        await until(lambda: relay.state().lag == 1, relay.state)
        async with asyncio.timeout(15):
            await relay.close()
    await asyncio.to_thread(shared_broker.resume)
    async with relaying(log, settings) as relay:
        await published(relay, 2)
    await assert_all(settings, log)

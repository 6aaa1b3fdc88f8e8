"""Relays killed and frozen at any moment, several at once: Kafka stays a prefix of the log, and in the end all of it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.support.chained_log import Writer
from tests.support.relay_child import POINTS
from tests.support.relaying import assert_all, assert_prefix, on_kafka, published, relaying, until

from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import create_topics
from regista.store.sqlite import SQLiteLogStore

pytestmark = pytest.mark.engine("kafka")
REPOSITORY = Path(__file__).parents[2]
MODELS = [f"m{number}" for number in range(7)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SQLiteLogStore]:
    store = SQLiteLogStore(tmp_path / "data")
    yield store
    store.close()


class Child:
    """A relay in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = "nothing"
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said = line.decode().strip()

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    async def ended(self) -> int:
        await self.reading
        return await self.process.wait()


@asynccontextmanager
async def child(settings: KafkaSettings, data: Path, **order: Any) -> AsyncIterator[Child]:
    order |= {"data": str(data), "kafka": settings.brokers, "prefix": settings.kafka_prefix}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.relay_child", json.dumps(order), cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    one = Child(process)
    try:
        yield one
    finally:
        one.signal(signal.SIGKILL)
        await one.ended()


@asynccontextmanager
async def writing(log: SQLiteLogStore, chance: random.Random) -> AsyncIterator[None]:
    """Sets of one to seven events, one after the other, as long as this lasts."""
    writer, ends = Writer(log), asyncio.Event()

    async def write() -> None:
        while not ends.is_set():
            models = chance.sample(MODELS, chance.choice((1, 1, 1, 2, 7)))
            await asyncio.to_thread(writer.write, *models)
            await asyncio.sleep(0.002)

    task = asyncio.create_task(write())
    try:
        yield
    finally:
        ends.set()
        await task


async def drained(settings: KafkaSettings, log: SQLiteLogStore) -> None:
    """What a relay that nobody disturbs makes of it in the end."""
    async with relaying(log, settings) as relay:
        await published(relay, log.max_position())
    await assert_all(settings, log)
    places = [(event.set_index, event.set_size) for event in await on_kafka(settings)]
    at = 0
    while at < len(places):
        size = places[at][1]
        assert places[at : at + size] == [(index, size) for index in range(1, size + 1)], "a set is not together"
        at += size


@pytest.mark.parametrize("point", POINTS)
async def test_a_relay_killed_inside_a_transaction_loses_and_doubles_nothing(
    kafka_settings: KafkaSettings, log: SQLiteLogStore, tmp_path: Path, point: str
) -> None:
    await create_topics(kafka_settings)
    writer = Writer(log)
    log.append([writer.append(*MODELS[: n % 3 + 1]) for n in range(60)])
    for number in (2, 3):
        async with child(kafka_settings, tmp_path / "data", die=number, at=point, largest=20) as one:
            assert await one.ended() == -signal.SIGKILL
        await assert_prefix(kafka_settings, log)
    await drained(kafka_settings, log)


async def test_relays_killed_at_random_and_two_at_once(
    kafka_settings: KafkaSettings, log: SQLiteLogStore, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    await create_topics(kafka_settings)
    async with writing(log, random.Random(seed + 1)):
        for _ in range(4):
            async with (
                child(kafka_settings, tmp_path / "data", largest=chance.choice((1, 7, 60, 2000))) as one,
                child(kafka_settings, tmp_path / "data", largest=chance.choice((1, 7, 60, 2000))) as two,
            ):
                await until(lambda: "leading" in one.said or "leading" in two.said, lambda: (one.said, two.said))
                await asyncio.sleep(chance.uniform(0, 0.7))
                chance.choice((one, two)).signal(signal.SIGKILL)
                await asyncio.sleep(chance.uniform(0, 0.3))
            await assert_prefix(kafka_settings, log)
    await drained(kafka_settings, log)


async def test_a_frozen_relay_that_wakes_up_publishes_nothing_any_more(
    kafka_settings: KafkaSettings, log: SQLiteLogStore, tmp_path: Path
) -> None:
    await create_topics(kafka_settings)
    async with writing(log, random.Random(4)), child(kafka_settings, tmp_path / "data", largest=5) as frozen:
        await until(lambda: "leading" in frozen.said, lambda: frozen.said)
        frozen.signal(signal.SIGSTOP)
        async with relaying(log, kafka_settings) as relay:
            await until(lambda: relay.state().published > 100, relay.state)
            frozen.signal(signal.SIGCONT)
            await until(lambda: "waiting" in frozen.said, lambda: frozen.said)
            before = relay.state().published
            await until(lambda: relay.state().published > before + 100, relay.state)
            assert relay.state().state == "leading"
    await drained(kafka_settings, log)


async def test_a_killed_relay_has_a_successor_within_fifteen_seconds(
    kafka_settings: KafkaSettings, log: SQLiteLogStore, tmp_path: Path
) -> None:
    await create_topics(kafka_settings)
    lock = str(tmp_path / "relay.lock")
    async with writing(log, random.Random(5)), child(kafka_settings, tmp_path / "data", lock=lock) as first:
        await until(lambda: "leading" in first.said, lambda: first.said)
        async with child(kafka_settings, tmp_path / "data", lock=lock) as second:
            await until(lambda: "waiting" in second.said, lambda: second.said)
            first.signal(signal.SIGKILL)
            killed, held = time.monotonic(), log.max_position()
            await until(lambda: int(second.said.split()[1]) > held, lambda: second.said, 15)
            print(f"taken over within {time.monotonic() - killed:.1f} s")
    await drained(kafka_settings, log)


async def test_a_frozen_relay_that_keeps_its_lock_has_a_successor_all_the_same(
    kafka_settings: KafkaSettings, log: SQLiteLogStore, tmp_path: Path
) -> None:
    await create_topics(kafka_settings)
    lock = str(tmp_path / "relay.lock")
    async with writing(log, random.Random(6)), child(kafka_settings, tmp_path / "data", lock=lock) as frozen:
        await until(lambda: "leading" in frozen.said, lambda: frozen.said)
        async with child(kafka_settings, tmp_path / "data", lock=lock) as other:
            await until(lambda: "waiting" in other.said, lambda: other.said)
            frozen.signal(signal.SIGSTOP)
            stopped, held = time.monotonic(), log.max_position()
            await until(lambda: int(other.said.split()[1]) > held and "leading" in other.said, lambda: other.said, 30)
            print(f"taken over within {time.monotonic() - stopped:.1f} s")
            frozen.signal(signal.SIGCONT)
            await until(lambda: "waiting" in frozen.said, lambda: frozen.said)
            held = log.max_position()
            await until(lambda: int(other.said.split()[1]) > held, lambda: other.said)
            assert "leading" in other.said
    await drained(kafka_settings, log)

"""A registrar that takes commands in from Kafka, with the relay of its results, on a log of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from tests.support.registrar import Running, registrar_on

from regista.bus.clients import reading
from regista.bus.commands.intake import CommandIntake
from regista.bus.commands.records import SOURCE, decode_result, parse_source
from regista.bus.commands.results import ResultsOutbox
from regista.bus.relay.relay import Relay
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import ensure_topics
from regista.bus.topics.topology import Topics, specs
from regista.store.log import LogStore
from regista.store.sqlite import SQLiteLogStore
from regista.wire.orders import CommandResult

PATIENCE = 40.0


@dataclass
class Taking:
    """One registrar, its intake and the relay of its results."""

    one: Running
    intake: CommandIntake
    relay: Relay


@asynccontextmanager
async def intake_on(
    log: LogStore, folder: Path, settings: KafkaSettings, *, alone: bool = False
) -> AsyncIterator[Taking]:
    """A registrar on an open log, taking commands in; its log stays open."""
    one = registrar_on(log, folder)
    relay = Relay(ResultsOutbox(log, Topics(settings.kafka_prefix)), settings)
    intake = CommandIntake(settings, one.registrar, log, alone=alone, told=relay.notify)
    tasks = [asyncio.create_task(intake.run()), asyncio.create_task(relay.run())]
    try:
        yield Taking(one, intake, relay)
    finally:
        await intake.close()
        await one.writer.close()
        await relay.close()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def taking(folder: Path, settings: KafkaSettings) -> AsyncIterator[Taking]:
    """A registrar on the log of ``folder``, taking commands in."""
    await ensure_topics(settings)
    log = SQLiteLogStore(folder)
    try:
        async with intake_on(log, folder, settings, alone=True) as running:
            yield running
    finally:
        log.close()


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str, patience: float = PATIENCE) -> None:
    """Wait until a condition holds, looked at again and again."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        assert clock() < deadline, f"not within {patience:g} s: {what}"
        await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Told:
    """A result and the order that it answers: partition's source and offset."""

    result: CommandResult
    source: str
    offset: int


@asynccontextmanager
async def records_of(settings: KafkaSettings, topic: str) -> AsyncIterator[Callable[[], Awaitable[list[Any]]]]:
    """A reader of all committed records of a topic: called, it gives all there are so far."""
    seen: list[Any] = []
    async with reading(settings, "test") as consumer:
        numbers = next(spec.partitions for spec in specs(settings) if spec.name == topic)
        partitions = [TopicPartition(topic, number) for number in range(numbers)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)

        async def read() -> list[Any]:
            for records in (await consumer.getmany(timeout_ms=50)).values():
                seen.extend(records)
            return seen

        yield read


async def results(settings: KafkaSettings, count: int, patience: float = PATIENCE) -> list[Told]:
    """All results, at least ``count`` of them, in the order of the orders of each partition."""
    async with records_of(settings, Topics(settings.kafka_prefix).results) as read:
        found: list[Any] = []

        async def enough() -> bool:
            found[:] = await read()
            return len(found) >= count

        await until(enough, f"{count} results", patience)
    told = [Told(decode_result(record.value), *parse_source(dict(record.headers)[SOURCE])) for record in found]
    return sorted(told, key=lambda one: (one.source, one.offset))

"""Registrars that are killed while they take commands in, and brokers that go away: every command has one result and effect."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.fixtures.kafka import MakeBroker
from tests.support.intake import intake_on, results, taking, until

from regista import CommandPublisher, Order
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import ensure_topics
from regista.store.sqlite import SQLiteLogReader, SQLiteLogStore

ROOT = Path(__file__).parents[2]
MODELS = 70


async def child(data: Path, settings: KafkaSettings) -> asyncio.subprocess.Process:
    program = [sys.executable, "-m", "tests.support.intake_child", str(data), settings.brokers, settings.kafka_prefix]
    return await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdout=asyncio.subprocess.PIPE)


def order(number: int) -> Order:
    """Some are done, some are refused (a name that is taken), some are copies."""
    if number % 10 == 9:
        return order(number - 4)
    return Order(f"c{number}", "ann", "RegisterModel", body=json.dumps({"name": f"m{number % MODELS}"}))


async def send(commands: CommandPublisher, numbers: range) -> list[str]:
    """Publish; the places of what Kafka keeps."""
    sent = await asyncio.gather(*(commands.publish(order(number)) for number in numbers))
    return [one.place for one in sent]


async def check(data: Path, settings: KafkaSettings, places: list[str]) -> None:
    """Every record has one result, every command at most one effect, and they agree with the log."""
    told = await results(settings, len(places), patience=60)
    answered = Counter(f"{one.source}/{one.offset}" for one in told)
    assert answered == Counter(places)
    log = SQLiteLogReader(data / "log.db")
    try:
        created = {row.position: row for row in log.read(2, 100_000)}
        names = {order(number).body for number in range(len(places))}
        assert len({row.stream for row in created.values()}) == len(created) == len(names)
        done = [one.result for one in told if one.result.done]
        assert {result.position for result in done} == set(created)
        firsts = Counter(result.position for result in done if not result.replayed)
        assert set(firsts) == set(created)
        assert set(firsts.values()) == {1}
        for result in done:
            assert (created[result.position or 0].stream, result.sequence) == (result.stream, 1)
        assert {result.code for result in (one.result for one in told) if not result.done} == {"name_taken"}
    finally:
        log.close()


@pytest.mark.engine("kafka")
@pytest.mark.parametrize("rounds", [3, pytest.param(60, marks=pytest.mark.soak)])
async def test_a_registrar_killed_at_any_moment_loses_no_command_and_does_none_twice(
    tmp_path: Path, kafka_settings: KafkaSettings, rounds: int
) -> None:
    await ensure_topics(kafka_settings)
    chance = random.Random(rounds)
    places: list[str] = []
    async with CommandPublisher(kafka_settings, actor="ann") as commands:
        for round_ in range(rounds):
            registrar = await child(tmp_path, kafka_settings)
            assert registrar.stdout is not None
            sending = asyncio.create_task(send(commands, range(round_ * 150, round_ * 150 + 150)))
            if round_:
                await registrar.stdout.readline()
            await asyncio.sleep(chance.uniform(0.0, 0.6))  # the moment of the kill is what varies
            registrar.send_signal(signal.SIGKILL)
            await registrar.wait()
            places += await sending
    async with taking(tmp_path, kafka_settings) as one:
        await until(lambda: one.intake.state().lag == 0 and bool(one.intake.state().partitions), "all taken in", 60)
        await check(tmp_path, kafka_settings, places)


@pytest.mark.engine("kafka")
async def test_registrars_that_come_and_go_on_one_log_share_the_queues(
    tmp_path: Path, kafka_settings: KafkaSettings
) -> None:
    await ensure_topics(kafka_settings)
    log = SQLiteLogStore(tmp_path / "data")
    places: list[str] = []
    try:
        async with (
            CommandPublisher(kafka_settings, actor="ann") as commands,
            intake_on(log, tmp_path / "data", kafka_settings) as first,
        ):
            await until(lambda: len(first.intake.state().partitions) == 12, "all partitions")
            places += await send(commands, range(100))
            async with intake_on(log, tmp_path / "data", kafka_settings) as second:
                sending = asyncio.create_task(send(commands, range(100, 400)))
                await until(lambda: len(second.intake.state().partitions) == 6, "half of the partitions")
                places += await sending
                places += await send(commands, range(400, 500))
                await until(lambda: second.intake.state().taken > 0, "the second has work")
            await until(lambda: len(first.intake.state().partitions) == 12, "all partitions again")
            places += await send(commands, range(500, 550))
            await check(tmp_path / "data", kafka_settings, places)
    finally:
        log.close()


async def test_a_broker_that_is_killed_and_comes_back_loses_nothing(tmp_path: Path, own_broker: MakeBroker) -> None:
    broker = own_broker()
    settings = KafkaSettings(kafka=broker.bootstrap, kafka_prefix="t")
    places: list[str] = []
    async with taking(tmp_path, settings) as one, CommandPublisher(settings, actor="ann") as commands:
        places += await send(commands, range(150))
        broker.kill()
        sending = asyncio.create_task(send(commands, range(150, 300)))
        await until(lambda: one.intake.state().code == "kafka_unavailable", "the intake says that Kafka is away")
        await asyncio.to_thread(broker.start)
        places += await sending
        places += await send(commands, range(300, 400))
        await check(tmp_path, settings, places)
        await until(lambda: one.intake.state().error is None, "the intake says that all is well")

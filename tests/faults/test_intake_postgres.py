"""Several registrars on one PostgreSQL share the commands: killed, frozen and woken again, they do each of them once."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.support.intake import intake_on, results, until
from tests.support.tcp_proxy import TcpProxy

from regista import CommandPublisher, Order
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import ensure_topics
from regista.domain import commands as c
from regista.store.log import LogReader
from regista.store.postgres import PostgresLogStore

pytestmark = [pytest.mark.engine("kafka"), pytest.mark.engine("postgres")]
ROOT = Path(__file__).parents[2]


def order(number: int) -> Order:
    return Order(f"c{number}", "ann", "RegisterModel", body=json.dumps({"name": f"m{number}"}))


async def send(commands: CommandPublisher, numbers: range) -> list[str]:
    return [one.place for one in await asyncio.gather(*(commands.publish(order(number)) for number in numbers))]


def check_effects(log: LogReader, count: int) -> None:
    created = [row.stream for row in log.read(2, 100_000) if row.sequence == 1]
    assert Counter(created) == Counter(f"model/m{number}" for number in range(count))


async def test_registrars_killed_and_frozen_on_one_database_do_every_command_once(
    postgres_database: str, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    await ensure_topics(kafka_settings)
    log = PostgresLogStore(postgres_database)
    children = []
    try:
        for _ in range(2):
            program = [sys.executable, "-m", "tests.support.intake_child", postgres_database]
            program += [kafka_settings.brokers, kafka_settings.kafka_prefix]
            children.append(await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdout=asyncio.subprocess.PIPE))
        killed, frozen = children
        async with CommandPublisher(kafka_settings, actor="ann") as commands:
            for each in children:
                assert each.stdout is not None
                await each.stdout.readline()
            sending = asyncio.create_task(send(commands, range(300)))
            await until(lambda: log.max_outcome() > 20, "some are decided")
            killed.send_signal(signal.SIGKILL)
            frozen.send_signal(signal.SIGSTOP)
            places = await sending
            async with intake_on(log, tmp_path, kafka_settings) as one:
                await until(lambda: len(one.intake.state().partitions) == 12, "all partitions are this one's")
                places += await send(commands, range(300, 400))
                frozen.send_signal(signal.SIGCONT)
                places += await send(commands, range(400, 600))
                told = await results(kafka_settings, len(places), patience=60)
        assert Counter(f"{one.source}/{one.offset}" for one in told) == Counter(places)
        assert {(one.result.status, one.result.replayed) for one in told} == {(201, False)}
        check_effects(log, 600)
    finally:
        for each in children:
            if each.returncode is None:
                each.kill()
            await each.wait()
        log.close()


async def test_commands_and_requests_on_the_same_models_through_several_registrars_all_get_through(
    postgres_database: str, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    await ensure_topics(kafka_settings)
    logs = [PostgresLogStore(postgres_database) for _ in range(2)]
    try:
        async with (
            intake_on(logs[0], tmp_path / "one", kafka_settings) as first,
            intake_on(logs[1], tmp_path / "two", kafka_settings) as second,
            CommandPublisher(kafka_settings, actor="ann") as commands,
        ):
            both = (first, second)
            await until(lambda: [len(one.intake.state().partitions) for one in both] == [6, 6], "six each")
            places = await send(commands, range(6))
            await results(kafka_settings, 6)

            async def requests(number: int) -> None:
                """Through the registrars in turn, so each meets states that the other has moved."""
                for turn in range(15):
                    registrar = both[turn % 2].one
                    await registrar.do(c.UpdateModel(f"m{number}", description=f"request {turn}"))

            async def orders(number: int) -> list[str]:
                sent = []
                for turn in range(40):
                    body = {"description": f"order {turn}"}
                    sent.append((await commands.send("UpdateModel", {"model": f"m{number}"}, body)).place)
                return sent

            tasks = [asyncio.create_task(orders(number)) for number in range(6)]
            await asyncio.gather(*(requests(number) for number in range(6)))
            for task in tasks:
                places += await task
            told = await results(kafka_settings, len(places), patience=60)
        assert Counter(f"{one.source}/{one.offset}" for one in told) == Counter(places)
        assert {one.result.code for one in told} == {None}
        for number in range(6):
            assert [row.sequence for row in logs[0].load(f"model/m{number}")] == list(range(1, 57))
        assert all(one.intake.state().taken > 0 for one in both)
        assert [one.intake.state().partitions for one in both] == [(), ()]
    finally:
        for log in logs:
            log.close()


async def test_a_database_that_is_cut_off_again_and_again_has_every_command_once(
    postgres_database: str, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    await ensure_topics(kafka_settings)
    where = conninfo_to_dict(postgres_database)
    chance = random.Random(7)
    with TcpProxy(str(where["host"]), int(str(where["port"]))) as proxy:
        log = PostgresLogStore(postgres_database.replace(f":{where['port']}/", f":{proxy.port}/"))
        try:
            async with (
                intake_on(log, tmp_path, kafka_settings, alone=True) as one,
                CommandPublisher(kafka_settings, actor="ann") as commands,
            ):
                sending = asyncio.create_task(send(commands, range(400)))
                for _ in range(12):
                    await asyncio.sleep(chance.uniform(0.01, 0.25))  # the moment of the cut is what varies
                    await asyncio.to_thread(proxy.cut)
                places = await sending
                await until(lambda: one.intake.state().taken > 0, "some are taken in")
                await asyncio.to_thread(proxy.cut)
                told = await results(kafka_settings, len(places), patience=60)
            assert Counter(f"{one.source}/{one.offset}" for one in told) == Counter(places)
            assert {(one.result.status, one.result.replayed) for one in told} == {(201, False)}
            check_effects(log, 400)
        finally:
            log.close()

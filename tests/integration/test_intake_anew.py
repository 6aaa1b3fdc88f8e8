"""A queue of commands is known by the last record taken in: a topic made anew is read whole, one that was cut is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from tests.support.intake import Told, intake_on, results, taking, until
from tests.support.topics import delete_topics

from regista.bus.clients import administering, reading
from regista.bus.commands.mark import Mark
from regista.bus.commands.records import encode_order, key_of
from regista.bus.commands.remembered import answered_up_to
from regista.bus.commands.same import CUT, UNDATED, may_be_another
from regista.bus.connection import client_options
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import ensure_topics
from regista.bus.topics.topology import Topics
from regista.http.metrics import Metrics
from regista.processes.kafka_parts import IntakePart
from regista.registrar.taking import Taker
from regista.store.append import Append, Intake, Taken
from regista.store.sqlite import SQLiteLogStore
from regista.wire.orders import Order

pytestmark = pytest.mark.engine("kafka")


def describe(number: int) -> Order:
    """The first makes the model, the others change it: all of one stream, and so of one partition."""
    if not number:
        return Order("new", "ann", "RegisterModel", body='{"name": "fraud"}')
    return Order(f"c{number}", "ann", "UpdateModel", {"model": "fraud"}, body=f'{{"description": "{number}"}}')


@asynccontextmanager
async def sending(settings: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**client_options(settings, "test"), acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send(settings: KafkaSettings, *orders: Order) -> str:
    """Send orders of one stream; the partition that they went to, as the store calls it."""
    topic = Topics(settings.kafka_prefix).commands
    async with sending(settings) as producer:
        for order in orders:
            sent = await producer.send_and_wait(topic, encode_order(order), key=key_of(order))
    return f"{topic}/{sent.partition}"


async def make_anew(settings: KafkaSettings) -> None:
    await delete_topics(settings, Topics(settings.kafka_prefix).commands)
    await ensure_topics(settings)


def answers(told: list[Told]) -> list[tuple[str, int, bool]]:
    return sorted((one.result.command_id, one.result.status, one.result.replayed) for one in told)


async def test_a_topic_made_anew_that_has_outgrown_the_old_one_meanwhile_is_read_from_its_beginning(
    tmp_path: Path, kafka_settings: KafkaSettings
) -> None:
    async with taking(tmp_path, kafka_settings) as first:
        await send(kafka_settings, *map(describe, range(2)))
        await results(kafka_settings, 2)
        assert first.intake.state().begun_anew == 0
    await make_anew(kafka_settings)
    await send(kafka_settings, *map(describe, (2, 1, 3, 4)))
    async with taking(tmp_path, kafka_settings) as second:
        told = await results(kafka_settings, 6)
        assert (second.intake.state().begun_anew, second.intake.state().state) == (1, "taking")
    assert answers(told) == [
        ("c1", 200, False),
        ("c1", 200, True),
        ("c2", 200, False),
        ("c3", 200, False),
        ("c4", 200, False),
        ("new", 201, False),
    ]


async def test_a_topic_made_anew_while_the_registrar_was_frozen_loses_nothing_whatever_it_was_doing(
    tmp_path: Path, kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen in the middle of an append, as by a stalled disk or SIGSTOP: to the process no time passes there."""
    original, frozen = Taker.take, asyncio.Event()

    async def meanwhile() -> None:
        await make_anew(kafka_settings)
        await send(kafka_settings, *map(describe, (1, 2, 3)))

    async def take(self: Taker, *given: Any) -> int:
        done = await original(self, *given)
        if not frozen.is_set():
            frozen.set()
            with ThreadPoolExecutor(1) as elsewhere:
                elsewhere.submit(asyncio.run, meanwhile()).result()
        return done

    monkeypatch.setattr(Taker, "take", take)
    async with taking(tmp_path, kafka_settings) as one:
        await send(kafka_settings, describe(0))
        assert [each[0] for each in answers(await results(kafka_settings, 4))] == ["c1", "c2", "c3", "new"]
        assert one.intake.state().begun_anew == 1


async def test_clocks_of_brokers_that_differ_neither_halt_nor_stop_a_queue(
    tmp_path: Path, kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leader that is ahead, and then one that is not: the topic looks like another one for as long, and is not."""
    monkeypatch.setattr("regista.bus.commands.queue.follows_at_once", lambda _mark, _record: False)
    asked: list[bool] = []

    async def suspect(*_: object) -> bool:
        asked.append(True)
        return True

    monkeypatch.setattr("regista.bus.commands.queue.may_be_another", suspect)
    async with taking(tmp_path, kafka_settings) as one:
        for number in range(4):
            await send(kafka_settings, describe(number))
            assert [each[2] for each in answers(await results(kafka_settings, number + 1))] == [False] * (number + 1)
        assert (one.intake.state().begun_anew, one.intake.state().state) == (0, "taking")
    assert len(asked) == 3


async def test_a_topic_is_suspected_to_be_another_when_it_has_later_records_where_earlier_ones_were(
    kafka_settings: KafkaSettings,
) -> None:
    """What a running registrar asks when records come after a silence: the topic may have grown as long meanwhile."""
    await ensure_topics(kafka_settings)
    topic, _, number = (await send(kafka_settings, *map(describe, range(3)))).rpartition("/")
    partition = TopicPartition(topic, int(number))
    async with reading(kafka_settings, "test", partition) as consumer:
        await consumer.seek_to_beginning(partition)
        known: list[Mark] = []
        while len(known) < 3:
            known += map(Mark.of, (await consumer.getmany(partition, timeout_ms=500)).get(partition, ()))
        assert [await may_be_another(consumer, partition, mark) for mark in known] == [False, False, False]
        await make_anew(kafka_settings)
        await send(kafka_settings, *map(describe, range(4)))
        assert [await may_be_another(consumer, partition, mark) for mark in known] == [True, True, True]


async def test_a_topic_that_lost_its_end_halts_its_queue_until_it_is_made_anew(
    tmp_path: Path, kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it still holds was taken in long ago: what was refused then must not be carried out now."""
    monkeypatch.setattr("regista.bus.commands.queue._SHRUNK_LOOKS", 2)
    await ensure_topics(kafka_settings)
    source = await send(kafka_settings, *map(describe, range(3)))
    log = SQLiteLogStore(tmp_path)
    try:
        lost = Mark(1, int(time.time() * 1000) + 60_000, bytes(32))
        log.append([Append((), None, {}, Intake(source, 0, 2, lost.packed))])
        async with intake_on(log, tmp_path, kafka_settings, alone=True) as one:
            await until(lambda: one.intake.state().state == "halted", "it halts")
            state = one.intake.state()
            assert (state.code, state.taken, log.intake(source)) == (CUT, 0, Taken(2, lost.packed))
            assert "topics create" in (state.hint or "")
            shown = IntakePart(one.intake).state()
            assert (shown.shown["state"], shown.shown["code"], shown.hindrance) == ("halted", CUT, None)
            metrics = Metrics()
            metrics.observe_intake(one.intake.state)
            assert b'regista_intake_state{state="halted"} 1.0' in metrics.text()
            other = Order("other", "ann", "RegisterModel", body='{"name": "churn"}')
            assert await send(kafka_settings, other) != source
            assert answers(await results(kafka_settings, 1)) == [("other", 201, False)]
            assert one.intake.state().state == "halted"
            await make_anew(kafka_settings)
            await until(lambda: one.intake.state().state == "taking", "it goes on by itself")
            await send(kafka_settings, describe(0))
            assert answers(await results(kafka_settings, 2)) == [("new", 201, False), ("other", 201, False)]
    finally:
        log.close()


async def test_a_topic_with_the_times_of_senders_halts_its_queue_and_says_so(
    tmp_path: Path, kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it was made anew or lost its end is not known then; that it lost its end must not be claimed."""
    monkeypatch.setattr("regista.bus.commands.queue._SHRUNK_LOOKS", 2)
    async with taking(tmp_path, kafka_settings):
        await send(kafka_settings, *map(describe, range(2)))
        await results(kafka_settings, 2)
    topic = Topics(kafka_settings.kafka_prefix).commands
    await delete_topics(kafka_settings, topic)
    async with administering(kafka_settings) as admin:
        await admin.create_topics([NewTopic(topic, 12, 1, topic_configs={"message.timestamp.type": "CreateTime"})])
    await send(kafka_settings, *map(describe, (2, 1, 3)))
    async with taking(tmp_path, kafka_settings) as one:
        await until(lambda: one.intake.state().state == "halted", "it halts")
        state = one.intake.state()
        assert state.code == UNDATED
        assert "cannot be told" in (state.error or "")
        assert "--add-config message.timestamp.type=LogAppendTime" in (state.hint or "")
        await make_anew(kafka_settings)
        await until(lambda: one.intake.state().state == "taking", "it goes on by itself")


async def test_an_offset_that_an_earlier_release_moved_since_is_gone_on_from(
    tmp_path: Path, kafka_settings: KafkaSettings
) -> None:
    await ensure_topics(kafka_settings)
    source = await send(kafka_settings, *map(describe, range(2)))
    log = SQLiteLogStore(tmp_path)
    try:
        stale = Mark(0, 0, bytes(32))
        log.append([Append((), None, {}, Intake(source, 0, 1, stale.packed))])
        log.append([Append((), None, {}, Intake(source, 1, 2, stale.packed))])
        async with intake_on(log, tmp_path, kafka_settings, alone=True) as one:
            await send(kafka_settings, Order("one", "ann", "RegisterModel", body='{"name": "fraud"}'))
            assert answers(await results(kafka_settings, 1)) == [("one", 201, False)]
            assert one.intake.state().begun_anew == 0
    finally:
        log.close()


async def test_what_kafka_remembers_of_a_queue_names_the_last_record_as_the_store_does(
    tmp_path: Path, kafka_settings: KafkaSettings
) -> None:
    async with taking(tmp_path, kafka_settings) as one:
        source = await send(kafka_settings, *map(describe, range(3)))
        await results(kafka_settings, 3)
        known = one.one.log.intake(source)
        assert known is not None
        assert known.mark is not None
        assert await answered_up_to(kafka_settings) == {source: known}

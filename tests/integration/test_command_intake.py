"""Commands from Kafka: decided by the same rules as over HTTP, once, each answered once, whatever they are."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from tests.support.intake import Taking, intake_on, records_of, results, taking, until
from tests.support.payloads import version_body

import regista
from regista import CommandPublisher, CommandResult, Order
from regista.bus.commands import pruning, queue
from regista.bus.commands.records import encode_order, key_of
from regista.bus.connection import client_options
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import ensure_topics
from regista.bus.topics.topology import Topics
from regista.domain import commands as c
from regista.domain.errors import Unavailable
from regista.registrar.service import Registrar
from regista.store.append import Append, Intake
from regista.store.sqlite import SQLiteLogStore

pytestmark = pytest.mark.engine("kafka")


@pytest.fixture
async def one(tmp_path: Path, kafka_settings: KafkaSettings) -> AsyncIterator[Taking]:
    async with taking(tmp_path, kafka_settings) as running:
        yield running


@pytest.fixture
async def commands(one: Taking, kafka_settings: KafkaSettings) -> AsyncIterator[CommandPublisher]:
    async with CommandPublisher(kafka_settings, actor="ann") as publisher:
        await until(lambda: len(one.intake.state().partitions) == 12, "all partitions")
        yield publisher


async def ask(commands: CommandPublisher, type_: str, *args: Any, **more: Any) -> CommandResult:
    return await (await commands.send(type_, *args, **more)).result()


async def test_the_client_s_writes_work_over_kafka_and_answer_what_http_would(
    commands: CommandPublisher, one: Taking
) -> None:
    made = await commands.create_model("fraud", description="…")
    assert (made.model, made.stream, made.sequence, made.replayed) == ("fraud", "model/fraud", 1, False)
    registered = await commands.register_version("fraud", version_body("1.0.0"))
    promoted = await commands.promote("fraud", "1.0.0", to="staging", reason="first")
    alias = await commands.set_alias("fraud", "champion", "1.0.0")
    assert (registered.version, promoted.stage, alias.version) == ("1.0.0", "staging", "1.0.0")
    assert made.position < registered.position < promoted.position < alias.position
    row = one.one.log.row(promoted.position)
    assert row is not None
    assert (row.stream, row.sequence) == (promoted.stream, promoted.sequence)
    removed = await commands.remove_alias("fraud", "champion", expect_current="1.0.0")
    assert removed.previous_version == "1.0.0"
    assert (await commands.retire_model("fraud", reason="done")).retired


async def test_the_answer_names_the_last_event_of_its_set(commands: CommandPublisher, one: Taking) -> None:
    result = await ask(
        commands, "RegisterVersion", {"model": "new"}, version_body("1.0.0"), parameters={"create": "true"}
    )
    assert (result.status, result.sequence) == (201, 2)
    last = one.one.log.last()
    assert last is not None
    assert (result.position, result.stream) == (last.position, last.stream)
    assert result.answer["position"] == last.position


async def test_a_refusal_is_an_answer_and_the_client_s_error(commands: CommandPublisher) -> None:
    with pytest.raises(regista.NotFound) as missing:
        await commands.promote("nothing", "1.0.0", to="staging", reason="why not")
    assert missing.value.code == "unknown_model"
    await commands.create_model("fraud")
    with pytest.raises(regista.Invalid) as incomplete:
        await commands.register_version("fraud", {"version": "1.0.0"})
    assert len(incomplete.value.reasons) > 3
    with pytest.raises(regista.PreconditionFailed):
        await commands.update_model("fraud", description="late", if_match=7)
    with pytest.raises(regista.Refused):
        await commands.create_model("FRAUD")


async def test_what_is_sent_over_http_and_kafka_with_one_id_is_one_command(
    commands: CommandPublisher, one: Taking
) -> None:
    http = await one.one.do(c.RegisterModel("fraud"), reason="why", command_id="k1")
    over_kafka = await ask(commands, "RegisterModel", None, {"name": "fraud"}, reason="why", command_id="k1")
    assert (over_kafka.status, over_kafka.replayed) == (200, True)
    first = {**http.answer, "replayed": True}
    assert over_kafka.answer == first
    other = await ask(commands, "RegisterModel", None, {"name": "other"}, reason="why", command_id="k1")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    await ask(commands, "RegisterModel", None, {"name": "churn", "reason": "why"}, command_id="k2")
    again = await one.one.do(c.RegisterModel("churn"), reason="why", command_id="k2")
    assert (again.status, again.answer["replayed"]) == (200, True)
    assert one.one.log.max_position() == 3


async def test_every_copy_of_a_command_is_answered_and_one_takes_effect(
    commands: CommandPublisher, one: Taking, kafka_settings: KafkaSettings
) -> None:
    order = Order("same", "ann", "RegisterModel", body='{"name": "fraud"}')
    for _ in range(5):
        await commands.publish(order)
    told = await results(kafka_settings, 5)
    assert [one.result.status for one in told] == [201, 200, 200, 200, 200]
    assert len({one.result.position for one in told}) == 1
    assert one.one.log.max_position() == 2


async def test_commands_of_one_stream_are_decided_in_the_order_sent(
    commands: CommandPublisher, kafka_settings: KafkaSettings
) -> None:
    await commands.send("RegisterModel", None, {"name": "m"})
    for number in range(1, 60):
        await commands.send("RegisterVersion", {"model": "m"}, version_body(f"1.{number}.0", seed=number))
        await commands.send("Promote", {"model": "m", "ref": f"1.{number}.0"}, {"to": "staging"}, reason="next")
    told = await results(kafka_settings, 119)
    assert {one.result.status for one in told} == {200, 201}
    assert [one.result.sequence for one in told] == list(range(1, 120))


WRONG = [
    (Order("w1", "ann", "Nonsense"), 400, "unknown_command_type"),
    (Order("w2", "ann", "Promote", {"model": "m"}, body='{"to": "staging"}'), 400, "bad_target"),
    (Order("w3", "ann", "RegisterModel", body="{"), 400, "malformed_json"),
    (Order("w4", "ann", "RegisterModel", body='{"name": 1}'), 422, "invalid"),
    (Order("w5", "ann", "RegisterModel", parameters={"x": "1"}, body='{"name": "a"}'), 400, "unknown_parameter"),
    (Order("w6", "system", "RegisterModel", body='{"name": "a"}'), 400, "reserved_actor"),
    (Order("w7", "Ann Example", "RegisterModel", body='{"name": "a"}'), 400, "malformed_actor"),
    (Order("w 8", "ann", "RegisterModel", body='{"name": "a"}'), 422, "bad_idempotency_key"),
    (Order("w9", "ann", "RegisterModel", body='{"name": "a", "reason": "x"}', reason="y"), 400, "two_reasons"),
    (Order("w10", "ann", "RetireModel", {"model": "m"}, body="{}"), 400, "unexpected_body"),
    (
        Order("w11", "ann", "RegisterModel", body='{"name": "a"}', expires_at=datetime.now(UTC) - timedelta(1)),
        409,
        "command_expired",
    ),
    (Order("w12", "ann", "RegisterModel", body='{"name": "a b"}'), 422, "bad_name"),
]


async def test_what_is_wrong_with_a_command_is_told_to_its_sender(
    commands: CommandPublisher, one: Taking, kafka_settings: KafkaSettings
) -> None:
    for order, _, _ in WRONG:
        await commands.publish(order)
    told = {one.result.command_id: one.result for one in await results(kafka_settings, len(WRONG))}
    assert {(order.command_id, status, code) for order, status, code in WRONG} == {
        (result.command_id, result.status, result.code) for result in told.values()
    }
    assert all(result.answer["status"] == result.status for result in told.values())
    assert one.one.log.max_position() == 1


async def test_a_dry_run_tells_its_events_and_takes_no_id(commands: CommandPublisher, one: Taking) -> None:
    planned = await commands.create_model.dry_run("fraud", command_id="k")
    assert [event.type for event in planned.events] == ["regista.model.registered.v1"]
    assert one.one.log.max_position() == 1
    assert not (await commands.create_model("fraud", command_id="k")).replayed


@pytest.mark.usefixtures("one")
async def test_bytes_that_are_no_command_go_to_the_dead_letters_as_they_came(kafka_settings: KafkaSettings) -> None:
    topics = Topics(kafka_settings.kafka_prefix)
    odd = [("twice", b"1"), ("twice", b"\xff"), ("empty", b"")]
    producer = AIOKafkaProducer(**client_options(kafka_settings, "test"))
    await producer.start()
    try:
        await producer.send_and_wait(
            topics.commands, b"\xc3\x01garbage\x00\xff", key=b"\x80key", headers=odd, partition=0
        )
        await producer.send_and_wait(topics.commands, None, key=b"k", partition=0)
        order = encode_order(Order("ok", "ann", "RegisterModel", body='{"name": "fraud"}'))
        await producer.send_and_wait(topics.commands, order + b"tail", partition=0)
        await producer.send_and_wait(topics.commands, b"\xc3\x01" + bytes(900_000), key=b"large", partition=0)
        await producer.send_and_wait(topics.commands, order, key=b"k", partition=0)
    finally:
        await producer.stop()
    [told] = await results(kafka_settings, 1)
    assert (told.result.status, told.offset) == (201, 4)
    async with records_of(kafka_settings, topics.dead_letters) as read:
        letters: dict[bytes, Any] = {}

        async def all_there() -> bool:
            letters.update(
                {dict(record.headers)["regista_source"].rpartition(b"/")[2]: record for record in await read()}
            )
            return len(letters) == 4

        await until(all_there, "four dead letters")
    first = letters[b"0"]
    assert (first.key, first.value) == (b"\x80key", b"\xc3\x01garbage\x00\xff")
    assert list(first.headers)[: len(odd)] == odd
    said = dict(first.headers)
    assert said["regista_code"] == b"undecodable_command"
    assert said["regista_source"] == f"{topics.commands}/0/0".encode()
    assert (letters[b"1"].value, dict(letters[b"1"].headers)["regista_absent"]) == (b"", b"value")
    assert (letters[b"2"].value, dict(letters[b"2"].headers)["regista_absent"]) == (order + b"tail", b"key")
    assert letters[b"3"].value == b"\xc3\x01" + bytes(900_000)


async def test_a_command_that_cannot_be_decided_does_not_hold_up_those_behind_it(
    commands: CommandPublisher, kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = Registrar.ready

    async def broken(self: Registrar, attempt: Any) -> None:
        if getattr(attempt.command, "title", None) == "poison":
            raise ZeroDivisionError("a defect")
        await ready(self, attempt)

    monkeypatch.setattr(Registrar, "ready", broken)
    order = Order("good", "ann", "RegisterModel", body='{"name": "fraud"}')
    poison = replace(order, command_id="poison", body=json.dumps({"name": "fraud", "title": "poison"}))
    for each in (poison, order):
        await commands.publish(each)
    bad, good = await results(kafka_settings, 2)
    assert (bad.result.command_id, bad.result.status, bad.result.code) == ("poison", 500, "internal")
    assert "division" not in bad.result.body
    assert good.result.status == 201
    async with records_of(kafka_settings, Topics(kafka_settings.kafka_prefix).dead_letters) as read:
        letters: list[Any] = []

        async def one_there() -> bool:
            letters[:] = await read()
            return len(letters) == 1

        await until(one_there, "the dead letter")
    assert letters[0].value == encode_order(poison)
    assert letters[0].key == key_of(poison)
    assert b"ZeroDivisionError" in dict(letters[0].headers)["regista_error"]


async def test_no_result_in_time_says_what_is_known(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    async with taking(tmp_path / "first", kafka_settings):
        pass  # the topics are there, and nobody takes commands in
    async with CommandPublisher(kafka_settings, actor="ann", timeout=20) as commands:
        sent = await commands.send("RegisterModel", None, {"name": "fraud"})
        with pytest.raises(Unavailable) as caught:
            await sent.result(0.2)
        assert caught.value.code == "result_not_seen"
        assert sent.place in caught.value.detail
        assert sent.command_id in caught.value.detail
        async with taking(tmp_path / "second", kafka_settings):
            assert (await sent.result()).status == 201


async def test_commands_wait_for_a_registrar_and_go_on_where_it_stopped(
    tmp_path: Path, kafka_settings: KafkaSettings
) -> None:
    async with taking(tmp_path, kafka_settings), CommandPublisher(kafka_settings, actor="ann") as commands:
        await commands.create_model("first")
        sent = [await commands.send("RegisterModel", None, {"name": f"m{n}"}) for n in range(20)]
    async with CommandPublisher(kafka_settings, actor="ann") as commands:
        sent += [await commands.send("RegisterModel", None, {"name": f"n{n}"}) for n in range(20)]
        async with taking(tmp_path, kafka_settings) as one:
            told = await results(kafka_settings, 41)
            await until(lambda: one.intake.state().lag == 0, "nothing left to take in")
            assert one.one.log.max_position() == 42
    assert {one.result.status for one in told} == {201}
    assert len({(one.source, one.offset) for one in told}) == len(told) == 41


async def test_the_intake_says_how_it_stands(one: Taking, commands: CommandPublisher) -> None:
    await commands.create_model("fraud")
    state = one.intake.state()
    assert (state.state, state.taken, state.error) == ("taking", 1, None)
    await one.intake.close()
    assert one.intake.state().partitions == ()
    await until(lambda: one.intake.state().state == "stopped", "stopped")
    await asyncio.sleep(0)


async def test_partitions_that_come_while_it_closes_are_left_to_other_registrars(
    tmp_path: Path, kafka_settings: KafkaSettings
) -> None:
    """A rebalance that was under way ends while the consumer stops."""
    async with taking(tmp_path, kafka_settings) as one:
        await until(lambda: len(one.intake.state().partitions) == 12, "it has all of them")
        consumer = one.intake._consumer
        await one.intake.close()
        one.intake.assigned(consumer, [TopicPartition(Topics(kafka_settings.kafka_prefix).commands, 0)])
        assert one.intake.state().partitions == ()


async def test_the_program_about_commands_runs(one: Taking, kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text(encoding="utf-8")
    [program] = re.findall(r"^```python kafka\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    reach = {"REGISTA_KAFKA": kafka_settings.brokers, "REGISTA_KAFKA_PREFIX": kafka_settings.kafka_prefix}
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "program.py",
        cwd=tmp_path,
        env={**os.environ, **reach},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await running.communicate()
    assert running.returncode == 0, said.decode()
    assert [row.type for row in one.one.log.load("model/churn")] == [
        "regista.model.registered.v1",
        "regista.version.registered.v1",
    ]


async def test_a_log_that_cannot_be_written_holds_commands_up_and_answers_none_of_them(
    one: Taking, commands: CommandPublisher, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    await commands.create_model("first")
    holder = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    with closing(holder):
        holder.execute("BEGIN IMMEDIATE")
        sent = [await commands.send("RegisterModel", None, {"name": f"m{n}"}) for n in range(10)]
        await until(lambda: one.intake.state().code == "log_locked", "the intake says that the log is locked")
        assert (one.intake.state().state, one.intake.state().taken) == ("waiting", 1)
        holder.execute("ROLLBACK")
    assert {(await each.result()).status for each in sent} == {201}
    assert len(await results(kafka_settings, 11)) == 11
    await until(lambda: one.intake.state().state == "taking", "the intake goes on")


def _offset(log: SQLiteLogStore, source: str) -> int | None:
    taken = log.intake(source)
    return None if taken is None else taken.offset


@pytest.mark.parametrize("before", [1, 5000])
async def test_a_topic_that_was_made_anew_is_read_from_its_beginning(
    tmp_path: Path, kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """Also where it is taken in as far as it was before, which must not pass for nothing taken in."""
    monkeypatch.setattr(queue, "_SHRUNK_LOOKS", 2)
    await ensure_topics(kafka_settings)
    log = SQLiteLogStore(tmp_path)
    try:
        order = Order("k", "ann", "RegisterModel", body='{"name": "fraud"}')
        topic = Topics(kafka_settings.kafka_prefix).commands
        sources = [f"{topic}/{number}" for number in range(12)]
        log.append([Append((), None, {}, Intake(source, 0, before)) for source in sources])
        async with CommandPublisher(kafka_settings) as commands, intake_on(log, tmp_path, kafka_settings, alone=True):
            await until(lambda: {_offset(log, source) for source in sources} == {0}, "it is found out")
            sent = await commands.publish(order)
            source, _, _ = sent.place.rpartition("/")
            assert (await sent.result()).status == 201
        assert _offset(log, source) == 1
    finally:
        log.close()


async def test_old_outcomes_leave_the_store_once_they_are_published(
    one: Taking,
    commands: CommandPublisher,
    tmp_path: Path,
    kafka_settings: KafkaSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(5):
        await commands.create_model(f"m{number}")
    await one.intake.close()
    monkeypatch.setattr(pruning, "KEPT", -60.0)
    monkeypatch.setattr(pruning, "EVERY", 0.1)
    async with intake_on(one.one.log, tmp_path / "other", kafka_settings, alone=True) as other:
        await until(lambda: len(one.one.log.outcomes(0, 10)) == 1, "all but the newest outcome are removed")
        assert (await commands.create_model("more")).sequence == 1
        assert other.relay.state().state != "halted"
